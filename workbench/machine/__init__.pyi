from .devices import Device as Device
from .devices import find_device as find_device
from .devices import list_devices as list_devices
from .doctor import Finding as Finding
from .doctor import examine as examine
