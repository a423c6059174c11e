"""Inspect this machine: its devices, processor, threads, memory and energy meters, and what is wrong with it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
