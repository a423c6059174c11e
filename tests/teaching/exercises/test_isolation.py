"""A function copied as if it ran on another machine, and a record of the files that a function opens.

Covers: exercises/deployment/file_audit, exercises/inference/isolation.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.teaching.exercises.deployment.file_audit import files_opened
from workbench.teaching.exercises.inference.isolation import isolated_copy

KEPT: list[int] = [1]
LOCK = threading.Lock()


def count(number: int, *, more: int = 2) -> int:
    with LOCK:  # cannot be copied, so it is shared
        return len(KEPT) + number + more if number < 3 else math.floor(count(number - 3) + 0.5)


def counter() -> Callable[[], int]:
    seen: list[int] = []

    def add() -> int:
        seen.append(1)
        return len(seen)

    return add


def test_a_copy_computes_the_same_and_shares_no_state() -> None:
    copy = isolated_copy(count)
    assert copy(1) == count(1) == 4
    KEPT.append(2)
    assert (copy(1), count(1)) == (4, 5)
    assert copy.__globals__["LOCK"] is LOCK
    KEPT.pop()


def test_closures_and_bound_methods_are_copied() -> None:
    add = counter()
    add()
    copy = isolated_copy(add)
    assert (copy(), add(), add(), copy()) == (2, 2, 3, 3)
    store: dict[str, int] = {"a": 1}
    look_up: Any = isolated_copy(store.__getitem__)
    store["a"] = 2
    assert look_up("a") == 1
    assert isolated_copy(math.sqrt) is math.sqrt


def test_only_files_opened_inside_the_block_are_recorded(tmp_path: Path) -> None:
    for name in ("before", "inside", "inner", "after"):
        (tmp_path / name).write_text("x")
    (tmp_path / "before").read_text()
    with files_opened() as opened:
        (tmp_path / "inside").read_text()
        with files_opened() as inner:
            (tmp_path / "inner").read_text()
    (tmp_path / "after").read_text()
    own = [Path(path).name for path in opened if str(path).startswith(str(tmp_path))]
    assert own == ["inside", "inner"]
    assert [Path(path).name for path in inner if str(path).startswith(str(tmp_path))] == ["inner"]
