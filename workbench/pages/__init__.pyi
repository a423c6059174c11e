from . import plots as plots
from .comparison_page import write_comparison_page as write_comparison_page
