"""`tidemill bench`: the same workload through the same rules in several modes, measured.

Room: command line. Says what is to be sent, has it sent on this machine, on AWS or on a simulated clock, and reports.
Tests: tests/infra/tidemill_cli/test_agreement.py.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from tidemill_cli.commands.bench.table import show
from tidemill_cli.next_steps import program
from tidemill_cli.result_file import check_writable, write_result
from tidemill_cli.terminal_text import printable
from tidemill_cli.trace_arguments import Misused, add_trace, fields_of, named, spelled
from tidemill_cli.units import count, number, rate, seconds, size
from tidemill_load.cost_model.assumptions import MAX_WINDOW
from tidemill_load.results.fail_if import InvalidLimit, Limit, parse, violations
from tidemill_load.results.result import MODES, Arrivals, Measurement, Mode, Result, Target, Workload, to_json
from tidemill_load.workloads.synthetic import Kind, Shape, generate

if TYPE_CHECKING:
    from tidemill_bench.session import Course
    from tidemill_load.workloads.scheduled_request import ScheduledRequest

SECONDS, TRACE_SECONDS, SIMULATED_SECONDS = 20.0, 60.0, 3600.0
"""How long each mode sends at each rate, if --seconds does not say."""

RATES, SIMULATED_RATES = (20.0,), (10_000.0,)

DEFAULT = Shape()

KEY_BYTES = len("content/100")
"""Of a generated workload's ordering keys, about."""

TRACE_SPEED = 60.0
"""A minute in a second."""

PROGRESS_SECONDS = 2.0
"""Between two lines of progress."""

ALWAYS = ("lost>0", "duplicates>0", "reordered>0")
"""What has failed whatever --fail-if says."""

ENOUGH = 20
"""Requests of which it can be said whether a sender kept up."""

INTERRUPTED = 130

