"""Weights files and resume points: what is written comes back, and nothing else is ever accepted.

Covers: weights_format.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import random
import shutil
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from workbench.bundle.checksums import add_checksums
from workbench.bundle.preprocessing import Preprocessing
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.training.checkpoint import (
    initial_weights,
    load_resume_point,
    load_weights,
    save_resume_point,
    save_weights,
)
from workbench.training.models import ModelSpec, build_model
from workbench.training.weights_format import WeightsError, pack

if TYPE_CHECKING:
    from conftest import Exported, Mutate

STRESS = os.environ.get("WORKBENCH_STRESS") == "1"
LABELS = ("cat", "dog", "horse")
PREPROCESSING = Preprocessing(height=8, width=8, channels=1, mean=(0.4,), std=(0.3,))


def tiny(name: str = "linear", classes: int = 3) -> nn.Module:
    return build_model(name, classes=classes, shape=(8, 8, 1), width=0.25 if name != "linear" else 1.0)


def save(path: Path, model: nn.Module, **changes: object) -> Path:
    values = {
        "labels": LABELS,
        "preprocessing": PREPROCESSING,
        "hyperparameters": HyperParameters(epochs=3),
        "metrics": {"test_accuracy": 0.875, "epochs": [1, 2]},
    }
    save_weights(path, model, **(values | changes))
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save(tmp_path / "weights.safetensors", tiny("convnet"))


def refused(path: Path, *words: str, **options: object) -> str:
    with pytest.raises(WeightsError) as caught:
        load_weights(path, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence, sentence
    return sentence


class OwnNetwork(nn.Module):
    def __init__(self, units: int = 5) -> None:
        super().__init__()
        self.first = nn.Linear(64, units)
        self.last = nn.Linear(units, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.first(images.flatten(1))))


# --- what is written comes back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["linear", "mlp", "convnet", "resnet"])
def test_every_tensor_comes_back_bit_for_bit(tmp_path: Path, name: str) -> None:
    model = tiny(name)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.add_(torch.randn(tensor.shape) if tensor.is_floating_point() else 7)
    loaded = load_weights(save(tmp_path / "w", model), labels=LABELS)
    assert not loaded.model.training
    assert loaded.spec == model.spec
    assert (loaded.labels, loaded.preprocessing) == (LABELS, PREPROCESSING)
    assert loaded.hyperparameters == HyperParameters(epochs=3)
    assert loaded.metrics == {"test_accuracy": 0.875, "epochs": [1, 2]}
    for (name_, before), after in zip(model.state_dict().items(), loaded.model.state_dict().values(), strict=True):
        assert torch.equal(before, after), name_


def test_any_safetensors_reader_opens_the_file(weights: Path) -> None:
    state = tiny("convnet").state_dict()
    tensors = load_file(weights)
    assert tensors.keys() == state.keys()
    assert all(torch.equal(tensors[name], state[name]) for name in state)
    with safe_open(weights, "pt") as file:
        metadata = json.loads(file.metadata()["workbench"])
    assert metadata["labels"] == list(LABELS)
    assert metadata["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_torchvision_model_and_half_precision_come_back(tmp_path: Path) -> None:
    preprocessing = Preprocessing(height=32, width=32, channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)
    model = build_model("squeezenet1_1", classes=3)
    loaded = load_weights(save(tmp_path / "w", model, preprocessing=preprocessing))
    assert torch.equal(loaded.model.state_dict()["classifier.1.weight"], model.state_dict()["classifier.1.weight"])
    half = tiny().bfloat16()
    path = save(tmp_path / "half", half)
    assert load_weights(path, tiny().bfloat16()).model[1].weight.dtype == torch.bfloat16
    refused(path, "dtype", "torch.bfloat16", "torch.float32")


def test_memory_format_and_compile_leave_no_trace(tmp_path: Path) -> None:
    model = tiny("convnet")
    save(tmp_path / "a", model)
    save(tmp_path / "b", torch.compile(model.to(memory_format=torch.channels_last)))
    a, b = load_file(tmp_path / "a"), load_file(tmp_path / "b")
    assert all(torch.equal(a[name], b[name]) and a[name].is_contiguous() for name in a)
    assert a.keys() == b.keys()
    load_weights(tmp_path / "b")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_weights_of_a_gpu_load_on_the_cpu(tmp_path: Path) -> None:
    loaded = load_weights(save(tmp_path / "w", tiny("convnet").cuda()))
    assert all(tensor.device.type == "cpu" for tensor in loaded.model.state_dict().values())


def test_own_module_is_filled_and_never_built(tmp_path: Path) -> None:
    model = OwnNetwork()
    path = save(tmp_path / "w", model)
    refused(path, "'OwnNetwork'", "model=OwnNetwork(…)")
    fresh = OwnNetwork()
    loaded = load_weights(path, fresh)
    assert loaded.model is fresh
    assert loaded.spec is None
    assert torch.equal(fresh.first.weight, model.first.weight)
    refused(path, "'first.weight'", "(5, 64)", "(4, 64)", model=OwnNetwork(4))


def test_a_refused_file_leaves_the_model_untouched(tmp_path: Path) -> None:
    path = save(tmp_path / "w", tiny("convnet"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    model = tiny("convnet").train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    refused(path, model=model)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_saving_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="3 classes and 2 labels"):
        save(tmp_path / "w", tiny(), labels=("cat", "dog"))
    with pytest.raises(WorkbenchError, match="different, non-empty names"):
        save(tmp_path / "w", tiny(), labels=("cat", "cat", "dog"))
    other = Preprocessing(height=9, width=8, channels=1, mean=(0.4,), std=(0.3,))
    with pytest.raises(WorkbenchError, match="8×8×1 images and the preprocessing makes 9×8×1"):
        save(tmp_path / "w", tiny(), preprocessing=other)
    with pytest.raises(WorkbenchError, match="finite"):
        save(tmp_path / "w", tiny(), metrics={"loss": float("nan")})
    sparse = nn.Module()
    sparse.register_buffer("table", torch.eye(3).to_sparse())
    with pytest.raises(WorkbenchError, match=r"'table'.*sparse_coo.*only dense"):
        save(tmp_path / "w", sparse)
    assert not list(tmp_path.iterdir())


# --- nothing else is accepted -----------------------------------------------------------------------------------------


def test_each_kind_of_damage_is_named(tmp_path: Path, weights: Path) -> None:
    content = weights.read_bytes()
    path = tmp_path / "damaged"

    def damaged(changed: bytes, *words: str) -> None:
        path.write_bytes(changed)
        refused(path, *words)

    damaged(content[:-1], "cut short", "tensor")
    damaged(content[:100], "cut short")
    damaged(content[:5], "not a weights file")
    damaged(content + b"\0", "1 bytes follow its last tensor")
    damaged(content.replace(b'\\"cat\\"', b'\\"cow\\"'), "key 'labels' changed")
    damaged(content.replace(b'\\"epochs\\":3', b'\\"epochs\\":4'), "key 'hyperparameters' changed")
    damaged(content.replace(b"0.875", b"0.975"), "key 'metrics' changed")
    damaged(content.replace(b'\\"mean\\":[0.4]', b'\\"mean\\":[0.5]'), "key 'preprocessing' changed")
    damaged(content.replace(b'\\"name\\":\\"convnet', b'\\"name\\":\\"convmet'), "key 'model' changed")
    damaged(content[:-1] + bytes([content[-1] ^ 64]), "the tensor '", "was changed")
    damaged(b"\xff" * 7 + b"\x7f" + content[8:], "header would take")
    length = int.from_bytes(content[:8], "little")
    if content[7 + length : 8 + length] == b" ":
        damaged(content[: 7 + length] + b"\t" + content[8 + length :], "spelled differently")
    longer = (length + 8).to_bytes(8, "little") + content[8 : 8 + length] + b" " * 8 + content[8 + length :]
    damaged(longer, "spelled differently")


def test_swapped_missing_added_and_reshaped_tensors_are_named(tmp_path: Path, weights: Path) -> None:
    """Files that any safetensors reader would take: written by the library, with the workbench's metadata kept."""
    tensors = load_file(weights)
    with safe_open(weights, "pt") as file:
        metadata = file.metadata()
    path = tmp_path / "other"

    def rewritten(changed: dict[str, torch.Tensor], *words: str) -> None:
        save_file(changed, path, metadata=metadata)
        refused(path, *words)

    names = ("1.weight", "1.running_var")
    assert tensors[names[0]].shape == tensors[names[1]].shape
    swapped = tensors | {names[0]: tensors[names[1]] + 1, names[1]: tensors[names[0]]}
    rewritten(swapped, "the tensor '1.", "was changed")
    rewritten({name: tensor for name, tensor in tensors.items() if name != "4.weight"}, "'4.weight' is missing")
    rewritten(tensors | {"extra": torch.zeros(2)}, "'extra' was added")
    rewritten(tensors | {"0.weight": tensors["0.weight"].reshape(-1)}, "'0.weight' was changed")
    rewritten(tensors | {"0.weight": tensors["0.weight"].view(torch.int32)}, "'0.weight' was changed")
    save_file(tensors, path)
    refused(path, "did not write", "save_weights")


