"""Format numbers with their units for people: percent, kB to TB, ns to hours, µJ to kJ, dollars."""

from __future__ import annotations

import math
from collections.abc import Mapping

BYTES_PER_VALUE = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}

_SPACE = "\N{NO-BREAK SPACE}"
_BYTES = {"TB": 1e12, "GB": 1e9, "MB": 1e6, "kB": 1e3}
_SECONDS = {"s": 1.0, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}
_JOULES = {"kJ": 1e3, "J": 1.0, "mJ": 1e-3, "µJ": 1e-6, "nJ": 1e-9}


def format_share(share: float, digits: int = 1) -> str:
    r"""Return a share from 0 to 1 as percent; one short of 1, or above 0, is never rounded to 100 % or 0 %.

    >>> format_share(0.9312), format_share(0.99999)
    ('93.1\xa0%', '99.9\xa0%')
    """
    text = f"{100 * share:.{digits}f}"
    step = 10.0**-digits
    if share < 1 and float(text) >= 100:
        text = f"{100 - step:.{digits}f}"
    if share > 0 and float(text) == 0:
        return f"<{_SPACE}{step:.{digits}f}{_SPACE}%"
    return f"{text}{_SPACE}%"


def format_bytes(count: float) -> str:
    r"""Return a size in decimal units, with three significant digits.

    >>> format_bytes(383_456)
    '383\xa0kB'
    """
    return f"{count:.0f}{_SPACE}bytes" if count < 999.5 else _scaled(count, _BYTES)


def format_seconds(seconds: float) -> str:
    r"""Return a duration with three significant digits below a minute, in minutes or hours above.

    >>> format_seconds(9.3e-5), format_seconds(125)
    ('93.0\xa0µs', '2\xa0min\xa05\xa0s')
    """
    if seconds < 59.95:
        return _scaled(seconds, _SECONDS) if seconds else f"0{_SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{_SPACE}min{_SPACE}{rest}{_SPACE}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,}{_SPACE}h{_SPACE}{minutes}{_SPACE}min"


def format_energy(joules: float) -> str:
    r"""Return an energy with three significant digits.

    >>> format_energy(2.1e-3)
    '2.10\xa0mJ'
    """
    return _scaled(joules, _JOULES) if joules else f"0{_SPACE}J"


def format_dollars(dollars: float) -> str:
    """Return a price in US dollars, with three significant digits below a thousand.

    >>> format_dollars(0.01234), format_dollars(1234.5)
    ('US$0.0123', 'US$1,234')
    """
    if dollars >= 999.5 or not dollars:
        return f"US${dollars:,.0f}"
    return f"US${dollars:.{max(0, 2 - math.floor(math.log10(dollars)))}f}"


def format_rate(per_second: float) -> str:
    """Return a number per second: whole from ten on, with two significant digits below.

    >>> format_rate(12_345.6), format_rate(0.31)
    ('12,346', '0.31')
    """
    return f"{per_second:,.0f}" if per_second >= 9.95 else f"{per_second:.2g}"


def format_ratio(ratio: float) -> str:
    """Return a ratio, whole from ten on, with two significant digits below.

    >>> format_ratio(5.31), format_ratio(0.5)
    ('5.3×', '0.50×')
    """
    return f"{ratio:,.0f}×" if ratio >= 9.95 else f"{ratio:.1f}×" if ratio >= 0.995 else f"{ratio:#.2g}×"


def format_number(value: object) -> str:
    """Return any plain value as text: numbers from a thousand on with commas, smaller ones to four significant digits.

    >>> format_number(94_762), format_number(0.00051234), format_number(True)
    ('94,762', '0.0005123', 'yes')
    """
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"
    return str(value)


def _scaled(value: float, units: Mapping[str, float]) -> str:
    """Return `value` in the largest of `units` that it fills, or else in the smallest."""
    unit = next((unit for unit, factor in units.items() if value >= 0.9995 * factor), list(units)[-1])
    return f"{value / units[unit]:#.3g}".rstrip(".") + _SPACE + unit
