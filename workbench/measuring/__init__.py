"""Measure calls on this machine, and read and write what was recorded on others."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
