"""Interactive widgets: views of what the rest of the package computes, with no logic that only a browser could test."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
