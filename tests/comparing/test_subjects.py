"""Names contain only what tells the subjects of a comparison apart."""

from __future__ import annotations

from comparing.rows import row

from workbench.comparing.comparison import Comparison
from workbench.comparing.subjects import describe_setting
from workbench.measuring.measurement import Measurement


def names(*found: Measurement) -> set[str]:
    return set(Comparison.of(found).ranking().names)


def test_names_contain_only_what_differs() -> None:
    assert names(row("A", 1, 1), row("B", 1, 1)) == {"A", "B"}
    assert names(row("A", 1, 1), row("A", 1, 1, threads=2)) == {"1 thread", "2 threads"}
    assert names(row("A", 1, 1), row("A", 1, 1, engine="onnx-int8", precision="int8")) == {"onnx fp32", "onnx-int8"}
    assert names(row("A", 1, 1)) == {"A"}
    two = names(row("A", 1, 1), row("A", 1, 1, origin="recorded", source="recorded 2026-01-02"), row("B", 1, 1))
    assert two == {"A, measured", "A, recorded", "B"}
    assert names(row("A", 1, 1), row("A", 1, 1, origin="recorded")) == {"A, measured", "A, recorded"}


def test_names_remain_distinct_if_a_device_is_called_like_another_with_its_threads() -> None:
    assert len(names(row("A", 1, 1), row("A", 1, 1, threads=2), row("A, 1 thread", 1, 1), row("B", 1, 1))) == 4


def test_a_setting_names_the_threads_of_a_cpu_only() -> None:
    assert describe_setting(row("A", 1, 1, threads=2)) == "onnx fp32, 2 threads"
    assert describe_setting(row("A", 1, 1, engine="onnx-int8", precision="int8")) == "onnx-int8, 1 thread"
    assert describe_setting(row("A", 1, 1, kind="cuda", engine="eager", precision="bf16")) == "eager bf16"