def test_other_labels_and_other_models_are_refused(weights: Path) -> None:
    refused(weights, "label 1 is 'dog' where 'cow' was expected", labels=("cat", "cow", "horse"))
    refused(weights, "3 labels", "2 were expected", labels=("cat", "dog"))
    refused(weights, "label 0", labels=("dog", "cat", "horse"))
    refused(weights, "of another model", "name", "convnet", "resnet", model=tiny("resnet"))
    refused(weights, "of another model", "no tensor 'first.weight'", model=OwnNetwork())
    bigger = nn.Sequential(*tiny("convnet"), nn.BatchNorm1d(3))
    refused(weights, "no tensor '15.weight'", model=bigger)
    smaller = nn.Sequential(*list(tiny("convnet"))[:-1])
    refused(weights, "'14.", "does not exist there", model=smaller)


class _RunsCode:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_is_recognised_and_not_run(tmp_path: Path, protocol: int) -> None:
    path, trap = tmp_path / "model.pt", tmp_path / "trap"
    path.write_bytes(pickle.dumps(_RunsCode(trap), protocol=min(protocol, 5)))
    refused(path, "is a pickle", "code hidden")
    torch.save({"weights": torch.zeros(3)}, path, _use_new_zipfile_serialization=protocol > 2)
    refused(path, "is a pickle", "weights_only=True")
    with pytest.raises(WeightsError):
        load_resume_point(path)
    assert not trap.exists()


