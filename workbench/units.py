"""Numbers for people: shares as percent, bytes as kB or MB, seconds as µs to hours. Their unit goes with them."""

from __future__ import annotations

import math

_SPACE = "\N{NO-BREAK SPACE}"


def format_share(share: float, digits: int = 1) -> str:
    """0.9312 -> "93.1 %"; a share short of all, or above nothing, is never rounded to 100 % or 0 %."""
    text = f"{100 * share:.{digits}f}"
    step = 10.0**-digits
    if share < 1 and float(text) >= 100:
        text = f"{100 - step:.{digits}f}"
    if share > 0 and float(text) == 0:
        return f"<{_SPACE}{step:.{digits}f}{_SPACE}%"
    return f"{text}{_SPACE}%"


def format_bytes(count: float) -> str:
    """383_000 -> "383 kB"; decimal units, three significant digits."""
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= 0.9995 * factor:
            return f"{_three_digits(count / factor)}{_SPACE}{unit}"
    return f"{count:.0f}{_SPACE}bytes"


def format_seconds(seconds: float) -> str:
    """9.3e-5 -> "93.0 µs", 41.23 -> "41.2 s", 125 -> "2 min 5 s"; three significant digits below a minute."""
    if seconds >= 59.95:
        minutes, rest = divmod(round(seconds), 60)
        if minutes < 60:
            return f"{minutes}{_SPACE}min{_SPACE}{rest}{_SPACE}s"
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours:,}{_SPACE}h{_SPACE}{minutes}{_SPACE}min"
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= 0.9995 * factor:
            return f"{_three_digits(seconds / factor)}{_SPACE}{unit}"
    return f"{_three_digits(seconds / 1e-9)}{_SPACE}ns" if seconds else f"0{_SPACE}s"


def format_energy(joules: float) -> str:
    """2.1e-3 -> "2.10 mJ"; three significant digits."""
    for factor, unit in ((1e3, "kJ"), (1.0, "J"), (1e-3, "mJ"), (1e-6, "µJ")):
        if joules >= 0.9995 * factor:
            return f"{_three_digits(joules / factor)}{_SPACE}{unit}"
    return f"{_three_digits(joules / 1e-9)}{_SPACE}nJ" if joules else f"0{_SPACE}J"


def format_dollars(dollars: float) -> str:
    """0.01234 -> "US$0.0123", 1234.5 -> "US$1,234"; three significant digits below a thousand."""
    if dollars >= 999.5 or not dollars:
        return f"US${dollars:,.0f}"
    return f"US${dollars:.{max(0, 2 - math.floor(math.log10(dollars)))}f}"


def format_rate(per_second: float) -> str:
    """12_345.6 -> "12,346", 0.31 -> "0.31": how many in a second, whole from ten on, else two significant digits."""
    return f"{per_second:,.0f}" if per_second >= 9.95 else f"{per_second:.2g}"


def format_ratio(ratio: float) -> str:
    """5.31 -> "5.3×", 0.5 -> "0.50×"; two significant digits, whole from ten on."""
    return f"{ratio:,.0f}×" if ratio >= 9.95 else f"{ratio:.1f}×" if ratio >= 0.995 else f"{ratio:#.2g}×"


def format_number(value: object) -> str:
    """Any plain value: whole numbers, and others from a thousand on, with commas; smaller ones to four significant
    digits; the rest as text."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"
    return str(value)


def _three_digits(value: float) -> str:
    return f"{value:#.3g}".rstrip(".")
