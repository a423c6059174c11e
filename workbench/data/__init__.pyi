from .animals import draw_animals as draw_animals
from .datasets import Data as Data
from .datasets import Split as Split
from .datasets import load_dataset as load_dataset