def test_what_is_no_file_of_ours_is_named(tmp_path: Path) -> None:
    refused(tmp_path, "is a folder")
    refused(tmp_path / "none", "no weights file at")
    empty = tmp_path / "empty"
    empty.touch()
    refused(empty, "is empty")
    empty.write_bytes(b"hello, this is a text file of some length\n")
    refused(empty, "is not a weights file")
    refused(Path("/dev/null"), "not a regular file")
    save_resume_point(empty, {"epoch": 1})
    refused(empty, "is a resume point")
    for header in (
        b"[]",
        b"{}",
        b'{"__metadata__":[]}',
        b"[" * 50_000,
        b'{"a":' * 50_000,
        b"\xff\xfe",
        b"{" + b" " * 9,
    ):
        empty.write_bytes(len(header).to_bytes(8, "little") + header)
        refused(empty)


def test_files_of_another_version_are_refused_with_what_to_do(tmp_path: Path, weights: Path) -> None:
    content = weights.read_bytes()
    older = tmp_path / "older"
    older.write_bytes(content.replace(b"workbench weights 2", b"workbench weights 1"))
    refused(older, "not in the format 'workbench weights 2'", "another version of the workbench", "Train again")
    # The first format called its checksum otherwise.
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    text = header["__metadata__"]["workbench"].replace("workbench weights 2", "workbench weights 1")
    header["__metadata__"]["workbench"] = text.replace('"checksum":', '"seal":')
    encoded = json.dumps(header).encode()
    older.write_bytes(len(encoded).to_bytes(8, "little") + encoded + content[8 + length :])
    refused(older, "not in the format 'workbench weights 2'", "another version of the workbench", "Train again")
    save_resume_point(older, {"step": 1})
    older.write_bytes(older.read_bytes().replace(b"resume point 2", b"resume point 1"))
    with pytest.raises(WeightsError, match="not a resume point of this version of the workbench"):
        load_resume_point(older)


