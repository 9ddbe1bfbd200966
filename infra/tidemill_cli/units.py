"""Quantities as people write them: 2s, 25KB, 5M/day.

Room: command line. For argparse: what cannot be read raises ArgumentTypeError, with what can.
"""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Mapping

_QUANTITY = re.compile(r"\s*(\d[\d_,]*\.?\d*|\.\d+)\s*([^\s\d]*)\s*")

_SECONDS = {"": 1.0, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_BYTES = {"": 1.0, "b": 1.0} | {
    f"{prefix}{suffix}": 1024.0**power for power, prefix in ((1, "k"), (2, "m")) for suffix in ("", "b", "ib")
}
_NUMBERS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_SPANS = {"s": 1.0, "sec": 1.0, "second": 1.0, "min": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}
_SPANS |= {"d": 86_400.0, "day": 86_400.0, "month": 730 * 3600.0}


def seconds(text: str) -> float:
    """A time in seconds: 2s, 500ms, 1m, or a plain number of seconds."""
    return _read(text, _SECONDS, "a time", "2s, 500ms or 1m")


def size(text: str) -> int:
    """A size in bytes: 200B, 25KB (of 1,024 bytes), or a plain number of bytes."""
    found = _read(text, _BYTES, "a size", "200B or 25KB")
    if found != int(found):
        raise ArgumentTypeError(f"{text!r} is no whole number of bytes")
    return int(found)


def number(text: str) -> float:
    """A number: 1000, 10k, 1M."""
    return _read(text, _NUMBERS, "a number", "1000, 10k or 1M")


def count(text: str) -> int:
    """A whole number, 1 or more: 1000, 10k, 1M."""
    negative = text.lstrip().startswith("-")
    found = 0 if negative else number(text)
    if found < 1 or found != int(found):
        raise ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return int(found)


MOST_PRODUCERS = 1_000_000
"""As many as one process can hold: each takes about a kilobyte."""


def producers(text: str) -> int:
    """A number of producers, 1 to `MOST_PRODUCERS`: 1, 10k."""
    found = count(text)
    if found > MOST_PRODUCERS:
        raise ArgumentTypeError(f"{text!r} are too many producers; {MOST_PRODUCERS:,} are the most")
    return found


def positive(text: str) -> int:
    """A whole number above 0, without a unit."""
    try:
        found = int(text)
    except ValueError:
        found = 0
    if found < 1:
        raise ArgumentTypeError(f"{text!r} is not a positive number")
    return found


def above_zero(text: str, problem: str) -> float:
    """A finite number above 0 without a unit.

    Args:
        text: to be read.
        problem: what is said of any other text, such as "is no number of seconds above 0".
    """
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise ArgumentTypeError(f"{text!r} {problem}")
    return found


def rate(text: str) -> float:
    """A rate per second: 1000, 10k, 1000/s, 5M/day."""
    amount, slash, span = text.partition("/")
    name = span.strip().lower()
    if slash and name not in _SPANS:
        raise ArgumentTypeError(f"{text!r} is no rate; use such as 1000, 1000/s or 5M/day")
    return _read(amount, _NUMBERS, "a rate", "1000, 1000/s or 5M/day") / (_SPANS[name] if slash else 1.0)


def _read(text: str, units: Mapping[str, float], what: str, examples: str) -> float:
    found = _QUANTITY.fullmatch(text)
    unit = found[2].lower() if found else ""
    if not found or unit not in units:
        raise ArgumentTypeError(f"{text!r} is no {what.partition(' ')[2]}; use such as {examples}")
    return float(found[1].replace("_", "").replace(",", "")) * units[unit]
