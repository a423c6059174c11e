"""04-shrink: a network in a fifth of its bytes, with nearly all of its answers."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.exercises.answers import called, function_of, parts_of
from workbench.exercises.exercise import Exercise, NotYet, Unanswered
from workbench.exercises.inference.other_machine import elsewhere

if TYPE_CHECKING:
    from torch import Tensor

_Unpack = Callable[..., Any]
_SHARE = 0.2  # of the bytes: eight bits a weight are too many, and fewer must be packed or compressed
_LEAST_SHARE = 0.025  # less than a bit a weight: nobody gets two networks back from that
_SAME_OF_100 = 95


def _check_shrink(answer: object) -> None:
    import torch

    given = parts_of(answer, "pack", "unpack")
    pack, unpack = (function_of(each, name) for each, name in zip(given, ("pack", "unpack"), strict=True))
    reference, fresh = _reference(), _fresh()
    alone = elsewhere(unpack)  # before anything is packed
    with torch.random.fork_rng(devices=[]):
        packed = _packed(pack, reference, "the trained weights")
        _judge_bytes(len(packed), sum(value.nbytes for value in reference.values()))
        other = _packed(pack, fresh, "fresh weights")
        found = _travelled(alone, unpack, packed, reference)
        again = _travelled(alone, unpack, other, fresh)
    _judge_content(packed, other, sum(value.nbytes for value in reference.values()))
    for back, original in ((found, reference), (again, fresh)):
        _judge_scale(back, original)
    _judge_agreement(found, reference)
    if _alike(again, fresh) < 0.9:
        raise NotYet("The trained weights survive, but those of another network do not: do not rely on their values.")


def _reference() -> dict[str, Tensor]:
    from workbench.bundle import WEIGHTS
    from workbench.checkpoint import load_weights
    from workbench.recordings import REFERENCE

    return dict(load_weights(REFERENCE / WEIGHTS).model.state_dict())


def _fresh() -> dict[str, Tensor]:
    """Other weights of the same shapes; some of their tensors hold nothing but zeros."""
    from workbench.models import build_model

    return dict(build_model("convnet", seed=1).state_dict())


def _packed(pack: Callable[..., Any], state: Mapping[str, Tensor], told: str) -> bytes:
    packed = called(pack, dict(state), told=told, kept="the tensors")
    if not isinstance(packed, bytes | bytearray):
        raise NotYet(f"pack gives a {type(packed).__name__}: what travels is `bytes`, one after the other.")
    return bytes(packed)


def _judge_bytes(count: int, whole: int) -> None:
    share = count / whole
    if share <= _SHARE:
        return
    told = f"pack gives {count:,} bytes, {share:.1%} of the {whole:,} of the tensors, and {_SHARE:.0%} are allowed. "
    if share > 0.6:
        raise NotYet(told + "Compressing alone finds little: the last digits of trained weights look like chance.")
    if share > 0.4:
        raise NotYet(told + "That is what 16 bits a weight take: the answers bear far fewer.")
    if share > 0.23:
        raise NotYet(told + "A whole byte for each weight is a quarter: use fewer levels, and let no bit lie idle.")
    raise NotYet(told + "You are close: use a few levels less, or look at what names and formats take.")


def _unpacked(unpack: Callable[..., Any], packed: bytes, original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    import torch

    found = called(unpack, packed, told=f"{len(packed):,} bytes")
    if not isinstance(found, Mapping):
        raise NotYet(f"unpack gives a {type(found).__name__}: give a mapping from names to tensors, as it was.")
    odd = sorted(map(str, found.keys() ^ original.keys()))
    if odd:
        raise NotYet(f"unpack gives other names than pack was given: see {', '.join(odd[:3])}.")
    for name, value in original.items():
        if not isinstance(found[name], torch.Tensor):
            raise NotYet(f"unpack gives a {type(found[name]).__name__} as {name}: make it a tensor again.")
        back = found[name]
        if back.shape != value.shape:
            raise NotYet(f"{name} comes back with the shape {tuple(back.shape)}, and had {tuple(value.shape)}.")
        if back.dtype != value.dtype:
            raise NotYet(f"{name} comes back as {back.dtype}, and was {value.dtype}: not every tensor is alike.")
        if not torch.isfinite(back).all():
            what = "It is all zeros: what is its largest value, by which you divide?" if not value.any() else ""
            raise NotYet(f"{name} comes back with values that are no numbers (nan or inf). {what}".rstrip())
    return {name: found[name].detach().cpu().clone() for name in original}


def _travelled(alone: _Unpack, unpack: _Unpack, packed: bytes, original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What comes back where nothing but the bytes arrives."""
    try:
        return _unpacked(alone, packed, original)
    except (NotYet, Unanswered):
        _unpacked(unpack, packed, original)  # what is wrong here as well is told as it is
    raise NotYet(
        "Here your unpack gets the tensors back, and on another machine it does not: it uses what was put aside while "
        "packing, and that does not travel. The other machine has the bytes alone."
    )