def forged(path: Path, **changes: object) -> Path:
    """A file with sound hashes whose contents were never written by `save_weights`: what a stranger could make."""
    metadata = {
        "class_name": "Sequential",
        "created": "2026-01-01",
        "hyperparameters": {},
        "labels": list(LABELS),
        "metrics": {},
        "model": tiny().spec.to_mapping(),
        "preprocessing": PREPROCESSING.to_mapping(),
        "versions": {},
    }
    path.write_bytes(pack(tiny().state_dict(), metadata | changes))
    return path


def test_a_forged_description_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    path = tmp_path / "forged"
    load_weights(forged(path))
    # 2 to the 17 by 2 to the 17 by 3 inputs would be 200 GB of weights.
    huge = Preprocessing(height=4096, width=4096, channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)
    spec = ModelSpec(name="linear", classes=3, height=4096, pixel_width=4096, channels=3)
    refused(forged(path, model=spec.to_mapping(), preprocessing=huge.to_mapping()), "of another model", "(3, 50331648)")
    wide = ModelSpec(name="mlp", classes=3, height=8, pixel_width=8, channels=1, width=64.0)
    refused(forged(path, model=wide.to_mapping()), "of another model")
    for key, value in {
        "classes": -3,
        "width": 1e9,
        "height": 10**30,
        "pixel_width": -8,
        "name": "no_such_network",
        "channels": None,
        "extra": 1,
    }.items():
        refused(forged(path, model=tiny().spec.to_mapping() | {key: value}))
    for key, value in {
        "labels": ["cat", "dog"],
        "hyperparameters": {"epochs": -1},
        "preprocessing": {},
        "metrics": 3,
        "model": {},
        "class_name": None,
        "more": 1,
    }.items():
        if key != "class_name":
            refused(forged(path, **{key: value}), repr(key))
    refused(forged(path, labels=["cat", "dog", ["horse"]]), "'labels'")


def test_forged_tensor_records_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "forged"
    good = {"name": "a", "dtype": "F32", "shape": [1], "sha256": ""}
    for change in (
        {"shape": [-1]},
        {"shape": [2**40]},
        {"shape": "1"},
        {"dtype": "F4"},
        {"name": 1},
        {"shape": [1] * 9},
    ):
        text = add_checksums({"format": "workbench weights 2", "tensors": [good | change]})
        header = json.dumps({"__metadata__": {"workbench": text}}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        refused(path, "tensors" if change != {"shape": [2**40]} else "")


@pytest.mark.stress
def test_no_mutated_file_is_accepted(tmp_path: Path, exported: Exported, mutated: Mutate) -> None:
    path = tmp_path / "mutated"
    for source, seed in ((exported.weights, 1), (save(tmp_path / "small", tiny()), 2)):
        content = source.read_bytes()
        rng = random.Random(seed)
        for number in range(1000 if STRESS else 80):
            changed = mutated(content, rng)
            if changed == content:
                continue
            path.write_bytes(changed)
            try:
                load_weights(path)
            except WeightsError:
                continue
            pytest.fail(f"mutation {number} of {source.name} was accepted")


@pytest.mark.stress
def test_no_flipped_bit_is_accepted(tmp_path: Path) -> None:
    """Every single bit under stress; otherwise one bit of every third byte, header and padding included."""
    content = save(tmp_path / "small", tiny()).read_bytes()
    path = tmp_path / "flipped"
    rng = random.Random(3)
    for place in range(0, len(content), 1 if STRESS else 3):
        for bit in range(8) if STRESS else [rng.randrange(8)]:
            path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
            with pytest.raises(WeightsError):
                load_weights(path)


# --- fine-tuning ------------------------------------------------------------------------------------------------------


def test_fine_tuning_copies_what_fits_and_names_the_rest(weights: Path) -> None:
    source = tiny("convnet").state_dict()
    model = build_model("convnet", classes=5, shape=(8, 8, 1), width=0.25, seed=9)
    fresh_head = model.state_dict()["14.weight"].clone()
    assert initial_weights(weights, model) == ("14.weight", "14.bias")
    state = model.state_dict()
    assert torch.equal(state["14.weight"], fresh_head)
    assert all(torch.equal(state[name], source[name]) for name in state if not name.startswith("14."))
    assert initial_weights(weights, tiny("convnet")) == ()


def test_fine_tuning_with_nothing_in_common_is_refused(weights: Path) -> None:
    model = tiny("mlp")
    before = model[1].weight.clone()
    with pytest.raises(WeightsError, match="none of its weight tensors fits"):
        initial_weights(weights, model)
    assert torch.equal(model[1].weight, before)
    # The last bias and the step counters of batch norm fit, and carry nothing.
    with pytest.raises(WeightsError, match="none of its weight tensors fits"):
        initial_weights(weights, build_model("convnet", classes=3, shape=(8, 8, 3), width=0.5))


# --- resume points ----------------------------------------------------------------------------------------------------


def state_of_a_run() -> dict[str, object]:
    model = tiny("convnet")
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.randn(4, 1, 8, 8)).sum().backward()
    optimizer.step()
    return {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "epoch": 3,
        "rate": 0.1,
        "label": "é",
        "order": (1, None, True, [2.5]),
        "image": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    }