EXAMPLE = """\
examples:
  tidemill bench --rates 20,50 --json out.json --html report.html
  tidemill bench --trace access.log --speed 100 --modes direct,aggregated --fail-if 'aggregated.p99>10s'
  tidemill bench --simulate --rates 100,10k --seconds 4h --window 60
  tidemill bench --target aws --stack tidemill --rates 100 --seconds 2min
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    _add_workload(parser.add_argument_group("what is sent"))
    _add_place(parser.add_argument_group("where to"))
    results = parser.add_argument_group("what comes of it")
    results.add_argument("--json", type=Path, metavar="PATH", help="write the result to PATH")
    results.add_argument("--html", type=Path, metavar="PATH", help="write the report to PATH, one page")
    results.add_argument("--prices", type=Path, metavar="FILE", help="other prices: TOML, as prices.toml, what differs")
    results.add_argument(
        "--fail-if",
        type=_limit,
        action="append",
        default=[],
        metavar="EXPR",
        help="fail when that holds: 'p99>2s', 'direct.errors>0'; may be given several times",
    )
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def _add_workload(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--modes", type=_modes, default=MODES, metavar="A,B", help=f"of {', '.join(MODES)}; all")
    group.add_argument("--rates", type=_rates, metavar="N,N", help="requests a second, one after the other (20)")
    group.add_argument("--seconds", type=seconds, metavar="TIME", help="of sending, of each mode at each rate (20s)")
    group.add_argument("--slices", type=count, default=2, metavar="N", help="turns that the modes take at it (2)")
    group.add_argument("--workload", choices=get_args(Kind), help="how requests arrive (poisson)")
    group.add_argument("--keys", type=count, metavar="N", help="entities asked for (1k)")
    group.add_argument("--skew", type=number, help="Zipf's exponent of them; 0 is even (1)")
    group.add_argument("--clients", type=count, metavar="N", help="who are answered (100)")
    group.add_argument("--size", type=size, help="of a request's JSON (250B)")
    add_trace(group, "instead, what was asked for once")
    group.add_argument("--speed", type=_speed, metavar="N", help="of it, times real time (60)")
    group.add_argument("--seed", type=int, default=1, help="of the workload (1)")


def _add_place(group: argparse._ArgumentGroup) -> None:
    place = group.add_mutually_exclusive_group()
    place.add_argument("--target", choices=("local", "aws"), default="local", help="this machine, or a stack (local)")
    place.add_argument("--simulate", action="store_true", help="on a simulated clock: hours in minutes, for scale")
    group.add_argument("--stack", default="tidemill", metavar="NAME", help="of the stack on AWS (tidemill)")
    group.add_argument("--window", type=_window, default=5, metavar="TIME", help="a request waits for its batch (5s)")
    group.add_argument("--batch", type=count, default=1_000, metavar="N", help="records of a batch at most (1k)")
    group.add_argument("--shards", type=count, metavar="N", help="of the stream (1; simulated: as many as needed)")


def run(args: argparse.Namespace) -> int:
    """Run the load test; 0 when nothing was lost, double or out of order, and every limit was kept."""
    _say("tidemill: the same workload through the same rules, one way after the other")
    # Imported here: the line above must not wait for them.
    from tidemill import Misconfigured
    from tidemill_cli.commands.bench.runs import NotPossible
    from tidemill_cli.stack import NoStack
    from tidemill_load.cost_model.prices import PriceError
    from tidemill_load.workloads.trace import TraceError
    from tidemill_local.deployment import DeploymentFailed
    from tidemill_local.emulator import EmulatorError

    try:
        for path in filter(None, (args.json, args.html)):
            check_writable(path)
        if args.html:
            import tidemill_load.report  # noqa: F401 - what it lacks is told now, not after the run
        result = _result(args)
        _write(result, args)
    except BrokenPipeError:
        raise  # of those who read what we say
    except (
        TraceError,
        PriceError,
        DeploymentFailed,
        EmulatorError,
        NoStack,
        Misconfigured,
        NotPossible,
        Misused,
        OSError,
    ) as error:
        print(f"tidemill bench: {printable(str(error))}", file=sys.stderr)
        return 1
    return _judge(result, args)


def _result(args: argparse.Namespace) -> Result:
    from tidemill_cli.commands.bench.runs import local, on_aws, simulated
    from tidemill_load.cost_model.prices import list_prices, read_prices

    _check_together(args)
    started = datetime.now(UTC)
    prices = read_prices(args.prices) if args.prices else list_prices()
    course = _trace(args) if args.trace else _synthetic(args)
    place = simulated if args.simulate else {"local": local, "aws": on_aws}[args.target]
    summary = place(course, args, _Progress(), prices)
    target: Target = "simulated" if args.simulate else args.target
    return Result(
        started=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        target=target,
        workload=course.workload,
        seed=args.seed,
        seconds=course.seconds,
        window=summary.window,
        batch=summary.batch,
        config_hash=summary.config_hash,
        price_date=prices.date,
        prices=prices.other_than(list_prices()),
        versions=_versions(),
        measurements=tuple(summary.measurements),
        notes=(*summary.notes, *_slow(summary.measurements), *_faster(args)),
        stopped=summary.stopped,
    )


# ---- what is sent


def _check_together(args: argparse.Namespace) -> None:
    """Raise Misused for what does not go together, before anything starts."""
    if args.seconds == 0:
        raise Misused("--seconds is more than 0: nothing would be sent")
    of_one = ("rates", "workload", "keys", "skew", "clients", "size")
    if args.trace and (given := next((name for name in of_one if getattr(args, name) is not None), None)):
        raise Misused(f"--{given} is for a generated workload: a log has its own; --speed makes it denser")
    if not args.trace and args.speed is not None:
        raise Misused("--speed is for --trace; --rates says how much comes")
    if not args.trace:
        fields_of(args)


def _seconds(args: argparse.Namespace) -> float:
    usual = SIMULATED_SECONDS if args.simulate else TRACE_SECONDS if args.trace else SECONDS
    return float(usual if args.seconds is None else args.seconds)


def _synthetic(args: argparse.Namespace) -> Course:
    from tidemill_bench.session import Course

    given = (args.workload, args.keys, args.skew, args.clients, args.size)
    names = ("kind", "keys", "zipf", "clients", "request_bytes")
    shape = replace(DEFAULT, **{name: one for name, one in zip(names, given, strict=True) if one is not None})
    slices = 1 if args.simulate else args.slices
    length = _seconds(args) / slices

    def scheduled(rate: float, turn: int) -> Iterable[ScheduledRequest]:
        return generate(shape, rate, length, args.seed + turn)

    rates = args.rates or (SIMULATED_RATES if args.simulate else RATES)
    sizes = {"request_bytes": shape.request_bytes, "key_bytes": KEY_BYTES}
    parameters = {"keys": shape.keys, "zipf": shape.zipf, "clients": shape.clients, **sizes}
    uneven = [] if shape.kind == "poisson" else [_arrivals(rate, slices, length, scheduled) for rate in rates]
    workload = Workload(kind=shape.kind, parameters=parameters, arrivals=tuple(uneven))
    return Course(args.modes, rates, slices, scheduled, _seconds(args), workload)


def _arrivals(
    rate: float, slices: int, length: float, scheduled: Callable[[float, int], Iterable[ScheduledRequest]]
) -> Arrivals:
    """When a workload's requests come, all turns one after the other."""
    from tidemill_load.assessment.survey import Survey
    from tidemill_load.cost_model.traffic import arrivals

    turns = (replace(one, at=one.at + turn * length) for turn in range(slices) for one in scheduled(rate, turn))
    return arrivals(Survey().plan(turns).done(slices * length).traffic, rate)


