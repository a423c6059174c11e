"""The rules by which an exported network is accepted, on probabilities made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from workbench.bundle.parity import Parity, compare
from workbench.errors import WorkbenchError


def rows(*values: list[float]) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def parity(**changes: float) -> Parity:
    values = {"images": 1000, "largest_difference": 0.0, "agreement": 1.0, "clear_changes": 0}
    return Parity(**(values | {"accuracy": 0.9, "reference_accuracy": 0.9} | changes))


def test_compare_counts_what_a_person_would_count() -> None:
    reference = rows([0.7, 0.2, 0.1], [0.5, 0.4999, 0.0001], [0.1, 0.1, 0.8], [0.4, 0.35, 0.25])
    answers = rows([0.6, 0.3, 0.1], [0.4999, 0.5, 0.0001], [0.1, 0.1, 0.8], [0.3, 0.45, 0.25])
    found = compare(reference, answers, np.array([0, 0, 2, 1]))
    assert found.largest_difference == pytest.approx(0.1, abs=1e-6)
    assert (found.images, found.agreement, found.clear_changes) == (4, 0.5, 1)
    assert (found.reference_accuracy, found.accuracy) == (0.75, 0.75)


def test_equal_answers_have_perfect_parity() -> None:
    answers = np.random.default_rng(0).dirichlet(np.ones(5), 100).astype(np.float32)
    found = compare(answers, answers, answers.argmax(axis=1))
    assert found == parity(images=100, accuracy=1.0, reference_accuracy=1.0)
    assert found.fp32_failure() is None
    assert found.int8_failure() is None
    one_class = np.ones((3, 1), dtype=np.float32)
    assert compare(one_class, one_class, np.zeros(3, dtype=np.int64)).agreement == 1


@pytest.mark.parametrize(
    ("difference", "changes", "words"),
    [(1e-4, 0, None), (1.01e-4, 0, "differ by up to"), (float("inf"), 0, "inf"), (9e-5, 1, "changes on 1 of 1,000")],
)
def test_fp32_rule(difference: float, changes: int, words: str | None) -> None:
    failure = parity(largest_difference=difference, clear_changes=changes).fp32_failure()
    assert failure is None if words is None else words in failure


@pytest.mark.parametrize(
    ("agreement", "accuracy", "words"),
    [(0.99, 0.9, None), (0.9899, 0.9, "98.99%"), (0.995, 0.8951, None), (0.995, 0.894, "0.60 percentage points")],
)
def test_int8_rule(agreement: float, accuracy: float, words: str | None) -> None:
    failure = parity(agreement=agreement, accuracy=accuracy, largest_difference=0.3).int8_failure()
    assert failure is None if words is None else words in failure


def test_undefined_probabilities_never_pass() -> None:
    reference = rows([0.7, 0.3], [0.2, 0.8])
    found = compare(reference, rows([0.7, 0.3], [np.nan, 0.8]), np.array([0, 1]))
    assert "inf" in found.fp32_failure()
    assert "not numbers" in found.int8_failure()
    assert json.loads(json.dumps(found.to_mapping(), allow_nan=False))["largest_difference"] is None


def test_shapes_must_match() -> None:
    for shapes in [((2, 3), (2, 2), (2,)), ((2, 3), (2, 3), (3,)), ((0, 3), (0, 3), (0,)), ((3,), (3,), (3,))]:
        one, other = (np.ones(shape, dtype=np.float32) for shape in shapes[:2])
        with pytest.raises(WorkbenchError, match="Parity needs two equal"):
            compare(one, other, np.zeros(shapes[2], dtype=np.int64))
