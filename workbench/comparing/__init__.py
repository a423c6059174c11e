"""Compare networks and devices: what can run here, races between engines, rankings and their words."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