def _trace(args: argparse.Namespace) -> Course:
    from tidemill_bench.session import Course
    from tidemill_cli.trace_summary import excerpted
    from tidemill_load.assessment.survey import Survey
    from tidemill_load.cost_model.traffic import arrivals
    from tidemill_load.workloads.trace import read_trace
    from tidemill_load.workloads.trace_slices import slices_of

    slices, length = 1 if args.simulate else args.slices, _seconds(args)
    speed = args.speed or TRACE_SPEED
    trace = read_trace(args.trace, fields_of(args))
    turns = slices_of(trace, speed, length, slices)
    if args.simulate and args.seconds is None:  # a log that ends before that is not followed by an hour's silence
        length = min(length, max(TRACE_SECONDS, 60.0 * ceil(max((one.at for one in turns[0]), default=0.0) / 60)))
    shifted = (replace(one, at=one.at + turn * length / slices) for turn, its in enumerate(turns) for one in its)
    found = Survey().plan(shifted).done(length)
    for line in excerpted(trace.log, found, speed):
        _say(line)
    requests = sum(map(len, turns))
    mean = round(requests / length, 3)
    parameters = {
        "file": named(args.trace),
        "speed": speed,
        "requests": requests,
        "unreadable": trace.unreadable,
        "keys": found.keys.count,
        "zipf": found.keys.skew,
        "clients": found.clients,
        "key_bytes": found.key_bytes,
    }
    workload = Workload(kind="trace", parameters=parameters, arrivals=(arrivals(found.traffic, mean),))
    return Course(args.modes, (mean,), slices, lambda _, turn: turns[turn], length, workload)


# ---- what comes of it


def _slow(measurements: Sequence[Measurement]) -> list[str]:
    return [
        f"{one.mode} did not keep up with {one.rate:g} requests/s: {one.sent_rate:.1f} left, the others waited longer "
        "and longer, and so its latency is that of a queue"
        for one in measurements
        if one.requests > ENOUGH and one.sent_rate < 0.9 * one.requests / one.seconds
    ]


def _faster(args: argparse.Namespace) -> list[str]:
    """That a log's own traffic is another than what was sent."""
    speed = args.speed or TRACE_SPEED
    if not args.trace or speed == 1:
        return []
    asked = f"{program()} cost {spelled(args)}"
    return [f"All of this is for {speed:g} times the log's traffic; for its own, without sending any: {asked}"]


def _versions() -> dict[str, str]:
    return {
        "tidemill": version("tidemill"),
        "python": platform.python_version(),
        "platform": f"{platform.platform()}, {os.cpu_count()} processors",
    }


def _write(result: Result, args: argparse.Namespace) -> None:
    if args.json:
        write_result(args.json, to_json(result).decode())
        _say(f"the result is in {args.json}")
    if args.html:
        from tidemill_load.report import render

        write_result(args.html, render(result))
        _say(f"the report is in {args.html}")


def _judge(result: Result, args: argparse.Namespace) -> int:
    """Show it and say what it is worth."""
    show(result, spelled(args) if args.trace else "")
    if result.stopped:
        return INTERRUPTED
    failed = violations([*args.fail_if, *([] if args.simulate else map(parse, ALWAYS))], result)
    for reason in failed:
        print(f"FAILED: {reason}", file=sys.stderr)
    if not args.html:
        _say("next: the same with --html report.html, and open that")
    return 1 if failed else 0


class _Progress:
    """Says how far it is, now and then; what begins is said at once."""

    def __init__(self) -> None:
        self._said = 0.0

    def begin(self, what: str) -> None:
        """Something begins."""
        self._said = time.monotonic()
        _say(what)

    def __call__(self, text: str) -> None:
        """It goes on."""
        if time.monotonic() - self._said >= PROGRESS_SECONDS:
            self._said = time.monotonic()
            _say(f"  {text}")


# ---- arguments


def _modes(text: str) -> tuple[Mode, ...]:
    names = [name.strip() for name in text.split(",")]
    if wrong := [name for name in names if name not in MODES]:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is no mode; there are {', '.join(MODES)}")
    return tuple(mode for mode in MODES if mode in names)


def _rates(text: str) -> tuple[float, ...]:
    found = tuple(sorted({rate(one) for one in text.split(",")}))
    if found[0] <= 0:
        raise argparse.ArgumentTypeError("a rate is more than 0")
    return found


def _speed(text: str) -> float:
    if (found := number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed; use more than 0")
    return found


def _window(text: str) -> int:
    found = seconds(text)
    if found != int(found) or found > MAX_WINDOW:
        raise argparse.ArgumentTypeError(f"{text!r} is no window; it has whole seconds, 0 to {MAX_WINDOW}")
    return int(found)


def _limit(text: str) -> Limit:
    try:
        return parse(text)
    except InvalidLimit as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _say(text: str) -> None:
    print(text, flush=True)