def assert_same(one: object, other: object) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()
    elif isinstance(one, (dict, OrderedDict)):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert type(one) is type(other)
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    else:
        assert one == other
        assert type(one) is type(other)


def test_a_resume_point_comes_back_bit_for_bit(tmp_path: Path) -> None:
    state = state_of_a_run()
    save_resume_point(tmp_path / "r", state)
    assert_same(state, load_resume_point(tmp_path / "r"))


def test_a_resume_point_holds_plain_values_only(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match=r"state\['path'\] is a PosixPath"):
        save_resume_point(tmp_path / "r", {"path": tmp_path})
    with pytest.raises(WorkbenchError, match=r"state\['a'\]\[1\] is a set"):
        save_resume_point(tmp_path / "r", {"a": [1, {2}]})
    assert not list(tmp_path.iterdir())


def test_a_slice_does_not_carry_the_whole_tensor(tmp_path: Path) -> None:
    save_resume_point(tmp_path / "r", {"slice": torch.zeros(1_000_000)[:10]})
    assert (tmp_path / "r").stat().st_size < 5000


@pytest.mark.stress
def test_a_damaged_resume_point_is_refused(tmp_path: Path, mutated: Mutate) -> None:
    path = tmp_path / "r"
    save_resume_point(path, state_of_a_run())
    content = path.read_bytes()
    rng = random.Random(4)
    for _ in range(2000 if STRESS else 100):
        changed = mutated(content, rng)
        if changed == content:
            continue
        path.write_bytes(changed)
        with pytest.raises(WeightsError, match=r"damaged|not a resume point|empty"):
            load_resume_point(path)


def test_a_forged_resume_point_runs_no_code(tmp_path: Path) -> None:
    trap, path = tmp_path / "trap", tmp_path / "r"
    for state in ({"x": _RunsCode(trap)}, [1, 2]):
        buffer = io.BytesIO()
        torch.save(state, buffer)
        body = buffer.getvalue()
        path.write_bytes(b"workbench resume point 2\n" + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        with pytest.raises(WeightsError, match=r"more than plain values|holds a list"):
            load_resume_point(path)
    assert not trap.exists()


def test_missing_resume_point_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no resume point at"):
        load_resume_point(tmp_path / "none")
    with pytest.raises(WeightsError, match="is a folder"):
        load_resume_point(tmp_path)


def test_a_file_moved_elsewhere_is_the_same_file(tmp_path: Path, weights: Path) -> None:
    shutil.copy(weights, tmp_path / "copy of it")
    assert load_weights(tmp_path / "copy of it").labels == LABELS
