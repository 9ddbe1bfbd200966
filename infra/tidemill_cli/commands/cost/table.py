"""The answer of `tidemill cost` on the terminal: the advice in sentences, its table, and the variations.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/cost/test_command.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tidemill_cli.terminal_text import console
from tidemill_load.cost_model.advice import Advice, Option, dollars, what_if, within
from tidemill_load.cost_model.assumptions import DESIGNS, Assumptions, Design
from tidemill_load.cost_model.bill import Counts
from tidemill_load.cost_model.cost import units_per_request

if TYPE_CHECKING:
    from tidemill_cli.commands.cost.answer import Answer
    from tidemill_load.cost_model.flows import Load
    from tidemill_load.cost_model.prices import Prices


def show(answer: Answer, prices: Prices) -> None:
    """Print the answer."""
    out, advice = console(), answer.advice
    out.print(Text(advice.headline, style="bold"))
    if advice.best:
        out.print(Text(advice.delivery))
        out.print(Text(_settings(advice.options[advice.best])))
    out.print()
    out.print(_table(advice))
    out.print()
    for mode, problem in problems(advice, DESIGNS):
        out.print(Text(f"{mode} is not possible: {problem}"))
    if answer.logged and answer.details:
        from tidemill_cli.commands.cost.trace import tables

        for part in tables(advice, answer.logged, answer.details):
            out.print(part)
        out.print()
    out.print(_variations(advice, answer.load, prices))
    out.print()
    out.print(Text(_taken_for_granted(answer.given, prices)))


def _settings(option: Option) -> str:
    happens, given = option.point.flow, option.given
    shards = "an on-demand stream" if given.on_demand else f"ShardCount={happens.shards}"
    window = f"BatchingWindowSeconds={given.window} BatchSize={given.batch}"
    return (
        f"With {shards} {window}, {happens.mode}: {_figure(happens.batch)} requests an invocation; 99 of 100 answered "
        f"within {within(happens.p99)}."
    )


_ROWS: tuple[tuple[str, Callable[[Option], str]], ...] = (
    ("shards", lambda one: _figure(one.point.flow.shards)),
    ("window, seconds", lambda one: f"{one.given.window}" if one.point.flow.shards else ""),
    ("batch, records at most", lambda one: f"{one.given.batch:,}" if one.point.flow.shards else ""),
    ("lanes of a producer", lambda one: _figure(one.point.flow.lanes)),
    ("requests in a record", lambda one: _figure(one.point.flow.requests_per_record)),
    ("requests an invocation", lambda one: _figure(one.point.flow.batch)),
    ("invocations per million", lambda one: _figure(one.point.flow.invocations_per_million)),
    ("event, KB", lambda one: _figure(one.point.flow.event_bytes / 1024)),
    ("items written per request", lambda one: f"{_written(one):.2g}"),
    ("write units per request, of entities", lambda one: _figure(_units(one)[0])),
    ("and of forgotten writers", lambda one: _figure(_units(one)[1])),
    ("50 of 100 answered in, s", lambda one: f"{one.point.flow.p50:.2g}"),
    ("99 of 100", lambda one: f"{one.point.flow.p99:.2g}"),
)


def _table(advice: Advice) -> Table:
    options = advice.options
    table = Table("", box=None, header_style="bold", pad_edge=False)
    for mode in DESIGNS:
        table.add_column(mode, justify="right", style="bold" if mode == advice.best else "")
    for name, cell in _ROWS:
        table.add_row(name, *(cell(options[mode]) for mode in DESIGNS))
    table.add_section()
    table.add_row("dollars per million:")
    for item, name in _items(advice):
        table.add_row(f"  {name}", *(_line(options[mode], item) for mode in DESIGNS))
    table.add_row("  in all", *(dollars(options[mode].point.per_million) for mode in DESIGNS), style="bold")
    table.add_row("dollars a month", *(f"{options[mode].point.bill.total:,.2f}" for mode in DESIGNS))
    table.add_row("cheaper than direct from", "", *(_even(options[mode]) for mode in DESIGNS[1:]))
    return table


def _items(advice: Advice) -> Iterator[tuple[str, str]]:
    """The items on any mode's bill, in the order of `Counts`: field and name of each."""
    lines = {line.item: line for option in advice.options.values() for line in option.point.bill.lines}
    for field in fields(Counts):
        if line := lines.get(field.name):
            yield line.item, f"{line.service}: {line.unit}"


def _line(option: Option, item: str) -> str:
    bill = option.point.bill
    return next((dollars(bill.share(line.dollars)) for line in bill.lines if line.item == item), "")


def _written(option: Option) -> float:
    happens = option.point.flow
    return happens.distinct / happens.batch if happens.shards else option.given.direct_writes


def _units(option: Option) -> tuple[float, float]:
    return units_per_request(option.point.flow, option.given)


def _even(option: Option) -> str:
    return "never" if option.even_from is None else f"{option.even_from:,.{0 if option.even_from >= 100 else 1}f}/s"


def _figure(amount: float) -> str:
    return "" if not amount else f"{amount:,.0f}" if amount >= 100 else f"{amount:.3g}"


def _variations(advice: Advice, at: Load, prices: Prices) -> Table:
    table = Table("if instead", box=None, header_style="bold", pad_edge=False)
    for name in ("direct", "buffering", ""):
        table.add_column(name, justify="right" if name else "left")
    for text, direct, other in what_if(advice, at, prices):
        saved = 1 - other.per_million / direct.per_million
        said = f"saves {100 * saved:.0f}%" if saved > 0 else "direct is cheaper"
        table.add_row(text, dollars(direct.per_million), dollars(other.per_million), said)
    return table


def _taken_for_granted(given: Assumptions, prices: Prices) -> str:
    keys = f"{given.keys.count:,} keys, Zipf {given.keys.skew:g}" if given.fold is None else f"{given.fold:g} keys each"
    producers = given.producers or given.clients
    api = {"http": "an HTTP API", "rest": "a REST API", "none": "a function URL"}[given.api]
    return (
        f"Taken for granted: {given.size:,} bytes a request, {keys}; {producers:,} "
        f"producer{'s' * (producers > 1)}; direct is billed {1000 * given.direct_seconds:g} ms at "
        f"{given.direct_memory:,} MB behind {api}, with {given.direct_writes:g} "
        f"write{'s' * (given.direct_writes != 1)}; apply {1000 * given.invocation_seconds:g} ms a batch and "
        f"{1e6 * given.request_seconds:g} us a request at {given.memory:,} MB. {_in_s3(given)}Prices of "
        f"{prices.region}, {prices.date}, without free tier and discounts; not in them: logs, data transfer, storage "
        "of the table."
    )


def _in_s3(given: Assumptions) -> str:
    """Sentences on what lies in S3; empty if nothing does."""
    objects = uploads = ""
    if given.objects:
        which = ", an item's last of a batch alone" if given.objects_replaced else ""
        size = f"{given.object_bytes:,} bytes kept {given.object_days:g} days"
        objects = f"Rules return {given.objects:g} objects a request, of {size}{which}. "
    if given.is_uploaded:
        uploads = (
            f"Clients upload the data, which is kept {given.upload_days:g} days, and send a claim check; direct takes "
            "it in its call. "
        )
    return objects + uploads


def problems(advice: Advice, modes: Sequence[Design]) -> list[tuple[Design, str]]:
    """Why modes are not possible, each with its reason."""
    return [(mode, problem) for mode in modes for problem in advice.options[mode].problems]
