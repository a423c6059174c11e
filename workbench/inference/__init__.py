"""Inference: one predictor for every engine, the export that produces their files, and what each needs to start."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
