"""Images divided into splits: exact, stratified and disjoint."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.data.splits import apportion, plan_folder, shuffled, stratified, take


def test_shares_are_exact() -> None:
    assert apportion(7, [3, 3, 3]) == [3, 2, 2]
    assert apportion(5, [5, 0, 5]) == [3, 0, 2]
    assert apportion(0, [0, 0]) == [0, 0]
    rng = np.random.default_rng(0)
    for _ in range(200):
        weights = rng.integers(0, 30, rng.integers(1, 12)).tolist()
        total = int(rng.integers(0, sum(weights) + 1))
        shares = apportion(total, weights)
        assert sum(shares) == total
        assert all(0 <= share <= weight for share, weight in zip(shares, weights, strict=True))
        labels = np.repeat(np.arange(len(weights)), weights)
        parts = stratified(labels, [total], seed=1)
        assert [len(part) for part in parts] == [total, len(labels) - total]
        assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 20, 1000])
def test_a_class_of_any_size_keeps_an_image_to_learn_from(size: int) -> None:
    test, validation, new = plan_folder([size, 50])[:, 0]
    assert size - test - validation - new >= 1
    assert (test >= 1) == (size >= 2)
    assert (validation >= 1) == (size >= 3)


def test_index_sets_are_disjoint_shuffled_and_repeatable() -> None:
    labels = np.repeat(np.arange(4), 25)
    plan = np.array([[5, 0, 2, 25], [3, 3, 3, 0]])
    sets = take(labels, plan, seed=3)
    assert [np.bincount(labels[rows], minlength=4).tolist() for rows in sets[:2]] == plan.tolist()
    assert np.array_equal(np.sort(np.concatenate(sets)), np.arange(100))
    assert not np.array_equal(sets[2], np.sort(sets[2]))
    for again, first in zip(take(labels, plan, seed=3), sets, strict=True):
        assert np.array_equal(again, first)
    assert not np.array_equal(take(labels, plan, seed=4)[0], sets[0])


def test_a_test_set_is_mixed_the_same_way_every_time() -> None:
    rows = np.arange(50)
    mixed = shuffled(rows)
    assert np.array_equal(np.sort(mixed), rows)
    assert not np.array_equal(mixed, rows)
    assert np.array_equal(shuffled(rows), mixed)
