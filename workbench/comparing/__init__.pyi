from .all_devices import describe_model_errors as describe_model_errors
from .all_devices import known_devices as known_devices
from .comparison import Comparison as Comparison
from .contestants import find_contestants as find_contestants
from .networks import Network as Network
from .networks import find_network as find_network
from .recorder import record_machine as record_machine
from .sweeps import sweep as sweep
