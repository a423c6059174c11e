"""Divide images into splits: stratified, with exact sizes, and determined by a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

TEST_SHARE = VALIDATION_SHARE = 0.15
NEW_SHARE, NEW_MOST = 0.05, 100
_ENOUGH_FOR_NEW = 8


def apportion(total: int, weights: Sequence[int]) -> list[int]:
    """Divide `total` in proportion to `weights` into whole numbers, none above its weight (largest remainders).

    `total` is at most the sum of the weights. Among equal remainders the first is rounded up.
    """
    whole = sum(weights)
    exact = [total * weight / whole if whole else 0.0 for weight in weights]
    shares = [int(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda k: (shares[k] - exact[k], k))
    for k in by_remainder[: total - sum(shares)]:
        shares[k] += 1
    return shares


def stratified(labels: Indices, counts: Sequence[int], *, seed: int) -> list[Indices]:
    """Return disjoint random index sets of exactly `counts` images and, last, the rest, all with the same class shares.

    labels: int64 (N,). The same labels, counts and seed give the same sets. Each set is shuffled, so that its first
    images show all classes even where the source is sorted by class.
    """
    sizes = np.bincount(labels)
    plan: list[Indices] = []
    for count in counts:
        left = sizes - np.sum(plan, axis=0, dtype=np.int64) if plan else sizes
        plan.append(np.array(apportion(count, left.tolist())))
    return take(labels, np.array(plan).reshape(len(counts), len(sizes)), seed=seed)


def take(labels: Indices, plan: NDArray[np.int64], *, seed: int) -> list[Indices]:
    """Return disjoint random index sets: `plan[s, k]` images of class k in set s, and a last set of the rest."""
    rng = np.random.default_rng([seed, 0x5B117])
    chosen: list[list[Indices]] = [[] for _ in range(len(plan) + 1)]
    for k in range(plan.shape[1]):
        members = rng.permutation(np.flatnonzero(labels == k))
        edges = np.cumsum(plan[:, k])
        for part, indices in zip(chosen, np.split(members, edges), strict=True):
            part.append(indices)
    return [rng.permutation(np.concatenate(part).astype(np.int64)) for part in chosen]


def shuffled(rows: Indices) -> Indices:
    """Shuffle rows in an order that is always the same: for a test set, which no seed may change."""
    return np.random.default_rng(len(rows)).permutation(rows)


def plan_folder(sizes: Sequence[int], *, test: bool = True, validation: bool = True) -> NDArray[np.int64]:
    """Return how many images of each class go to test, validation and new, int64 (3, classes); the rest is to train on.

    15 % to test and 15 % to validation, at least one each; a class of two has no validation image, and a class of one
    is for training alone. New: 5 % of all, at most 100, from classes of eight or more. Pass False for `test` or
    `validation` where the user has set those images apart already.
    """
    tests = [max(1, round(TEST_SHARE * n)) if test and n >= 2 else 0 for n in sizes]
    left = [n - taken for n, taken in zip(sizes, tests, strict=True)]
    validations = [
        max(1, round(VALIDATION_SHARE * n)) if validation and spare >= 2 else 0
        for n, spare in zip(sizes, left, strict=True)
    ]
    weights = [n if n >= _ENOUGH_FOR_NEW else 0 for n in sizes]
    new = apportion(min(NEW_MOST, int(NEW_SHARE * sum(weights))), weights)
    return np.array([tests, validations, new], dtype=np.int64).reshape(3, len(sizes))
