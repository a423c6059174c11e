"""Compute from shapes and data sheets what was not measured: operations, cost, capacity and time."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
