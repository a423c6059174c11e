"""The bundle that leaves the bench: its files, manifest, checksums, preprocessing and self-test. No torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
