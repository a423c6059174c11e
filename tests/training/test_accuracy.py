"""The accuracy that the README promises of the default network, on the built-in animals and on real data."""

import os
from dataclasses import replace

import pytest

from workbench.data.datasets import load_dataset
from workbench.errors import WorkbenchError
from workbench.hyperparameters import recommended
from workbench.training.evaluation import evaluate, predict
from workbench.training.loop import train
from workbench.training.models import build_model

STRESS = os.environ.get("WORKBENCH_STRESS") == "1"


def accuracy_on_test_set(data, **changes):
    hyperparameters = recommended(data.name).replace(**changes)
    model = build_model(hyperparameters.model, classes=len(data.labels), shape=data.shape, seed=hyperparameters.seed)
    for _ in train(model, data, hyperparameters):
        pass
    return evaluate(predict(model, data.test, data.preprocessing), data.test.labels, data.labels).accuracy


def real(name):
    """Load a real data set, or skip the test where it is not available."""
    try:
        return load_dataset(name)
    except WorkbenchError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def animals():
    return load_dataset("animals")


@pytest.mark.stress
@pytest.mark.skipif(not STRESS, reason="make stress trains it whole; else the run of lesson 02 is judged")
def test_the_convnet_names_nine_animals_of_ten(animals):
    assert accuracy_on_test_set(animals) >= 0.90


def test_a_single_matrix_does_not(animals):
    assert accuracy_on_test_set(animals, model="linear", learning_rate=0.01) <= 0.60


@pytest.mark.stress
def test_digits():
    shorter = {} if STRESS else {"epochs": 10}
    assert accuracy_on_test_set(load_dataset("digits"), **shorter) >= 0.97


@pytest.mark.stress
@pytest.mark.parametrize("seed", [0, 1, 2] if STRESS else [0])
def test_fashion_mnist(seed):
    data = real("fashion-mnist")
    if STRESS:
        assert accuracy_on_test_set(data, seed=seed) >= 0.915
    else:  # on a slow machine the whole run takes ten minutes
        few = replace(data, train=first(data.train, 10_000), validation=first(data.validation, 1_000))
        assert accuracy_on_test_set(few, seed=seed, epochs=3) >= 0.85


def first(split, count):
    return replace(split, images=split.images[:count], labels=split.labels[:count])
