"""A load test's result on the terminal.

Room: command line.
Tests: tests/e2e/test_bench.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

from rich.table import Table

from tidemill_cli.next_steps import program
from tidemill_cli.terminal_text import console, printable
from tidemill_load.assessment.comparison import units_a_request
from tidemill_load.assessment.verdict import Verdict, verdicts
from tidemill_load.cost_model.advice import dollars
from tidemill_load.cost_model.assumptions import Assumptions
from tidemill_load.results.result import Measurement, Result

DEFAULT = Assumptions()

OBJECTS = "objects"
"""The column of what is put to S3, which a load test without objects has not."""


def show(result: Result, log: str = "") -> None:
    """Print the table, the modes that were skipped, and the notes.

    Args:
        result: of the load test.
        log: the arguments that name the log of a trace.
    """
    out = console()
    out.print(_table(result))
    for measured in result.measurements:
        if (result.workload.parameters.get("producers") or 1) != 1 and measured.writers_per_key is not None:
            out.print(_writers(measured), markup=False)
    for one in verdicts(result):
        out.print(_sentence(one), markup=False)
        # In one line however narrow the terminal is, for it is to be pasted.
        out.print(f"the same by arithmetic: {_command(one, result, log)}", markup=False, soft_wrap=True)
    skipped = dict.fromkeys((one.mode, one.skipped) for one in result.measurements if one.skipped)
    for text in (*(f"{mode} was skipped: {why}" for mode, why in skipped), *(f"note: {one}" for one in result.notes)):
        out.print(text, markup=False)
    sys.stdout.flush()  # before anything is said on stderr


def _sentence(one: Verdict) -> str:
    """Whether it paid, and where it begins to."""
    cheaper, dearer = sorted((one.streamed, one.direct))
    who = one.mode if one.pays else "direct"
    since = "at no rate" if one.even is None else f"from {one.even:.2g} requests/s on"  # as uneven as these
    _, reckoned, p99 = one.model
    return (
        f"At {one.rate:g} requests/s {who} is cheaper: {dollars(cheaper)} instead of {dollars(dearer)} per million "
        f"requests; {one.mode} pays {since}. Its p99 was {_time(one.p99)}. The cost model says {dollars(reckoned)} and "
        f"{_time(p99)}."
    )


def _writers(one: Measurement) -> str:
    """The writers of a fleet, and what they cost in write units."""
    units, forgotten = units_a_request(one)
    item = "" if one.item_bytes is None else f"; an item of {one.item_bytes:,.0f} bytes remembers {one.remembered:,.0f}"
    noted = "" if forgotten is None else f", {forgotten:.3g} of them for forgotten writers"
    spent = "" if units is None else f"; {units:.3g} write units a request{noted}"
    writers = one.writers_per_key or 0
    many = f"{writers:,.0f}" if writers >= 100 else f"{writers:.3g}"
    return f"{one.mode}: {many} writers per entity{item}{spent}."


def _command(one: Verdict, result: Result, log: str) -> str:
    """The command line of `tidemill cost` that gives the same answer."""
    given, told = one.reckoned.given, result.workload.parameters
    if result.workload.kind == "trace":
        load = f"{printable(log)} --speed {told['speed']:g} --seconds {result.seconds:g}"
    else:
        load = (
            f"--rate {one.rate:g} --keys {given.keys.count} --skew {given.keys.skew:g} --key-size {given.key_bytes} "
            f"--clients {given.clients}"
        )
    sizes = f"--producers {given.producers} --size {given.size} --item-size {given.item_bytes}"
    settings = f"{sizes} --window {given.window} --batch {given.batch} --shards {given.shards}"
    direct = f"--duration-ms {1000 * given.direct_seconds:.3g} --memory {given.direct_memory}"
    units = f"--direct-writes {given.direct_writes:.3g} --direct-reads {given.direct_reads:.3g}"
    apply = f"--apply-ms {1000 * given.invocation_seconds:.3g} --apply-memory {given.memory}"
    return f"{program()} cost {load} {settings} {direct} {units} {apply}{_in_s3(given)}"


def _in_s3(given: Assumptions) -> str:
    """The options on what lies in S3, where they are not the command's own."""
    objects = uploads = ""
    if given.objects:
        which = " --objects-replaced" if given.objects_replaced else ""
        size = f"--object-size {given.object_bytes} --s3-ms {1000 * given.s3_seconds:g}"
        objects = f" --objects {given.objects:.3g} {size}{which}"
    if replace(given, claim_check=DEFAULT.claim_check).is_uploaded:
        uploads = " --claim-check none"
    return objects + uploads


def _table(result: Result) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("mode")
    columns = COLUMNS if any(one.object_puts for one in result.measurements) else _without_objects(COLUMNS)
    for name in columns:
        table.add_column(name, justify="right")
    for one in result.measurements:
        if not one.skipped:
            table.add_row(one.mode, *(read(one) for read in columns.values()))
    return table


def _without_objects(columns: dict[str, Callable[[Measurement], str]]) -> dict[str, Callable[[Measurement], str]]:
    return {name: read for name, read in columns.items() if name != OBJECTS}


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
    OBJECTS: lambda one: _known(one.object_puts),
    "messages": lambda one: _known(one.reply_messages),
    "p50": lambda one: _time(one.latency.p50),
    "p95": lambda one: _time(one.latency.p95),
    "p99": lambda one: _time(one.latency.p99),
    "lost": lambda one: _known(one.lost),
    "double": lambda one: _known(one.duplicates),
    "disordered": lambda one: _known(one.reordered),
    "$/million": lambda one: f"{sum(one.bill.values()) * 1e6 / one.requests:.2f}" if one.requests else "",
}
