"""`tidemill cost --trace`: a log is read and told, and shown hour by hour and by window.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/cost/test_command.py.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from rich.table import Table

from tidemill_cli.arguments.trace import Misused, fields_of
from tidemill_cli.trace_summary import as_json, hour_of
from tidemill_load.assessment.hourly import Hour, Window, hourly, windows
from tidemill_load.assessment.survey import Surveyed, survey
from tidemill_load.cost_model.advice import BUFFERING, Advice, dollars, within
from tidemill_load.logs import Columns, Log, read_log

if TYPE_CHECKING:
    from tidemill_load.cost_model.assumptions import Assumptions
    from tidemill_load.cost_model.prices import Prices

PROGRESS_SECONDS = 5.0
"""Between two lines on how far reading is."""

ROWS = 48
"""Hours that are shown one by one; of a longer log the hours of the day are."""

OF_THE_LOG = ("keys", "skew", "key_size")
"""Options that a log answers."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A log that was read."""

    log: Log
    found: Surveyed


def read(args: argparse.Namespace) -> Logged:
    """Read the log that the arguments name.

    Raises:
        Misused: arguments do not go together.
        TraceError: it is no log.
        TooLong: it has too many hours.
    """
    for name in OF_THE_LOG:
        if getattr(args, name) is not None:
            raise Misused(f"--{name.replace('_', '-')} is for --rate: a log says itself which keys there are")
    if args.seconds == 0 or args.speed == 0:
        raise Misused("--seconds and --speed are more than 0")
    log = read_log(args.trace, fields_of(args))
    gc.disable()  # nothing here is cyclic, and looking for cycles takes a sixth of the time
    try:
        found = survey(_followed(log), args.speed, args.seconds)
    finally:
        gc.enable()
    if args.clients is not None and found.traffic.clients:
        raise Misused("--clients is for --rate, and for logs that know no clients: this one tells them apart")
    return Logged(log, found)


def assumed(given: Assumptions, found: Surveyed) -> Assumptions:
    """With the keys and clients of the log."""
    clients = found.clients if found.traffic.clients else given.clients
    return replace(given, keys=found.keys, key_bytes=max(1, found.key_bytes), clients=clients)


def _followed(log: Log) -> Iterator[Columns]:
    told = time.monotonic()
    for columns in log:
        if time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            print(f"  {log.requests:,} requests read", file=sys.stderr, flush=True)
        yield columns


# ---- hour by hour, and by window


@dataclass(frozen=True, slots=True)
class Details:
    """A log hour by hour, and the windows that were tried: an advice has only their sum."""

    hours: tuple[Hour, ...]
    windows: tuple[Window, ...]


def details(advice: Advice, logged: Logged, prices: Prices) -> Details:
    """Each hour with the settings that were chosen, and other windows."""
    mode = advice.best or BUFFERING[-1]
    option, found = advice.options[mode], logged.found
    shards = max(1, option.point.flow.shards)
    hours = hourly(found.hours, found.traffic.seconds, mode, option.given, shards, prices)
    return Details(tuple(hours), windows(found.traffic, mode, option.given, prices))


def tables(advice: Advice, logged: Logged, its: Details) -> Iterator[Table | str]:
    """For the terminal."""
    pays = [one for one in its.hours if one.pays]
    many = f"{len(pays):,} of {len(its.hours):,} hours" if len(its.hours) > 1 else "this hour" if pays else "no hour"
    yield f"Buffering is cheaper in {many}; a stream is paid for in all of them."
    yield _hours(logged.found, its.hours)
    yield ""
    if (traffic := logged.found.traffic).sample is not traffic:
        hours = traffic.sample.seconds / 3600
        yield f"Break-evens, windows and what would be instead are reckoned from {hours:g} hours in parts of it."
    yield _windows(advice, its.windows)


def _hours(found: Surveyed, hours: tuple[Hour, ...]) -> Table:
    table = Table("hour, UTC", box=None, header_style="bold", pad_edge=False)
    for name in ("requests", "busiest s", "shards", "direct", "buffered", "invocations", "p99", ""):
        table.add_column(name, justify="right")
    for name, one in _rows(found, hours):
        late = within(one.p99) if one.requests else ""
        cheaper = "buffered" if one.pays else "direct"
        table.add_row(
            name,
            f"{one.requests:,.0f}",
            f"{one.busiest:,.0f}",
            f"{one.shards:,}",
            dollars(one.direct),
            dollars(one.buffered),
            f"{one.invocations:,.0f}",
            late,
            cheaper,
        )
    return table


def _rows(found: Surveyed, hours: tuple[Hour, ...]) -> Iterator[tuple[str, Hour]]:
    if len(hours) <= ROWS:
        yield from ((hour_of(found, one.number), one) for one in hours)
        return
    by_clock: dict[str, list[Hour]] = {}
    for one in hours:
        by_clock.setdefault(f"all at {hour_of(found, one.number)[-5:]}", []).append(one)
    for name, its in sorted(by_clock.items()):
        yield name, _together(its)


def _together(its: list[Hour]) -> Hour:
    sums = {name: sum(getattr(one, name) for one in its) for name in ("requests", "direct", "buffered", "invocations")}
    most = {name: max(getattr(one, name) for one in its) for name in ("busiest", "shards", "p99")}
    return Hour(number=its[0].number, **sums, **most)


def _windows(advice: Advice, tried: tuple[Window, ...]) -> Table:
    direct = advice.options["direct"].point.per_million
    table = Table("window, s", box=None, header_style="bold", pad_edge=False)
    for name in ("shards", "invocations per million", "99 of 100 in", "dollars per million", ""):
        table.add_column(name, justify="right")
    for one in tried:
        saved = 1 - one.per_million / direct
        said = f"saves {100 * saved:.0f}%" if saved > 0 else "direct is cheaper"
        cells = (f"{one.seconds}", f"{one.shards:,}", f"{one.invocations_per_million:,.0f}", within(one.p99))
        table.add_row(*cells, dollars(one.per_million), said)
    return table


def result(logged: Logged, its: Details) -> dict[str, Any]:
    """For --json."""
    hours = [asdict(one) | {"hour": hour_of(logged.found, one.number), "pays": one.pays} for one in its.hours]
    return {"trace": as_json(logged.log, logged.found), "hours": hours, "windows": [asdict(one) for one in its.windows]}
