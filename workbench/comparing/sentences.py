"""Put a ranking into words.

The sentences are templates filled with facts, so that a page without Python can fill them too (widgets/comparison.js).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from workbench.comparing.metrics import describe_origin
from workbench.comparing.ranking import (
    DRAW,
    Crossover,
    Ranking,
    Row,
    contests_of,
    crossovers_of,
    leads,
    margin,
    ratio_of,
)
from workbench.comparing.subjects import describe_setting
from workbench.units import format_ratio

TEMPLATES = {
    "latency": "{batch}, {best} {does} in {value} ({origin}){lead}.",
    "throughput": "{batch}, {best} {does} at {value} ({origin}){lead}.",
    "energy": "{batch}, {best} {does} with {value} an image ({origin}){lead}.",
    "memory": "{batch}, {best} {does} in {value} of working memory ({origin}){lead}.",
    "cost": "{batch}, {best} {does} at {value} for a million images ({origin}){lead}.",
    "nothing": "{batch}, {best} {does} with too little {what} to measure ({origin}){lead}.",
    "lead": ", {ratio} {better} {second} ({second_value}, {second_origin})",
    "draw": "; {second} is level with it ({second_value}, {second_origin})",
    "doubt": "; {second} is too close to call with a modelled figure ({second_value}, {second_origin})",
    "beside": "; {second}: {second_value} ({second_origin})",
    "crossover": "{before} is first at batch {last}; from batch {batch_size} on, {after} is clearly ahead of it.",
    "passing crossover": "{before} is first at batch {last}; at batch {batch_size}, {after} is clearly ahead of it.",
    "succession": "{before} is first at batch {last}; of those with a figure at batch {batch_size}, {after} is.",
    "no crossover": "{best} is clearly ahead at every batch size compared, from {first} to {last}.",
    "level": "Nothing is clearly ahead of {best} at any batch size compared, from {first} to {last}.",
    "modelled": "Modelled figures are computed from data sheets; nobody measured them.",
    "no figure": "Neither measured nor modelled: {names}.",
    "no price": "No hourly price is given for {names}.",
    "within": "Within the budget of {budget}: {names}.",
    "breaks": "Over the budget of {budget}: {names}.",
    "below": "Short of the budget of {budget}: {names}.",
    "no size": "{batch}: nothing here has a figure.",
    "nobody": "Nothing keeps within the budget of {budget}.",
}
BETTER = {
    "latency": "as fast as",
    "throughput": "as fast as",
    "energy": "as frugal as",
    "memory": "as small as",
    "cost": "as cheap as",
}

# The name of a template, and the values for its fields.
Fact = tuple[str, Mapping[str, str]]


def fill_templates(facts: Iterable[Fact]) -> list[str]:
    """Return one sentence for each fact."""
    return [TEMPLATES[name].format(**values) for name, values in facts]


def describe_batch(batch_size: int) -> str:
    """Return "One image at a time" or "64 images at once"."""
    return "One image at a time" if batch_size == 1 else f"{batch_size:,} images at once"


def facts_at(ranking: Ranking, batch_size: int) -> list[Fact]:
    """Return what there is to say about one batch size, and about the lead over all batch sizes."""
    rows = ranking.rows.get(batch_size)
    if not rows:
        return [("no size", {"batch": describe_batch(batch_size)})]
    known = [row for row in rows if row.value is not None]
    facts: list[Fact] = []
    if known:
        facts.append(("nothing" if known[0].value == 0 else ranking.metric, _best_fact(ranking, known, batch_size)))
        if len(known) > 1:
            facts += lead_facts(ranking)
    if len(known) < len(rows):
        missing = ", ".join(row.name for row in rows if row.value is None)
        is_cost = ranking.metric == "cost"
        names = missing if is_cost else f"{ranking.quantity.title} of {missing}"
        facts.append(("no price" if is_cost else "no figure", {"names": names}))
    if any(row.measurement.origin == "modelled" for row in known):
        facts.append(("modelled", {}))
    return facts


def lead_facts(ranking: Ranking) -> list[Fact]:
    """Return who leads over the batch sizes; nothing if fewer than two of them can be compared."""
    contests = contests_of(ranking)
    if len(contests) < 2:
        return []
    if crossovers := crossovers_of(ranking):
        return [(_template(each), {name: _text(value) for name, value in vars(each).items()}) for each in crossovers]
    best = contests[0][1][0].name
    always = all(best == rows[0].name and all(leads(rows[0], row) for row in rows[1:]) for _, rows in contests)
    values = {"best": best, "first": _text(contests[0][0]), "last": _text(contests[-1][0])}
    return [("no crossover" if always else "level", values)]


def budget_facts(ranking: Ranking, batch_size: int, limit: float) -> list[Fact]:
    """Return who keeps within `limit`, in the unit of the metric, and who does not.

    The limit is a maximum, or a minimum if higher values are better.
    """
    quantity = ranking.quantity
    budget = quantity.text(limit)
    within: list[Row] = []
    beyond: list[Row] = []
    for row in ranking.rows.get(batch_size, ()):
        if row.value is not None:
            keeps = row.value >= limit if quantity.higher_wins else row.value <= limit
            (within if keeps else beyond).append(row)
    facts: list[Fact] = []
    if within:
        facts.append(("within", {"budget": budget, "names": ", ".join(row.name for row in within)}))
    elif beyond:
        facts.append(("nobody", {"budget": budget}))
    if beyond:
        names = ", ".join(f"{row.name} ({row.text})" for row in beyond)
        facts.append(("below" if quantity.higher_wins else "breaks", {"budget": budget, "names": names}))
    return facts


def _best_fact(ranking: Ranking, known: list[Row], batch_size: int) -> dict[str, str]:
    best = known[0]
    return {
        "batch": describe_batch(batch_size),
        "best": best.name,
        "does": "takes a training step" if ranking.phase == "training" else "answers",
        "what": ranking.metric,
        "value": best.text,
        "origin": _origin(ranking, best),
        "lead": _lead(ranking, best, known[1]) if len(known) > 1 else "",
    }


def _lead(ranking: Ranking, best: Row, second: Row) -> str:
    ratio = ratio_of(best, second)
    is_assumed = any(ranking.quantity.assumes(row.measurement) for row in (best, second))
    if is_assumed or math.isinf(ratio):
        template = "beside"
    elif leads(best, second):
        template = "lead"
    else:
        template = "draw" if margin(best, second) == DRAW else "doubt"
    return TEMPLATES[template].format(
        ratio=format_ratio(ratio),
        better=BETTER[ranking.metric],
        second=second.name,
        second_value=second.text,
        second_origin=_origin(ranking, second),
    )


def _origin(ranking: Ranking, row: Row) -> str:
    """Return the origin, after the engine if the subject's name does not contain it."""
    origin = describe_origin(row.measurement)
    return f"{describe_setting(row.measurement)}, {origin}" if ranking.by_device else origin


def _template(crossover: Crossover) -> str:
    return "succession" if not crossover.met else "crossover" if crossover.lasting else "passing crossover"


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
