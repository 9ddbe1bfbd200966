"""`tidemill cost`: whether buffering pays at a rate, with which settings, and what each item costs.

Room: command line. Reads and shows; what it says is the cost model's (tidemill_load.cost_model.advice). Asks nobody.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from tidemill_cli.result_file import check_writable, write_result
from tidemill_cli.terminal_text import console, printable
from tidemill_cli.trace_arguments import Misused, add_trace, fields_of
from tidemill_cli.units import count, number, rate, seconds, size
from tidemill_load.cost_model.advice import BUFFERING, Advice, Option, Wanted, advise, dollars, what_if, within
from tidemill_load.cost_model.assumptions import DESIGNS, MAX_BATCH, MAX_WINDOW, Assumptions, Design, Impossible
from tidemill_load.cost_model.bill import Counts
from tidemill_load.cost_model.prices import PriceError, Prices, list_prices, read_prices
from tidemill_load.workloads.key_distribution import KeyDistribution

if TYPE_CHECKING:
    from tidemill_cli.commands.cost.trace import Details, Logged
    from tidemill_load.cost_model.flows import Load

SCHEMA_VERSION = 1
"""Of what --json writes. A field is added, never renamed; when a reader would misread an old one, it rises."""

DEFAULT = Assumptions()

EXAMPLE = f"""\
examples:
  tidemill cost --rate 1000 --size 200 --p99 2s
  tidemill cost --rate 5M/day --size 1KB --keys 1M --clients 20 --p99 30s --json cost.json
  tidemill cost --rate 50 --api rest --memory 512 --duration-ms 40 --direct-writes 3
  tidemill cost --rate 1000 --window 5 --batch 1000 --on-demand --prices eu.toml
  tidemill cost --trace access.log
  tidemill cost --trace logs/AWSLogs --p99 10s --json cost.json
  tidemill cost --trace events.ndjson --trace-time at --trace-key order.id --trace-client user

