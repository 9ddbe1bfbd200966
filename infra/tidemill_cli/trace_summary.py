"""A log in sentences: its span, rates, keys, clients and unreadable lines.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/cost/test_command.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from tidemill_load.logs import lines_of

if TYPE_CHECKING:
    from tidemill_load.assessment.survey import Surveyed
    from tidemill_load.logs import Log


SILENCE = 0.2
"""A share of the time without requests, at its end, that is told."""


def told(log: Log, found: Surveyed, seconds: float | None) -> Iterator[str]:
    """Lines of a sentence or two: span, rates, keys and clients, unreadable lines.

    Args:
        log: the log, just read.
        found: what there was in it.
        seconds: that were asked for, at the speed; None for all of it.
    """
    traffic = found.traffic
    files = f"{len(log.files):,} files" if len(log.files) > 1 else log.files[0].name
    yield f"{files}, {' and '.join(log.formats)}: {_many(traffic.requests, 'request')}, {_span(found)}."
    yield from _sampled(found, seconds)
    minutes = found.minutes
    yield (
        f"{_figure(traffic.rate)} requests a second; a minute has {np.median(minutes):,.0f} in the median, "
        f"{minutes.min():,.0f} to {minutes.max():,.0f}; the busiest second has {traffic.busiest:,.0f}."
    )
    clients = _many(found.clients, "client") if traffic.clients else "no clients told apart"
    yield (
        f"{_many(found.keys.count, 'key')}; the most popular has {_percent(found.keys.hottest)} of the requests, as by "
        f"Zipf's law with {found.keys.skew:g}; {clients}."
    )
    yield from _unreadable(log) if log.unreadable else ("Every line is readable.",)
    if log.without:
        hold = "hold" if len(log.without) > 1 else "holds"
        yield f"{_many(len(log.without), 'file')} of the folder {hold} no request, such as {log.without[0].name}."


def excerpted(log: Log, found: Surveyed, speed: float) -> Iterator[str]:
    """Which part of a log is replayed.

    Args:
        log: the log.
        found: the part, at that speed.
        speed: times real time.
    """
    traffic = found.traffic
    sent = np.flatnonzero(traffic.slots)
    last = float(sent[-1]) + 1 if len(sent) else 0.0
    files = f"{len(log.files):,} files" if len(log.files) > 1 else log.files[0].name
    yield (
        f"of {files} ({' and '.join(log.formats)}): the first {_long(traffic.seconds * speed)}, in "
        f"{_long(traffic.seconds)}: {_many(traffic.requests, 'request')}, {_figure(traffic.rate)} a second, "
        f"{traffic.busiest:,.0f} in the busiest; {_many(found.keys.count, 'key')}, {_many(found.clients, 'client')}"
    )
    if traffic.seconds - last > SILENCE * traffic.seconds:
        yield f"the last of them comes after {_long(last)}; the silence after it is paid for as well"
    if log.unreadable:
        yield from _unreadable(log)


def as_json(log: Log, found: Surveyed) -> dict[str, Any]:
    """The log and the part of it that was read, for programs that read the command's JSON."""
    traffic = found.traffic
    return {
        "files": len(log.files),
        "formats": list(log.formats),
        "begin": _moment(found.begin),
        "seconds": traffic.seconds,
        "speed": found.speed,
        "requests": traffic.requests,
        "rate": traffic.rate,
        "requests_per_minute": found.minutes.tolist(),
        "busiest_second": traffic.busiest,
        "keys": found.keys.count,
        "skew": found.keys.skew,
        "hottest": found.keys.hottest,
        "clients": found.clients if traffic.clients else None,
        "unreadable": log.unreadable,
        "first_unreadable": [
            {"file": one.path.name, "line": one.line, "reason": one.reason} for one in log.first_unreadable
        ],
    }


def hour_of(found: Surveyed, number: int) -> str:
    """When an hour of a log began."""
    return _moment(found.begin + 3600 * number * found.speed)[:16].replace("T", " ")


def _unreadable(log: Log) -> Iterator[str]:
    yield "1 line is not readable:" if log.unreadable == 1 else f"{log.unreadable:,} lines are not readable, such as:"
    yield from (f"  {line}" for line in lines_of(log))


def _sampled(found: Surveyed, seconds: float | None) -> Iterator[str]:
    if seconds is None:
        return
    speed = f" at {found.speed:g} times its speed, {_long(seconds * found.speed)} of it" if found.speed != 1 else ""
    yield f"Only the first {_long(seconds)}{speed} were read."


def _span(found: Surveyed) -> str:
    seconds = found.traffic.seconds * found.speed
    return f"{_long(seconds)} from {_moment(found.begin)} on"


def _moment(begin: float) -> str:
    try:
        return datetime.fromtimestamp(begin, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):  # beyond the calendar
        return f"second {begin:,.0f}"


def _long(seconds: float) -> str:
    for unit, name in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.3g} {name}"
    return f"{seconds:,.3g} seconds"


def _figure(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"


def _many(number: float, what: str) -> str:
    return f"{number:,.0f} {what}{'' if number == 1 else 's'}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{100 * share:.2g}%"
