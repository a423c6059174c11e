from .device_card import DeviceCard as DeviceCard
from .measurement import Latency as Latency
from .measurement import Measurement as Measurement
from .measurement import Reading as Reading
from .measurement import measure as measure
from .recordings import Recording as Recording
from .recordings import load_recordings as load_recordings
from .recordings import read_recording as read_recording
