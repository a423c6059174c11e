"""What a comparison offers to decide between, and a decision in words: for which figure, within which limit, and what
would prove it wrong.

The sentences are templates filled with facts, so that a page without Python can fill them too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.comparison import Comparison, setting_of
from workbench.errors import WorkbenchError
from workbench.guesses import bare_number, read_number
from workbench.measurement import Measurement
from workbench.metrics import METRICS, told_origin
from workbench.ranking import DOUBT
from workbench.sealed import shortened
from workbench.units import format_bytes, format_energy, format_number, format_seconds

TEMPLATES = {
    "figure": "{device} with {setting}, {batch}; chosen for its {metric}: {value} ({origin}).",
    "no figure": "{device} with {setting}, {batch}; chosen for its {metric}: no figure.",
    "one": "one picture at a time",
    "many": "{count} pictures at once",
    "limit": "It must not break: {limit}.",
    "at most": "{title}, at most {at_most} {unit}",
    "none": "It has no limit to keep.",
    "keeps": "It keeps within that: {value} ({origin}).",
    "breaks": "It breaks that: {value} ({origin}).",
    "doubt": "A modelled figure is too rough to tell whether it keeps within that: {value} ({origin}).",
    "unknown": "There is no figure to set against that.",
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
    """What a decision must not break: at most so much, in `unit`, which is `factor` of what `value` gives."""

    title: str
    unit: str = ""
    factor: float = 1.0
    value: Callable[[Measurement], float | None] = lambda _: None
    text: Callable[[float], str] = format_number


LIMITS: dict[str, Limit] = {
    "none": Limit(title="no limit"),
    "latency": Limit(
        title="time of a batch", unit="ms", factor=1e-3, value=METRICS["latency"].value, text=format_seconds
    ),
    "energy": Limit(
        title="energy of a picture", unit="mJ", factor=1e-3, value=METRICS["energy"].value, text=format_energy
    ),
    "memory": Limit(
        title="working memory of a batch", unit="MB", factor=1e6, value=METRICS["memory"].value, text=format_bytes
    ),
    "power": Limit(
        title="mean power while it works",
        unit="W",
        value=lambda m: None if m.energy_joules is None else m.energy_joules / m.latency.p50,
        text=lambda watts: f"{format_number(watts)} W",
    ),
    "price": Limit(title="price of the device", unit="dollars"),  # which no measurement tells
    "other": Limit(title="something else"),
}


def offers_of(comparison: Comparison) -> list[Offer]:
    """Each measurement as something to choose, in plain values. setting: engine, precision and threads in words;
    figures: by metric, value and text; held: by limit, the figure that is held against it, likewise."""
    origins: dict[str, set[str]] = {}
    for m in comparison.measurements:
        origins.setdefault(m.device, set()).add(m.origin)
    return [
        {
            "device": m.device if len(origins[m.device]) == 1 else f"{m.device} ({m.origin})",
            "setting": setting_of(m),
            "engine": m.engine,
            "precision": m.precision,
            "threads": m.threads,
            "batch_size": m.batch_size,
            "origin": told_origin(m),
            "source": m.source,
            "modelled": m.origin == "modelled",
            "figures": {
                name: [value, how.told(m)] for name, how in METRICS.items() if (value := how.value(m)) is not None
            },
            "held": {
                name: [value, limit.text(value) if value else NOTHING]
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
    """A choice among `offers`, of plain values. Raises WorkbenchError that names what is missing or cannot be chosen.

    setting: in full, or the engine alone where the device has one setting with it.
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
        if chosen not in list(known):  # whatever a browser sends: it may be no key at all
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
    """A checked choice with all that follows from it, the FACTS. At a batch size at which this was not measured, there
    is "no figure"."""
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
    """The limit of a decision in words: "time of a batch, at most 5 ms"; "" for none."""
    if choice["limit"] in ("none", "other"):
        return str(choice["words"]) if choice["limit"] == "other" else ""
    limit = LIMITS[choice["limit"]]
    return TEMPLATES["at most"].format(title=limit.title, at_most=choice["at_most"], unit=limit.unit)


def verdict(choice: Mapping[str, Any], offer: Offer | None) -> str:
    """Whether what was chosen keeps within its limit, as the name of a template; "" where there is none to compare."""
    kind = choice["limit"]
    if kind in ("none", "other"):
        return ""
    if offer is None or kind not in offer["held"]:
        return "unknown"
    value, most = offer["held"][kind][0], read_number(choice["at_most"]) * LIMITS[kind].factor
    if offer["modelled"] and value < most * DOUBT and most < value * DOUBT:
        return "doubt"
    return "keeps" if value <= most else "breaks"


def sentences(choice: Mapping[str, Any], offer: Offer | None) -> list[str]:
    """A decision in words. choice: device, setting, batch_size, metric, limit, at_most, words, proof; offer: what is
    known of it, None where nothing was measured."""
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
    limit, held = must_not_break(choice), verdict(choice, offer)
    said = [TEMPLATES["figure" if figure else "no figure"].format(**facts)]
    said.append(TEMPLATES["limit"].format(limit=limit.rstrip(".")) if limit else TEMPLATES["none"])
    if held:
        against = offer["held"].get(choice["limit"], [0, ""])[1] if offer else ""
        said.append(TEMPLATES[held].format(value=against, origin=facts["origin"]))
    return [*said, TEMPLATES["proof"].format(proof=choice["proof"].rstrip("."))]


def _unknown(what: str, chosen: object, known: Iterable[object]) -> WorkbenchError:
    names = "; ".join(map(str, dict.fromkeys(known))) or "there is none yet"
    return WorkbenchError(f"Choose {what} ({names}), not {shortened(repr(chosen))}.")


def _limit(at_most: float | str, unit: str) -> str:
    """A limit as a bare number; "" where none is wanted."""
    if not unit:
        return ""
    typed = at_most if isinstance(at_most, str) else format_number(at_most)
    try:
        read_number(typed, unit)
    except WorkbenchError as error:
        raise WorkbenchError(f"What it must not break, in {unit}: {error}") from error
    return bare_number(typed, unit)


def _line(text: object, most: int, what: str) -> str:
    """Words of the learner as one line."""
    line = " ".join(text.split()) if isinstance(text, str) else ""
    if not line:
        raise WorkbenchError(f"{what}: say it in a few words.")
    if len(line) > most:
        raise WorkbenchError(f"{what}: {len(line)} characters are too many, {most} is the most.")
    return shortened(line, most)
