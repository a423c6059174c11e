from .capacity import Fit as Fit
from .capacity import data_bytes as data_bytes
from .capacity import fits as fits
from .cost import Cost as Cost
from .cost import cost_of as cost_of
from .roofline import model_error as model_error
from .roofline import modelled as modelled
