"""Describe in a sentence what a change of hyper-parameters does to their modelled cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from workbench.hyperparameters import HyperParameters
from workbench.modelling.cost import Cost
from workbench.units import format_bytes, format_number, format_ratio


def describe_change(before: HyperParameters, after: HyperParameters, was: Cost, now: Cost) -> str:
    """Return what changing `before` to `after` did to the cost, in a sentence; empty if nothing changed.

    was, now: the costs of the two, from `cost_of`.

    >>> before = wb.HyperParameters(batch_size=100)
    >>> after = before.replace(batch_size=200)
    >>> describe_change(before, after, wb.cost_of(before), wb.cost_of(after))
    'Twice the batch size: 2.0× the bytes of training and 50 steps in an epoch instead of 100 (modelled).'
    """
    old, new = asdict(before), asdict(after)
    changed = [name for name in new if new[name] != old[name]]
    if not changed:
        return ""
    effects = []
    if now.training_flops != was.training_flops:
        effects.append(f"{format_ratio(now.training_flops / was.training_flops)} the FLOPs")
    if now.training_bytes != was.training_bytes:
        effects.append(f"{format_ratio(now.training_bytes / was.training_bytes)} the bytes of training")
    if now.weight_bytes != was.weight_bytes:
        way = "grow" if now.weight_bytes > was.weight_bytes else "shrink"
        effects.append(f"the weights {way} to {format_bytes(now.weight_bytes)}")
    if now.steps_per_epoch != was.steps_per_epoch:
        effects.append(f"{now.steps_per_epoch:,} steps in an epoch instead of {was.steps_per_epoch:,}")
    if now.epochs != was.epochs:
        effects.append(f"{format_ratio(now.run_flops / was.run_flops)} the FLOPs of the whole run")
    lead = _lead(changed, old, new)
    if effects:
        return f"{lead}: {_listed(effects)} (modelled)."
    if set(changed) <= {"channels_last", "compile", "precision"}:
        return f"{lead}: the modelled cost stays the same. Whether it makes a machine faster has to be measured."
    return f"{lead}: the cost stays the same. What the network learns changes: run it to see."


def _lead(changed: Sequence[str], old: dict[str, object], new: dict[str, object]) -> str:
    if len(changed) > 3:
        return f"{len(changed)} hyper-parameters changed"
    if len(changed) == 1:
        (name,) = changed
        for factor, word in ((2, "Twice"), (0.5, "Half")):
            if name in ("width", "batch_size", "learning_rate") and new[name] == factor * old[name]:  # type: ignore[operator]
                return f"{word} the {_label(name)}"
    parts = [f"{_label(name)} {format_number(new[name])} instead of {format_number(old[name])}" for name in changed]
    text = _listed(parts)
    return text[0].upper() + text[1:]


def _label(name: str) -> str:
    return name.replace("_", " ")


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
