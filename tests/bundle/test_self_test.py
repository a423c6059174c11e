"""The rules by which a bundle passes its self-test, on answers made by hand."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import Exported

from workbench.bundle.self_test import GPU_DIFFERENCE, INT8_SLACK, judge_self_test


def shifted(exported: Exported, difference: float) -> np.ndarray:
    """The expected answers with one probability of the first image moved, by this much, away from the best."""
    answers = exported.bundle.self_test_expected.copy()
    worst = answers[0].argmin()
    answers[0, worst] += difference
    return answers


def test_the_expected_answers_pass(exported: Exported) -> None:
    result = judge_self_test(exported.bundle, "onnx", exported.bundle.self_test_expected)
    assert (result.passed, result.failure) == (True, "")
    assert (result.images, result.equal_answers, result.largest_difference) == (10, 10, 0)


@pytest.mark.parametrize(("difference", "device", "passed"), [(5e-5, "cpu", True), (1e-3, "cpu", False)])
def test_fp32_passes_within_the_tolerance_of_the_export(
    exported: Exported, difference: float, device: str, passed: bool
) -> None:
    result = judge_self_test(exported.bundle, "onnx", shifted(exported, difference), device=device)
    assert result.passed == passed
    assert result.largest_difference == pytest.approx(difference, rel=0.05)
    assert ("onnx on cpu does not answer like the reference network" in result.failure) != passed


def test_a_gpu_may_differ_more(exported: Exported) -> None:
    answers = shifted(exported, 0.5 * GPU_DIFFERENCE)
    assert not judge_self_test(exported.bundle, "eager", answers).passed
    assert judge_self_test(exported.bundle, "eager", answers, device="cuda:0").passed


def test_int8_may_differ_a_little_more_than_at_export(exported: Exported) -> None:
    at_export = exported.bundle.engines["onnx-int8"].parity["largest_difference"]
    assert judge_self_test(exported.bundle, "onnx-int8", shifted(exported, at_export + 0.5 * INT8_SLACK)).passed
    assert not judge_self_test(exported.bundle, "onnx-int8", shifted(exported, at_export + 2 * INT8_SLACK)).passed


def test_a_changed_clear_answer_fails(exported: Exported) -> None:
    expected = exported.bundle.self_test_expected
    result = judge_self_test(exported.bundle, "onnx", expected[:, ::-1])
    assert not result.passed
    assert result.equal_answers < len(expected)
