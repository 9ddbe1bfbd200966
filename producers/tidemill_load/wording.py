"""Numbers as people read them: three digits, a unit, and no more.

Room: load. Pure.
Tests: tests/producers/tidemill_load/report/test_report.py.
"""

from __future__ import annotations

from math import floor, log10

_SECONDS = ((1e-6, "µs"), (1e-3, "ms"), (1.0, "s"))
_MINUTE = 60.0
_HOUR = 3600.0


def number(value: float, digits: int = 3) -> str:
    """Up to so many significant digits, thousands apart: 0.0571, 5.28, 12, 5,000, 1,234,567."""
    if value == 0:
        return "0"
    places = max(0, digits - 1 - floor(log10(abs(value))))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(seconds: float) -> str:
    """In the unit that suits: 850 µs, 30 ms, 5.3 s, 4 min, 1.5 h."""
    if seconds == 0:
        return "0 s"
    if seconds >= _HOUR:
        return f"{number(seconds / _HOUR, 2)} h"
    if seconds >= 2 * _MINUTE:
        return f"{number(seconds / _MINUTE, 2)} min"
    size, unit = next((one for one in reversed(_SECONDS) if seconds >= one[0]), _SECONDS[0])
    return f"{number(seconds / size, 2)} {unit}"


def dollars(value: float) -> str:
    """$1.22, $0.043, $0.0044, $12,345."""
    return f"${value:,.2f}" if 0.1 <= value < 100 else f"${number(value, 2)}"


def times(ratio: float) -> str:
    """How many times: 1.4x, 417x."""
    return f"{number(ratio, 2 if ratio < 10 else 3)}x"


def counted(how_many: float, what: str) -> str:
    """With the noun in the right number: 1 invocation, 12 invocations."""
    said = number(how_many)
    return f"{said} {what}{'' if said == '1' else 's'}"


def a_second(rate: float) -> str:
    """A rate: 1 request a second, 100 requests a second."""
    return f"{counted(rate, 'request')} a second"


def listed(words: list[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
