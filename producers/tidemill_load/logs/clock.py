"""Times as logs write them, in seconds since 1970.

Room: load, logs; pure. Lines of one second repeat its text, so each text is read once. What is no time is not a number.
Tests: tests/producers/tidemill_load/logs/test_formats.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import nan
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tidemill_load.logs.columns import Times

KEPT = 100_000
"""Texts that are remembered; then all are forgotten."""

_COUNT = re.compile(r"\d{1,20}(?:\.\d*)?(?:[eE]\+?\d+)?")


class Clock(dict[bytes, float]):
    """Seconds since 1970 by text. A dict, for a look-up without a call.

    Args:
        parse: reads a text that is not known yet; raises ValueError or OverflowError at what is no time.
    """

    def __init__(self, parse: Callable[[str], float]) -> None:
        self._parse = parse

    def __missing__(self, text: bytes) -> float:
        if len(self) >= KEPT:
            self.clear()
        try:
            found = self._parse(text.decode("ascii"))
        except (ValueError, OverflowError):
            found = nan
        self[text] = found
        return found

    def times(self, texts: Sequence[bytes]) -> Times:
        """Of all texts."""
        return np.fromiter(map(self.__getitem__, texts), np.float64, len(texts))


def fractions(texts: Sequence[bytes]) -> Times:
    """What stands behind the seconds, such as ".186641", or nothing."""
    if b"" in texts:
        texts = [text or b"0" for text in texts]
    return np.fromiter(map(float, texts), np.float64, len(texts))


def access_log_time(text: str) -> float:
    """Such as "01/Aug/1995:00:00:01 -0400"."""
    day, _, rest = text.partition(":")
    clock, _, zone = rest.partition(" ")
    return _midnight(day, zone) + _seconds(clock)


def iso_time(text: str) -> float:
    """Such as "2018-07-02T22:23:00.186641Z"; of the world's time where no zone is named."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def iso_second(text: str) -> float:
    """Such as "2018-07-02T22:23:00", of the world's time."""
    return _day(text[:10]) + _seconds(text[11:])


def any_time(text: str) -> float:
    """Of a log of one's own: a count since 1970, ISO 8601, or as access logs have it."""
    if _COUNT.fullmatch(text):
        return in_seconds(float(text))
    try:
        return iso_time(text.strip())
    except ValueError:
        return access_log_time(text.strip().strip("[]"))


def in_seconds(count: float) -> float:
    """A count since 1970 whose size tells its unit: seconds up to the year 5138, then milli-, micro-, nanoseconds."""
    for limit, unit in ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6)):
        if abs(count) < limit:
            return count / unit
    return count / 1e9 if abs(count) < 1e20 else nan


def _seconds(clock: str) -> float:
    hours, minutes, seconds = map(int, clock.split(":"))
    if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds <= 60):
        raise ValueError(clock)
    return 3600.0 * hours + 60 * minutes + seconds


@lru_cache(maxsize=1024)
def _midnight(day: str, zone: str) -> float:
    return datetime.strptime(f"{day} {zone}", "%d/%b/%Y %z").timestamp()


@lru_cache(maxsize=1024)
def _day(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
