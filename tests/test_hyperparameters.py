import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters, recommended


def values_for(spec):
    if "choices" in spec:
        return st.sampled_from(spec["choices"])
    if isinstance(spec["default"], bool):
        return st.booleans()
    if isinstance(spec["default"], int):
        return st.integers(spec["low"], spec["high"])
    if isinstance(spec["default"], float):
        return st.floats(spec["low"], spec["high"])
    return st.sampled_from(["convnet", "resnet18"])


SPECS = HyperParameters.describe()


@given(st.fixed_dictionaries({name: values_for(spec) for name, spec in SPECS.items()}))
def test_every_allowed_value_survives_json(values):
    hyperparameters = HyperParameters(**values)
    assert HyperParameters.from_json(hyperparameters.to_json()) == hyperparameters
    assert json.loads(hyperparameters.to_json()) == values


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if "low" in spec])
def test_numbers_just_outside_the_range_are_named(name):
    spec = SPECS[name]
    step = 1 if isinstance(spec["default"], int) else 1e-9
    for wrong in (spec["low"] - step, spec["high"] * (1 + 1e-9) + step, math.nan, math.inf, "1", None, True, [1]):
        with pytest.raises(WorkbenchError) as caught:
            HyperParameters(**{name: wrong})
        assert str(caught.value).startswith(f"{name} = {wrong!r}: must be ")
        assert f"{spec['low']:,}" in str(caught.value)


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if "choices" in spec])
def test_unknown_choices_are_refused(name):
    with pytest.raises(WorkbenchError, match=f"{name} = 'other': must be one of "):
        HyperParameters(**{name: "other"})


def test_whole_floats_become_integers_and_integers_floats():
    hyperparameters = HyperParameters(epochs=3.0, learning_rate=1)
    assert (hyperparameters.epochs, type(hyperparameters.epochs)) == (3, int)
    assert type(hyperparameters.learning_rate) is float


def test_numpy_scalars_are_plain_values():
    hyperparameters = HyperParameters(
        model=np.str_("mlp"), epochs=np.int64(3), learning_rate=np.float32(0.5), flip=np.bool_(False), seed=np.uint8(7)
    )
    assert hyperparameters == HyperParameters(model="mlp", epochs=3, learning_rate=0.5, flip=False, seed=7)
    assert HyperParameters.from_json(hyperparameters.to_json()) == hyperparameters
    assert HyperParameters(batch_size=np.float64(64)).batch_size == 64
    with pytest.raises(WorkbenchError, match="epochs = 0: must be a whole number from 1"):
        HyperParameters(epochs=np.int64(0))
    assert recommended("my mugs", np.int64(61)) == recommended("my mugs", 61)


def test_unknown_names_are_refused_wherever_they_come_from():
    for make in (
        lambda: HyperParameters.from_mapping({"lr": 1}),
        lambda: HyperParameters.from_json('{"lr": 1}'),
        lambda: HyperParameters().replace(lr=1),
    ):
        with pytest.raises(WorkbenchError, match=r"Unknown hyper-parameter 'lr'\. The known ones are: model, width"):
            make()


def test_a_file_that_is_no_set_of_hyperparameters_is_named(tmp_path):
    path = tmp_path / "hyperparameters.json"
    for content in (b"", b"{", b"[]", b"\xff\xfe", b'{"epochs": 0}', b'{"lr": 1}'):
        path.write_bytes(content)
        with pytest.raises(WorkbenchError, match=r"hyperparameters\.json"):
            HyperParameters.load(path)
    with pytest.raises(WorkbenchError, match=r"missing\.json"):
        HyperParameters.load(tmp_path / "missing.json")


def test_saved_and_loaded(tmp_path):
    HyperParameters(epochs=3).save(tmp_path / "deep" / "hyperparameters.json")
    assert HyperParameters.load(tmp_path / "deep" / "hyperparameters.json").epochs == 3


def test_digits_and_letters_are_never_mirrored():
    assert not recommended("mnist").flip
    assert not recommended("digits").flip
    assert recommended("a folder of mine") == HyperParameters()


@pytest.mark.parametrize("images", [2, 20, 61, 500, 3_000, 10_000, 1_000_000])
def test_a_small_set_gets_enough_steps(images):
    found = recommended("my mugs", images)
    steps = found.epochs * -(-images // found.batch_size)
    assert steps >= 100 or found.epochs == 100
    assert found.learning_rate / found.batch_size == pytest.approx(0.4 / 128)
    assert images < 3_000 or found == HyperParameters(epochs=found.epochs)


def test_every_field_says_what_it_means():
    assert all(spec["help"] for spec in SPECS.values())
