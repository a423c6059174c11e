"""Decisions based on a comparison: what can be chosen, for which figure, within which limit, and what would refute it.

Sentences are templates filled with facts, so that the widget's JavaScript can fill them without a kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from workbench.comparing.comparison import Comparison
from workbench.comparing.metrics import METRICS, describe_origin
from workbench.comparing.ranking import DOUBT
from workbench.comparing.subjects import describe_setting
from workbench.errors import WorkbenchError
from workbench.measuring.measurement import Measurement
from workbench.teaching.guesses import bare_number, read_number
from workbench.units import format_bytes, format_energy, format_number, format_seconds
from workbench.wording import shorten

TEMPLATES = {
    "figure": "{device} with {setting}, {batch}; chosen for its {metric}: {value} ({origin}).",
    "no figure": "{device} with {setting}, {batch}; chosen for its {metric}: no figure.",
    "one": "one image at a time",
    "many": "{count} images at once",
    "limit": "It must not break: {limit}.",
    "at most": "{title}, at most {at_most} {unit}",
    "none": "It has no limit.",
    "keeps": "It stays within that: {value} ({origin}).",
    "breaks": "It exceeds that: {value} ({origin}).",
    "doubt": "A modelled figure is too rough to tell whether it stays within that: {value} ({origin}).",
    "unknown": "There is no figure to compare with that.",
    "proof": "It would be proved wrong by: {proof}.",
}
NOTHING = "too little to measure"
MAX_WORDS, MAX_PROOF = 200, 500  # characters
CHOICE = ("device", "setting", "batch_size", "metric", "limit", "at_most", "words", "proof")
FACTS = {*CHOICE, "engine", "precision", "threads", "value", "text", "origin", "source"}
FACTS |= {"must_not_break", "verdict", "sentences"}

Offer = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Limit:
    """An upper limit on a figure. value: the figure of a measurement in SI units; factor: one `unit` in SI units."""

    title: str
    unit: str = ""
    factor: float = 1.0
    value: Callable[[Measurement], float | None] = lambda _: None
    format: Callable[[float], str] = format_number


LIMITS: dict[str, Limit] = {
    "none": Limit(title="no limit"),
    "latency": Limit(
        title="time of a batch", unit="ms", factor=1e-3, value=METRICS["latency"].value, format=format_seconds
    ),
    "energy": Limit(
        title="energy of an image", unit="mJ", factor=1e-3, value=METRICS["energy"].value, format=format_energy
    ),
    "memory": Limit(
        title="working memory of a batch", unit="MB", factor=1e6, value=METRICS["memory"].value, format=format_bytes
    ),
    "power": Limit(
        title="mean power under load",
        unit="W",
        value=lambda m: None if m.energy_joules is None else m.energy_joules / m.latency.p50,
        format=lambda watts: f"{format_number(watts)} W",
    ),
    "price": Limit(title="price of the device", unit="dollars"),  # no measurement contains it
    "other": Limit(title="something else"),
}


def offers_of(comparison: Comparison) -> list[Offer]:
    """Return one option per measurement, as plain values.

    setting: engine, precision and threads in words; figures: value and text by metric; held: value and text by the
    limit that they are compared with.

    >>> from workbench.teaching.decisions import offers_of
    >>> offers_of(wb.known_devices(batch_sizes=(1,)))[0]["batch_size"]
    1
    """
    origins: dict[str, set[str]] = {}
    for m in comparison.measurements:
        origins.setdefault(m.device, set()).add(m.origin)
    return [
        {
            "device": m.device if len(origins[m.device]) == 1 else f"{m.device} ({m.origin})",
            "setting": describe_setting(m),
            "engine": m.engine,
            "precision": m.precision,
            "threads": m.threads,
            "batch_size": m.batch_size,
            "origin": describe_origin(m),
            "source": m.source,
            "modelled": m.origin == "modelled",
            "figures": {
                name: [value, how.format(m)] for name, how in METRICS.items() if (value := how.value(m)) is not None
            },
            "held": {
                name: [value, limit.format(value) if value else NOTHING]
                for name, limit in LIMITS.items()
                if (value := limit.value(m)) is not None
            },
        }
        for m in comparison.measurements
    ]


def checked_choice(
    offers: Sequence[Offer],
    device: str,
    setting: str,
    batch_size: int,
    *,
    metric: str = "latency",
    limit: str = "none",
    at_most: float | str = "",
    words: str = "",
    proof: str = "",
) -> dict[str, Any]:
    """Return a valid choice among `offers`, as plain values. Raise WorkbenchError naming what is missing or invalid.

    setting: the full setting, or the engine alone if it identifies the setting. at_most: in the limit's unit.
    """
    here = [offer for offer in offers if offer["device"] == device]
    if not here:
        raise _unknown("a device", device, [offer["device"] for offer in offers])
    named = {offer["setting"] for offer in here if setting in (offer["setting"], offer["engine"])}
    if len(named) != 1:
        raise _unknown(f"an engine of {device}", setting, [offer["setting"] for offer in here])
    sizes = sorted({offer["batch_size"] for offer in offers})
    for what, chosen, known in (
        ("a batch size", batch_size, sizes),
        ("what it is chosen for", metric, METRICS),
        ("what it must not break", limit, LIMITS),
    ):
        if chosen not in list(known):  # `in` a dict would raise for an unhashable value from the browser
            raise _unknown(what, chosen, known)
    return {
        "device": device,
        "setting": named.pop(),
        "batch_size": int(batch_size),
        "metric": metric,
        "limit": limit,
        "at_most": _limit(at_most, LIMITS[limit].unit),
        "words": _line(words, MAX_WORDS, "What it must not break") if limit == "other" else "",
        "proof": _line(proof, MAX_PROOF, "What could prove it wrong"),
    }


def facts_of(choice: Mapping[str, Any], offers: Sequence[Offer]) -> dict[str, Any]:
    """Return a checked choice with all that follows from it: the FACTS.

    At a batch size that was not measured, the text is "no figure" and the value None.
    """
    like = [offer for offer in offers if all(offer[name] == choice[name] for name in ("device", "setting"))]
    offer = next((offer for offer in like if offer["batch_size"] == choice["batch_size"]), None)
    value, text = (offer["figures"] if offer else {}).get(choice["metric"], (None, "no figure"))
    return {
        **choice,
        **{name: like[0][name] for name in ("engine", "precision", "threads")},
        "value": value,
        "text": text,
        "origin": offer["origin"] if offer else "",
        "source": offer["source"] if offer else "",
        "must_not_break": must_not_break(choice),
        "verdict": verdict(choice, offer),
        "sentences": sentences(choice, offer),
    }


def must_not_break(choice: Mapping[str, Any]) -> str:
    """The limit of a decision in words, such as "time of a batch, at most 5 ms"; "" without one."""
    if choice["limit"] in ("none", "other"):
        return str(choice["words"]) if choice["limit"] == "other" else ""
    limit = LIMITS[choice["limit"]]
    return TEMPLATES["at most"].format(title=limit.title, at_most=choice["at_most"], unit=limit.unit)


def verdict(choice: Mapping[str, Any], offer: Offer | None) -> str:
    """Whether the choice stays within its limit, as the name of a template; "" without a limit on a figure."""
    limit = choice["limit"]
    if limit in ("none", "other"):
        return ""
    if offer is None or limit not in offer["held"]:
        return "unknown"
    value, at_most = offer["held"][limit][0], read_number(choice["at_most"]) * LIMITS[limit].factor
    if offer["modelled"] and value < at_most * DOUBT and at_most < value * DOUBT:
        return "doubt"
    return "keeps" if value <= at_most else "breaks"


def sentences(choice: Mapping[str, Any], offer: Offer | None) -> list[str]:
    """A decision in words. choice: of the names in CHOICE; offer: the option chosen, None if it was not measured."""
    size, metric = choice["batch_size"], choice["metric"]
    figure = offer["figures"].get(metric) if offer else None
    facts = {
        "device": choice["device"],
        "setting": choice["setting"],
        "batch": TEMPLATES["one"] if size == 1 else TEMPLATES["many"].format(count=f"{size:,}"),
        "metric": METRICS[metric].title,
        "value": figure[1] if figure else "",
        "origin": offer["origin"] if offer else "",
    }
    limit, kept = must_not_break(choice), verdict(choice, offer)
    lines = [TEMPLATES["figure" if figure else "no figure"].format(**facts)]
    lines.append(TEMPLATES["limit"].format(limit=limit.rstrip(".")) if limit else TEMPLATES["none"])
    if kept:
        held = offer["held"].get(choice["limit"], [0, ""])[1] if offer else ""
        lines.append(TEMPLATES[kept].format(value=held, origin=facts["origin"]))
    return [*lines, TEMPLATES["proof"].format(proof=choice["proof"].rstrip("."))]


def _unknown(what: str, chosen: object, known: Iterable[object]) -> WorkbenchError:
    names = "; ".join(map(str, dict.fromkeys(known))) or "there are none yet"
    return WorkbenchError(f"Choose {what} ({names}), not {shorten(repr(chosen))}.")


def _limit(at_most: float | str, unit: str) -> str:
    """The limit as a bare number; "" for a limit without a unit."""
    if not unit:
        return ""
    typed = f"{at_most:.15g}" if isinstance(at_most, Real) and not isinstance(at_most, bool) else str(at_most)
    try:
        read_number(typed, unit)
    except WorkbenchError as error:
        raise WorkbenchError(f"What it must not break, in {unit}: {error}") from error
    return bare_number(typed, unit)


def _line(text: object, at_most: int, what: str) -> str:
    """The learner's words on one line."""
    line = " ".join(text.split()) if isinstance(text, str) else ""
    if not line:
        raise WorkbenchError(f"{what}: say it in a few words.")
    if len(line) > at_most:
        raise WorkbenchError(f"{what}: {len(line)} characters are too many; the maximum is {at_most}.")
    return shorten(line, at_most)
