"""Workbench: train a network on one machine, run it on another, and measure what each costs.

    import workbench as wb

    data = wb.load_dataset("animals")
    hyperparameters = wb.HyperParameters(epochs=2)
    model = wb.build_model("convnet", classes=len(data.labels), shape=data.shape)
    for record in wb.train(model, data, hyperparameters):
        print(record)

Importing the package loads none of its parts: each name is imported on first use.
"""

import os

import lazy_loader

__version__ = "0.1.0"

# From 1.29 on, ONNX Runtime reports this machine and its networks to Microsoft, and keeps an identifier in the user's
# home, unless this is set before it is loaded (microsoft/onnxruntime#27379).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# __init__.pyi lists the names and their modules, for type checkers and editors too.
__getattr__, _, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = sorted([*_names, "__version__"])


def __dir__() -> list[str]:
    return __all__
