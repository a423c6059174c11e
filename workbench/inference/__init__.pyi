from .export import export_bundle as export_bundle
from .footprint import Footprint as Footprint
from .footprint import installed_bytes as installed_bytes
from .footprint import measure_footprint as measure_footprint
from .predictor import Predictor as Predictor
