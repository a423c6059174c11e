"""04-shrink: pack a network into a fifth of its bytes and keep nearly all of its answers."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.teaching.exercises.answers import call, function_of, parts_of
from workbench.teaching.exercises.exercise import Exercise, NotYet, Unanswered
from workbench.teaching.exercises.inference.isolation import isolated_copy

if TYPE_CHECKING:
    from torch import Tensor

_Unpack = Callable[..., Any]
_SHARE = 0.2  # of the bytes: rules out eight bits per weight; fewer must be packed or compressed
_LEAST_SHARE = 0.025  # less than a bit per weight cannot hold a network
_SAME_OF_100 = 95


def _check_shrink(answer: object) -> None:

    given = parts_of(answer, "pack", "unpack")
    pack, unpack = (function_of(each, name) for each, name in zip(given, ("pack", "unpack"), strict=True))
    reference, fresh = _reference(), _fresh()
    isolated = isolated_copy(unpack)  # before anything is packed
    packed = _packed(pack, reference, "the trained weights")
    _judge_bytes(len(packed), sum(value.nbytes for value in reference.values()))
    other = _packed(pack, fresh, "fresh weights")
    found = _travelled(isolated, unpack, packed, reference)
    again = _travelled(isolated, unpack, other, fresh)
    _judge_content(packed, other, sum(value.nbytes for value in reference.values()))
    for back, original in ((found, reference), (again, fresh)):
        _judge_scale(back, original)
    _judge_agreement(found, reference)
    if _alike(again, fresh) < 0.9:
        raise NotYet(
            "The trained weights survive, but those of another network do not: do not rely on particular values."
        )


def _reference() -> dict[str, Tensor]:
    from workbench.bundle.files import WEIGHTS
    from workbench.folders import REFERENCE
    from workbench.training.checkpoint import load_weights

    return dict(load_weights(REFERENCE / WEIGHTS).model.state_dict())


def _fresh() -> dict[str, Tensor]:
    """Untrained weights of the same shapes; some of these tensors are all zeros."""
    from workbench.training.models import build_model

    return dict(build_model("convnet", seed=1).state_dict())


def _packed(pack: Callable[..., Any], state: Mapping[str, Tensor], shown_as: str) -> bytes:
    packed = call(pack, dict(state), shown_as=shown_as, unchanged="the tensors")
    if not isinstance(packed, bytes | bytearray):
        raise NotYet(f"pack returns a {type(packed).__name__}: only `bytes` can travel.")
    return bytes(packed)


def _judge_bytes(count: int, whole: int) -> None:
    share = count / whole
    if share <= _SHARE:
        return
    result = f"pack returns {count:,} bytes, {share:.1%} of the {whole:,} of the tensors; {_SHARE:.0%} are allowed. "
    if share > 0.6:
        raise NotYet(result + "Compression alone gains little: the last digits of trained weights look random.")
    if share > 0.4:
        raise NotYet(result + "That is what 16 bits per weight take: the answers need far fewer.")
    if share > 0.23:
        raise NotYet(result + "A whole byte for each weight is a quarter: use fewer levels, and leave no bit unused.")
    raise NotYet(result + "You are close: use a few levels fewer, or check how much names and file format take.")


def _unpacked(unpack: Callable[..., Any], packed: bytes, original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    import torch

    found = call(unpack, packed, shown_as=f"{len(packed):,} bytes")
    if not isinstance(found, Mapping):
        raise NotYet(f"unpack returns a {type(found).__name__}: return a mapping from names to tensors, as before.")
    odd = sorted(map(str, found.keys() ^ original.keys()))
    if odd:
        raise NotYet(f"unpack returns other names than pack was given: see {', '.join(odd[:3])}.")
    for name, value in original.items():
        if not isinstance(found[name], torch.Tensor):
            raise NotYet(f"unpack returns a {type(found[name]).__name__} as {name}: make it a tensor again.")
        back = found[name]
        if back.shape != value.shape:
            raise NotYet(f"{name} comes back with the shape {tuple(back.shape)} instead of {tuple(value.shape)}.")
        if back.dtype != value.dtype:
            raise NotYet(f"{name} comes back as {back.dtype}, but was {value.dtype}: not every tensor is alike.")
        if not torch.isfinite(back).all():
            why = " It is all zeros: what is its largest value, by which you divide?" if not value.any() else ""
            raise NotYet(f"{name} comes back with values that are not finite (nan or inf).{why}")
    return {name: found[name].detach().cpu().clone() for name in original}


def _travelled(isolated: _Unpack, unpack: _Unpack, packed: bytes, original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors unpacked on a machine where only the bytes arrive."""
    try:
        return _unpacked(isolated, packed, original)
    except (NotYet, Unanswered):
        _unpacked(unpack, packed, original)  # a mistake that shows here as well is reported as such
    raise NotYet(
        "Here your unpack returns the tensors, but on another machine it does not: it uses something stored while "
        "packing, and that does not travel. The other machine has only the bytes."
    )


