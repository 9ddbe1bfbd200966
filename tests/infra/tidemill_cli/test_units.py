"""Quantities as people write them."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest

from tidemill_cli.units import above_zero, count, number, positive, producers, rate, seconds, size


def timeout(text: str) -> float:
    return above_zero(text, "is no time-out above 0")


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (seconds, "2s", 2),
        (seconds, "500ms", 0.5),
        (seconds, "40us", 40e-6),
        (seconds, "1m", 60),
        (seconds, "0.5", 0.5),
        (size, "200", 200),
        (size, "200B", 200),
        (size, "25KB", 25_600),
        (size, "25 KiB", 25_600),
        (size, "1.5k", 1_536),
        (size, "1MB", 1_048_576),
        (number, "1_000", 1_000),
        (number, "10k", 10_000),
        (number, "1.5M", 1_500_000),
        (count, "1,000", 1_000),
        (positive, "7", 7),
        (timeout, "0.5", 0.5),
        (rate, "1000", 1_000),
        (rate, "1000/s", 1_000),
        (rate, "60/min", 1),
        (rate, "8.64M/day", 100),
        (rate, "10k / s", 10_000),
    ],
)
def test_it_is_read(read: Callable[[str], float], text: str, value: float) -> None:
    assert read(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (seconds, "2x", "'2x' is no time; use such as 2s, 500ms or 1m"),
        (seconds, "-1s", "'-1s' is no time"),
        (seconds, "nan", "'nan' is no time"),
        (size, "1.5B", "'1.5B' is no whole number of bytes"),
        (size, "25GB", "'25GB' is no size; use such as 200B or 25KB"),
        (number, "", "'' is no number; use such as 1000, 10k or 1M"),
        (number, "1e9", "'1e9' is no number"),
        (count, "0", "'0' is no whole number of 1 or more"),
        (count, "1.5", "'1.5' is no whole number"),
        (count, "-1", "'-1' is no whole number of 1 or more"),
        (producers, "-1", "'-1' is no whole number of 1 or more"),
        (producers, "1G", "1,000,000 are the most"),
        (rate, "5M/fortnight", "'5M/fortnight' is no rate; use such as 1000, 1000/s or 5M/day"),
        (positive, "0", "'0' is not a positive number"),
        (positive, "1.5", "'1.5' is not a positive number"),
        (positive, "x", "'x' is not a positive number"),
        (timeout, "0", "'0' is no time-out above 0"),
        (timeout, "inf", "'inf' is no time-out above 0"),
        (timeout, "nan", "'nan' is no time-out above 0"),
        (timeout, "x", "'x' is no time-out above 0"),
        (rate, "fast", "'fast' is no rate"),
    ],
)
def test_what_cannot_be_read_is_told_with_what_can(read: Callable[[str], float], text: str, message: str) -> None:
    with pytest.raises(ArgumentTypeError) as told:
        read(text)
    assert message in str(told.value)