The bound of --p99 chooses window and batch: the cheapest that keep it. Without it, and without --window, the window is
the template's, {DEFAULT.window} s. What the model rests on and leaves out: docs/cost.md.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    load = parser.add_mutually_exclusive_group(required=True)
    load.add_argument("--rate", type=rate, help="requests a second: 1000, 10k, 5M/day")
    add_trace(parser, "or what was asked for once", load)
    parser.add_argument("--speed", type=number, default=1.0, metavar="N", help="of the log, times real time (1)")
    parser.add_argument("--seconds", type=seconds, metavar="TIME", help="of the log, at that speed (all of it)")
    parser.add_argument("--p99", type=seconds, metavar="TIME", help="in which 99 of 100 requests are to be answered")
    parser.add_argument("--prices", type=Path, metavar="FILE", help="other prices: TOML, as prices.toml, what differs")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the result to PATH")
    _add_requests(parser.add_argument_group("the requests"))
    _add_stream(parser.add_argument_group("the stream and its batches"))
    _add_functions(parser.add_argument_group("what a request takes now, and what Tidemill takes"))
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _add_requests(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--size", type=size, default=DEFAULT.size, help=f"of a request's JSON ({DEFAULT.size}B)")
    group.add_argument("--key-size", type=size, metavar="SIZE", help=f"of its ordering key ({DEFAULT.key_bytes}B)")
    group.add_argument("--keys", type=count, metavar="N", help="ordering keys (10k)")
    group.add_argument("--skew", type=number, help="Zipf's exponent of them; 0 is even (1)")
    group.add_argument("--fold", type=number, metavar="SHARE", help="measured: distinct keys per request of a batch")
    group.add_argument("--clients", type=count, metavar="N", help="who are answered (1)")
    group.add_argument("--producers", type=count, metavar="N", help="that share the rate (as many as clients)")
    group.add_argument(
        "--replies",
        type=_replies,
        default=0.0,
        metavar="SHARE|none",
        help="answered by a message each (0); the others share one per client and batch; none: nobody is answered",
    )


def _add_stream(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--window", type=seconds, metavar="TIME", help=f"whole seconds, 0 to {MAX_WINDOW}")
    group.add_argument("--batch", type=count, metavar="N", help=f"records of a batch at most, up to {MAX_BATCH:,}")
    kind = group.add_mutually_exclusive_group()
    kind.add_argument("--provisioned", action="store_true", help="shards by the hour, as the template has them (so)")
    kind.add_argument("--on-demand", action="store_true", help="a stream by the hour and by bytes")
    group.add_argument("--shards", type=count, default=1, metavar="N", help="at least; more where they are needed (1)")
    group.add_argument("--peak", type=number, default=1.0, metavar="FACTOR", help="shards for so many times the rate")
    group.add_argument("--linger", type=seconds, default=DEFAULT.linger, metavar="TIME", help="of producers (100ms)")
    group.add_argument("--lanes", type=count, default=DEFAULT.lanes, metavar="N", help=f"of them ({DEFAULT.lanes})")
    group.add_argument("--arrivals", choices=("random", "even"), default="random", help="how requests come (random)")
    group.add_argument("--no-archive", action="store_true", help="without Firehose and its files")


def _add_functions(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--api", choices=("http", "rest", "none"), default="http", help="before the direct function")
    group.add_argument("--memory", type=count, default=DEFAULT.direct_memory, metavar="MB", help="of that (128)")
    group.add_argument("--duration-ms", type=number, default=8.0, metavar="MS", help="it is billed for a request (8)")
    group.add_argument("--direct-writes", type=number, default=1.0, metavar="N", help="it makes; 3 if idempotent (1)")
    group.add_argument("--direct-reads", type=number, default=0.0, metavar="N", help="and consistent reads (0)")
    group.add_argument("--item-size", type=size, default=DEFAULT.item_bytes, metavar="SIZE", help="of an entity (1KB)")
    group.add_argument("--apply-memory", type=count, default=DEFAULT.memory, metavar="MB", help="Tidemill's (1769)")
    group.add_argument("--apply-ms", type=number, default=20.0, metavar="MS", help="it is billed for a batch (20)")
    group.add_argument("--apply-us", type=number, default=40.0, metavar="US", help="and for each request in it (40)")


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when it could answer, 1 with a message on stderr when not or when it cannot be done so."""
    try:
        if args.json:
            check_writable(args.json)
        prices = read_prices(args.prices) if args.prices else list_prices()
        answer = _of_log(args, prices) if args.trace else _of_rate(args, prices)
        if args.json:
            write_result(args.json, json.dumps(_result(args, answer, prices), indent=2) + "\n")
    except (Misused, PriceError, Impossible, OSError) as error:
        print(f"tidemill cost: {printable(str(error))}", file=sys.stderr)
        return 1
    _show(answer, prices)
    return _complain(answer.advice)


@dataclass(frozen=True, slots=True)
class _Answer:
    load: Load
    given: Assumptions
    advice: Advice
    logged: Logged | None = None
    details: Details | None = None


def _of_rate(args: argparse.Namespace, prices: Prices) -> _Answer:
    fields_of(args)
    if args.seconds is not None or args.speed != 1:
        raise Misused("--seconds and --speed are for --trace")
    given = _assumptions(args)
    return _Answer(args.rate, given, advise(args.rate, given, _wanted(args), prices))


def _of_log(args: argparse.Namespace, prices: Prices) -> _Answer:
    # Imported here: a steady rate needs no numpy.
    from tidemill_cli.commands.cost.trace import assumed, details, read
    from tidemill_cli.trace_summary import told
    from tidemill_load.assessment.survey import TooLong
    from tidemill_load.logs import TraceError

    wanted, usual = _wanted(args), _assumptions(args)
    try:
        logged = read(args)
    except (TraceError, TooLong) as error:
        raise Misused(str(error)) from None
    for line in told(logged.log, logged.found, args.seconds):
        print(printable(line), flush=True)
    print()
    given, load = assumed(usual, logged.found), logged.found.traffic
    advice = advise(load, given, wanted, prices)
    return _Answer(load, given, advice, logged, details(advice, logged, prices))


def _wanted(args: argparse.Namespace) -> Wanted:
    return Wanted(args.p99, _window(args), args.batch)


def _complain(advice: Advice) -> int:
    if advice.best is not None:
        return 0
    for mode, problem in _problems(advice, BUFFERING):
        print(f"tidemill cost: {mode} is not possible: {problem}", file=sys.stderr)
    return 1


def _problems(advice: Advice, modes: Sequence[Design]) -> list[tuple[Design, str]]:
    return [(mode, problem) for mode in modes for problem in advice.options[mode].problems]


def _assumptions(args: argparse.Namespace) -> Assumptions:
    return Assumptions(
        size=args.size,
        key_bytes=args.key_size or DEFAULT.key_bytes,
        keys=KeyDistribution(args.keys or DEFAULT.keys.count, DEFAULT.keys.skew if args.skew is None else args.skew),
        fold=args.fold,
        clients=args.clients or 1,
        producers=args.producers or (1 if args.trace else None),
        shards=args.shards,
        single_replies=args.replies,
        linger=args.linger,
        lanes=args.lanes,
        on_demand=args.on_demand,
        peak=args.peak,
        arrivals=args.arrivals,
        api=args.api,
        direct_seconds=args.duration_ms / 1000,
        direct_memory=args.memory,
        direct_writes=args.direct_writes,
        direct_reads=args.direct_reads,
        memory=args.apply_memory,
        invocation_seconds=args.apply_ms / 1000,
        request_seconds=args.apply_us / 1e6,
        item_bytes=args.item_size,
        archive=not args.no_archive,
    )


def _window(args: argparse.Namespace) -> int | None:
    if args.window is None:
        return None
    whole = int(args.window)
    if args.window != whole:
        raise Impossible(f"a window of {args.window:g} s is not possible: AWS takes whole seconds; use {whole}s")
    return whole


def _replies(text: str) -> float | None:
    return None if text == "none" else number(text)


# ---- what it shows


def _show(answer: _Answer, prices: Prices) -> None:
    out, advice = console(), answer.advice
    out.print(Text(advice.headline, style="bold"))
    if advice.best:
        out.print(Text(advice.delivery))
        out.print(Text(_settings(advice.options[advice.best])))
    out.print()
    out.print(_table(advice))
    out.print()
    for mode, problem in _problems(advice, DESIGNS):
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
    """What any mode pays for, in the order of `Counts`: its field, its name."""
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
        f"{1e6 * given.request_seconds:g} us a request at {given.memory:,} MB. Prices of {prices.region}, "
        f"{prices.date}, without free tier and discounts; not in them: logs, data transfer, storage of the table."
    )


# ---- what it writes


def _result(args: argparse.Namespace, answer: _Answer, prices: Prices) -> dict[str, Any]:
    advice, given = answer.advice, answer.given
    of_log: dict[str, Any] = {}
    if answer.logged and answer.details:
        from tidemill_cli.commands.cost.trace import result

        of_log = result(answer.logged, answer.details)
    return {
        "schema_version": SCHEMA_VERSION,
        "rate": advice.options["direct"].point.rate,
        "p99": args.p99,
        "prices": {"date": prices.date, "region": prices.region},
        "headline": advice.headline,
        "delivery": advice.delivery,
        "buffer": advice.buffer,
        "best": advice.best,
        "assumptions": asdict(given),
        "modes": {mode: _as_json(option) for mode, option in advice.options.items()},
        "if_instead": [
            {"if": text, "direct": direct.per_million, "buffering": other.per_million}
            for text, direct, other in what_if(advice, answer.load, prices)
        ],
        **of_log,
    }


def _as_json(option: Option) -> dict[str, Any]:
    bill = option.point.bill
    return {
        "window": option.given.window,
        "batch": option.given.batch,
        "flow": asdict(option.point.flow),
        "lines": [asdict(line) | {"per_million": bill.share(line.dollars)} for line in bill.lines],
        "per_million": bill.per_million,
        "month": bill.total,
        "cheaper_from": option.even_from,
        "problems": option.problems,
    }