def _judge_content(packed: bytes, other: bytes, whole: int) -> None:
    if packed == other:
        raise NotYet("Two networks were packed into the same bytes: they cannot hold both.")
    least = min(len(zlib.compress(each)) for each in (packed, other))
    if least < _LEAST_SHARE * whole:
        raise NotYet(
            f"Compressed, your bytes are only {least:,}: most of them are padding, and the rest cannot hold a network. "
            "What your functions store elsewhere does not travel."
        )


def _flat(state: Mapping[str, Tensor]) -> Tensor:
    """The weights of all layers, each tensor scaled to norm 1."""
    import torch

    parts = [value.float().flatten() for value in state.values() if value.dim() > 1]
    return torch.cat([part / part.norm().clamp(min=1e-12) for part in parts])


def _alike(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """The cosine similarity of two networks' weights: 1 for equal ones, about 0 for unrelated ones."""
    import torch

    return float(torch.nn.functional.cosine_similarity(_flat(one), _flat(other), dim=0))


def _judge_scale(found: Mapping[str, Tensor], original: Mapping[str, Tensor]) -> None:
    if _alike(found, original) < 0.9:
        return
    for name, value in original.items():
        if value.dim() > 1 and not 0.5 < float(found[name].norm() / value.norm()) < 2:
            times = float(found[name].norm() / value.norm())
            raise NotYet(f"{name} comes back {times:.3g} times as large: the levels are there, but not their distance.")


def _judge_agreement(found: Mapping[str, Tensor], reference: Mapping[str, Tensor]) -> None:
    right, answers = (_answers(state).argmax(dim=1) for state in (reference, found))
    same = int((right == answers).sum())
    if same >= _SAME_OF_100:
        return
    result = f"Of 100 answers {same} are unchanged; {_SAME_OF_100} should be. "
    repaired = {name: reference[name] if value.dim() < 2 else value for name, value in found.items()}
    if int((right == _answers(repaired).argmax(dim=1)).sum()) >= _SAME_OF_100:
        raise NotYet(result + "The cause is the biases and batch norm: they are few, and rounding them saves nothing.")
    raise NotYet(result + "Too coarse: use more levels, or a separate distance between them for each channel.")


def _answers(state: Mapping[str, Tensor]) -> Tensor:
    """The convnet's outputs with these weights for the reference self-test images, also mirrored and shifted."""
    import torch

    from workbench.bundle.manifest import read_bundle
    from workbench.folders import REFERENCE
    from workbench.training.models import ImageClassifier, build_model

    bundle = read_bundle(REFERENCE)
    network = build_model("convnet")
    network.load_state_dict(dict(state))
    plain = torch.from_numpy(bundle.self_test_images)
    moves = ((0, 0), (2, 0), (-2, 0), (0, 2), (0, -2))
    images = torch.cat([each.roll(move, (1, 2)) for each in (plain, plain.flip(2)) for move in moves])
    with torch.inference_mode():
        return ImageClassifier(network, bundle.preprocessing).eval()(images)


EXERCISE = Exercise(
    id="04-shrink",
    title="A network in a fifth of its bytes",
    kind="shrink",
    level="stretch",
    hints=(
        "How many levels does a weight need? Nearly all the bytes are in the tensors of two or more dimensions.",
        "Divide each channel by its largest value, round it to a number of levels on either side of zero, and store "
        "these as `torch.int8` together with what you divided by. Leave the small tensors as they are.",
        "About 31 levels on either side leave bits of each byte unused. `torch.save` into an `io.BytesIO`, and "
        "`zlib.compress` its contents; the way back is the same in reverse, with a multiplication.",
    ),
    learned="A few bits per weight are enough: trained weights have more digits than their answers need.",
    check=_check_shrink,
)
