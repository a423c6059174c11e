"""Start, watch and load-test the production application from a notebook, in an environment without PyTorch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
