"""A function as another machine would have it: with what it knew when it was written, and nothing put aside since."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import deepcopy
from types import BuiltinMethodType, CellType, CodeType, FunctionType, ModuleType
from typing import Any


def elsewhere(function: Callable[..., Any]) -> Callable[..., Any]:
    """A copy that shares no variable with `function`; modules, classes and what cannot be copied are shared."""
    return _copied(function, {})


def _copied(value: Any, made: dict[int, Any]) -> Any:
    """made: what was copied already, by the identity of the original, since functions may know each other."""
    if id(value) in made:
        return made[id(value)]
    if isinstance(value, FunctionType):
        return _function_copied(value, made)
    try:
        if isinstance(value, BuiltinMethodType) and not isinstance(value.__self__, ModuleType | type):
            made[id(value)] = getattr(deepcopy(value.__self__), value.__name__)
        else:
            made[id(value)] = value if isinstance(value, ModuleType) else deepcopy(value)
    except Exception:  # a lock, an open file
        made[id(value)] = value
    return made[id(value)]


def _function_copied(function: FunctionType, made: dict[int, Any]) -> FunctionType:
    known = function.__globals__
    space: dict[str, Any] = {name: known[name] for name in ("__name__", "__builtins__") if name in known}
    cells = tuple(CellType() for _ in function.__closure__ or ())
    copy = FunctionType(function.__code__, space, function.__name__, None, cells)
    made[id(function)] = copy
    space |= {name: _copied(known[name], made) for name in _names(function.__code__) if name in known}
    for mine, theirs in zip(cells, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # nothing is in it yet
            mine.cell_contents = _copied(theirs.cell_contents, made)
    copy.__defaults__ = _copied(function.__defaults__, made)
    copy.__kwdefaults__ = _copied(function.__kwdefaults__, made)
    copy.__dict__.update(_copied(function.__dict__, made))
    return copy


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)