def _judge_content(packed: bytes, other: bytes, whole: int) -> None:
    if packed == other:
        raise NotYet("Two networks were packed into the very same bytes: they do not hold the one or the other.")
    least = min(len(zlib.compress(each)) for each in (packed, other))
    if least < _LEAST_SHARE * whole:
        raise NotYet(
            f"Compressed, your bytes are {least:,}: most of them are padding, and in the rest there is no room for a "
            "network. What your functions keep elsewhere does not travel."
        )


def _flat(state: Mapping[str, Tensor]) -> Tensor:
    """All that is a weight of a layer, each tensor as large as the other."""
    import torch

    parts = [value.float().flatten() for value in state.values() if value.dim() > 1]
    return torch.cat([part / part.norm().clamp(min=1e-12) for part in parts])


def _alike(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """The cosine between the weights of two networks: 1 for the same ones, about 0 for others."""
    import torch

    return float(torch.nn.functional.cosine_similarity(_flat(one), _flat(other), dim=0))


def _judge_scale(found: Mapping[str, Tensor], original: Mapping[str, Tensor]) -> None:
    if _alike(found, original) < 0.9:
        return
    for name, value in original.items():
        if value.dim() > 1 and not 0.5 < float(found[name].norm() / value.norm()) < 2:
            times = float(found[name].norm() / value.norm())
            raise NotYet(
                f"{name} comes back {times:.3g} times as large: the levels are there, but not how far apart they stand."
            )


def _judge_agreement(found: Mapping[str, Tensor], reference: Mapping[str, Tensor]) -> None:
    right, answers = (_answers(state).argmax(dim=1) for state in (reference, found))
    same = int((right == answers).sum())
    if same >= _SAME_OF_100:
        return
    told = f"Of 100 answers {same} are what they were, and {_SAME_OF_100} should be. "
    mended = {name: reference[name] if value.dim() < 2 else value for name, value in found.items()}
    if int((right == _answers(mended).argmax(dim=1)).sum()) >= _SAME_OF_100:
        raise NotYet(
            told + "It is the biases and what batch norm holds: they are few, and rounding them saves nothing."
        )
    raise NotYet(told + "Too coarse: use more levels, or a distance between them that is each channel's own.")


def _answers(state: Mapping[str, Tensor]) -> Tensor:
    """Of the convnet with these weights: the reference bundle's self-test pictures, mirrored and shifted too."""
    import torch

    from workbench.bundle import read_bundle
    from workbench.models import Classifier, build_model
    from workbench.recordings import REFERENCE

    bundle = read_bundle(REFERENCE)
    network = build_model("convnet")
    network.load_state_dict(dict(state))
    plain = torch.from_numpy(bundle.self_test_pictures)
    moves = ((0, 0), (2, 0), (-2, 0), (0, 2), (0, -2))
    pictures = torch.cat([each.roll(move, (1, 2)) for each in (plain, plain.flip(2)) for move in moves])
    with torch.inference_mode():
        return Classifier(network, bundle.preprocessing).eval()(pictures)


EXERCISE = Exercise(
    id="04-shrink",
    title="A network in a fifth of its bytes",
    kind="shrink",
    level="stretch",
    hints=(
        "How many levels does a weight need? Nearly all the bytes are in the tensors of two or more dimensions.",
        "Divide each channel by its largest value, round it to so many levels on either side of zero, and keep "
        "these as `torch.int8` beside what you divided by. Leave the small tensors as they are.",
        "About 31 levels on either side leave bits of each byte idle. `torch.save` into an `io.BytesIO`, and "
        "`zlib.compress` what it holds; the way back is the same in reverse, and multiplies.",
    ),
    learned="A few bits a weight are enough: trained weights have more digits than their answers need.",
    check=_check_shrink,
)
