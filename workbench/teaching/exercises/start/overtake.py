"""00-overtake: the batch size from which a GPU has three times a processor's throughput."""

from __future__ import annotations

from workbench.teaching.exercises.answers import number_of
from workbench.teaching.exercises.exercise import Exercise, NotYet

_SIZES = (1, 4, 16, 64, 256)
_GPU, _PROCESSOR = "NVIDIA H100 SXM", "AMD EPYC Zen 5 (2 cores)"
_FOLD = 3


def _check_overtake(answer: object) -> None:
    from workbench.comparing.all_devices import known_devices

    size = number_of(answer, "overtake")
    if size not in _SIZES:
        raise NotYet(f"{size:g} is not one of the batch sizes compared: {', '.join(map(str, _SIZES))}.")
    known = known_devices(batch_sizes=_SIZES).best_of_each("throughput")
    ratios = {}
    for each in _SIZES:
        rates = {row.name: row.value or 0.0 for row in known.rows(each, "throughput")}
        ratios[each] = rates[_GPU] / rates[_PROCESSOR]
    if ratios[int(size)] < _FOLD:
        ahead = "ahead, but not threefold" if ratios[int(size)] > 1 else "not even ahead"
        raise NotYet(f"At batch {size:g} the {_GPU} is {ahead}: divide its images/s by those of {_PROCESSOR} there.")
    if any(ratios[each] >= _FOLD for each in _SIZES if each < size):
        raise NotYet(f"True at batch {size:g}, but not for the first time: look at the smaller batches, too.")


EXERCISE = Exercise(
    id="00-overtake",
    title="Where does the GPU leave the processor behind?",
    kind="read",
    level="warm-up",
    hints=(
        "In the panel, set *Compare by* to *Images a second*: how much gets done, not how long a batch takes.",
        "`wb.known_devices(batch_sizes=…).best_of_each('throughput')` keeps each device's fastest setting. Its "
        "`rows(size, 'throughput')` has one row for each device, with `name` and `value`.",
        "Divide one value by the other at each batch size, starting from the smallest, and stop at the first ratio "
        "of three or more.",
    ),
    learned="One image at a time, two cores are far ahead; it takes a batch to give a large device enough to do.",
    check=_check_overtake,
)
