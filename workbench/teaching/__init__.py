"""What a class needs: lessons, guesses, decisions, exercises and the classroom."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
