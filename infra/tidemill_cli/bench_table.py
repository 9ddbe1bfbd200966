"""A load test's result on the terminal.

Room: command line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from rich.table import Table

from tidemill_cli.showing import console
from tidemill_load.result import Measurement, Result


def show(result: Result) -> None:
    """The table, what was skipped, and the notes."""
    out = console()
    out.print(_table(result))
    skipped = dict.fromkeys((one.mode, one.skipped) for one in result.measurements if one.skipped)
    for text in (*(f"{mode} was skipped: {why}" for mode, why in skipped), *(f"note: {one}" for one in result.notes)):
        out.print(text, markup=False)
    sys.stdout.flush()  # before anything is said on stderr


def _table(result: Result) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("mode")
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for one in result.measurements:
        if not one.skipped:
            table.add_row(one.mode, *(read(one) for read in COLUMNS.values()))
    return table


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _known(value: float | None) -> str:
    return "?" if value is None else f"{value:,.0f}"


COLUMNS: dict[str, Callable[[Measurement], str]] = {
    "req/s": lambda one: f"{one.rate:g}",
    "requests": lambda one: f"{one.requests:,}",
    "invocations": lambda one: _known(one.invocations),
    "write units": lambda one: _known(one.write_units),
    "puts": lambda one: f"{one.put_units:,}",
    "messages": lambda one: _known(one.reply_messages),
    "p50": lambda one: _time(one.latency.p50),
    "p95": lambda one: _time(one.latency.p95),
    "p99": lambda one: _time(one.latency.p99),
    "lost": lambda one: _known(one.lost),
    "double": lambda one: _known(one.duplicates),
    "disordered": lambda one: _known(one.reordered),
    "$/million": lambda one: f"{sum(one.bill.values()) * 1e6 / one.requests:.2f}" if one.requests else "",
}
