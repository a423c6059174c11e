"""Copy a function so that it shares no state with the original, as if it ran on another machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from types import BuiltinMethodType, CellType, CodeType, FunctionType, ModuleType
from typing import Any


def isolated_copy(function: Callable[..., Any]) -> Callable[..., Any]:
    """Copy `function` with its globals, closure and defaults. Modules, classes and uncopyable objects stay shared."""
    return _copy(function, {})


def _copy(value: Any, copies: dict[int, Any]) -> Any:
    """copies: those made already, by the id of the original, since functions may refer to each other."""
    if id(value) in copies:
        return copies[id(value)]
    if isinstance(value, FunctionType):
        return _copy_function(value, copies)
    try:
        if isinstance(value, BuiltinMethodType) and not isinstance(value.__self__, ModuleType | type):
            copies[id(value)] = getattr(deepcopy(value.__self__), value.__name__)
        else:
            copies[id(value)] = value if isinstance(value, ModuleType) else deepcopy(value)
    except Exception:  # a lock, an open file
        copies[id(value)] = value
    return copies[id(value)]


def _copy_function(function: FunctionType, copies: dict[int, Any]) -> FunctionType:
    known = function.__globals__
    namespace: dict[str, Any] = {name: known[name] for name in ("__name__", "__builtins__") if name in known}
    cells = tuple(CellType() for _ in function.__closure__ or ())
    copy = FunctionType(function.__code__, namespace, function.__name__, None, cells)
    copies[id(function)] = copy
    namespace |= {name: _copy(known[name], copies) for name in _names(function.__code__) if name in known}
    for cell, original in zip(cells, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # the original cell is still empty
            cell.cell_contents = _copy(original.cell_contents, copies)
    copy.__defaults__ = _copy(function.__defaults__, copies)
    copy.__kwdefaults__ = _copy(function.__kwdefaults__, copies)
    copy.__dict__.update(_copy(function.__dict__, copies))
    return copy


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
