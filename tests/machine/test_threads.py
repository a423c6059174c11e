"""Numbers of threads, and what OpenMP's idle ones do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from machine.system import in_new_process, linux_only

from workbench.errors import WorkbenchError
from workbench.machine.processor import usable_cores
from workbench.machine.threads import resolve_threads, torch_threads


@linux_only
@pytest.mark.skipif("/libgomp" not in Path("/proc/self/maps").read_text(), reason="PyTorch brings another OpenMP")
def test_released_threads_come_back_and_results_stay_the_same() -> None:
    code = (
        "import os, torch; from workbench.machine.threads import release_idle_threads as release\n"
        "torch.set_num_threads(3)\n"
        "count = lambda: len(os.listdir('/proc/self/task'))\n"
        "ones = torch.randn(3_000_000, generator=torch.Generator().manual_seed(0))\n"
        "before = ones.sum(); busy = count(); done = release(); idle = count(); after = ones.sum()\n"
        "print(done, busy - idle, count() == busy, torch.equal(before, after), release(), release())"
    )
    assert in_new_process(code) == "True 2 True True True True"


def test_the_number_of_threads_is_all_usable_cores_unless_given() -> None:
    cores = usable_cores()
    assert resolve_threads(None) == cores
    assert resolve_threads(np.int64(1)) == 1
    for wrong in (0, cores + 1, 1.0, True, "1"):
        with pytest.raises(WorkbenchError, match=f"threads = .*must be a whole number from 1 to {cores}"):
            resolve_threads(wrong)  # type: ignore[arg-type]


def test_pytorchs_threads_are_restored_even_after_an_error() -> None:
    before = torch.get_num_threads()

    def fail() -> None:
        with torch_threads(before + 1):
            assert torch.get_num_threads() == before + 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.get_num_threads() == before


def test_a_spin_count_of_the_user_is_kept() -> None:
    code = "import os; from workbench.machine.threads import block_idle_threads as block; block(); import sys; "
    code += "print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    assert in_new_process(code, GOMP_SPINCOUNT="7") == "7 False"
    assert in_new_process("import os; os.environ.pop('GOMP_SPINCOUNT', None); " + code) == "1000 False"
