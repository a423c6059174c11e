from .images import read_image as read_image
from .manifest import Bundle as Bundle
from .manifest import read_bundle as read_bundle
from .parity import Parity as Parity
from .preprocessing import Preprocessing as Preprocessing
from .preprocessing import fit_image as fit_image
from .writer import write_bundle as write_bundle
