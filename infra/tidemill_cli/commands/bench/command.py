"""`tidemill bench`: the same workload through the same rules in several modes, measured.

Room: command line. Makes the course, has it run on this machine, on AWS or on a simulated clock, writes and judges the
result.
Tests: tests/infra/tidemill_cli/test_agreement.py.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from tidemill_cli.arguments.trace import spelled
from tidemill_cli.commands.bench.arguments import check_together
from tidemill_cli.commands.bench.course import of_trace, speed_of, synthetic
from tidemill_cli.commands.bench.table import show
from tidemill_cli.errors import FAILED, INTERRUPTED, run_or_tell
from tidemill_cli.next_steps import program
from tidemill_cli.result_file import check_writable, write_result
from tidemill_load.results.fail_if import parse, violations
from tidemill_load.results.result import Measurement, Result, Target, to_json

PROGRESS_SECONDS = 2.0
"""Between two lines of progress."""

ALWAYS = ("lost>0", "duplicates>0", "reordered>0")
"""Limits that every measured run must keep, beside those of --fail-if."""

ENOUGH = 20
"""Requests of which it can be said whether a sender kept up."""


def run(args: argparse.Namespace) -> int:
    """Run the load test; 0 when nothing was lost, double or out of order, and every limit was kept."""
    _say("tidemill: the same workload through the same rules, one way after the other")
    # Imported here: the line above must not wait for them.
    from tidemill import Misconfigured
    from tidemill_load.cost_model.prices import PriceError
    from tidemill_load.workloads.trace import TraceError
    from tidemill_local.deployment import DeploymentFailed
    from tidemill_local.emulator import EmulatorError

    expected = (TraceError, PriceError, DeploymentFailed, EmulatorError, Misconfigured)
    return run_or_tell("bench", lambda: _run(args), *expected)


def _run(args: argparse.Namespace) -> int:
    for path in filter(None, (args.json, args.html)):
        check_writable(path)
    if args.html:
        import tidemill_load.report  # noqa: F401 - what it lacks is told now, not after the run
    result = _result(args)
    _write(result, args)
    return _judge(result, args)


def _result(args: argparse.Namespace) -> Result:
    from tidemill_cli.commands.bench.runs import local, on_aws, simulated
    from tidemill_load.cost_model.prices import list_prices, read_prices

    check_together(args)
    started = datetime.now(UTC)
    prices = read_prices(args.prices) if args.prices else list_prices()
    course = of_trace(args, _say) if args.trace else synthetic(args)
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
        notes=(*summary.notes, *_slow(summary.measurements), *_faster(args, course.producers)),
        stopped=summary.stopped,
    )


def _slow(measurements: Sequence[Measurement]) -> list[str]:
    return [
        f"{one.mode} did not keep up with {one.rate:g} requests/s: {one.sent_rate:.1f} left, the others waited longer "
        "and longer, and so its latency is that of a queue"
        for one in measurements
        if one.requests > ENOUGH and one.sent_rate < 0.9 * one.requests / one.seconds
    ]


def _faster(args: argparse.Namespace, producers: int) -> list[str]:
    """A note that the log was replayed faster than it was recorded, if it was."""
    speed = speed_of(args)
    if not args.trace or speed == 1:
        return []
    asked = f"{program()} cost {spelled(args)}" + (f" --producers {producers}" if producers > 1 else "")
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
    """Show the result; the exit code says whether all limits were kept."""
    show(result, spelled(args) if args.trace else "")
    if result.stopped:
        return INTERRUPTED
    failed = violations([*args.fail_if, *([] if args.simulate else map(parse, ALWAYS))], result)
    for reason in failed:
        print(f"FAILED: {reason}", file=sys.stderr)
    if not args.html:
        _say("next: the same with --html report.html, and open that")
    return FAILED if failed else 0


class _Progress:
    """Prints progress: each beginning at once, steps in between every PROGRESS_SECONDS."""

    def __init__(self) -> None:
        self._said = 0.0

    def begin(self, what: str) -> None:
        """Something begins."""
        self._said = time.monotonic()
        _say(what)

    def __call__(self, text: str) -> None:
        """A step in between."""
        if time.monotonic() - self._said >= PROGRESS_SECONDS:
            self._said = time.monotonic()
            _say(f"  {text}")


def _say(text: str) -> None:
    print(text, flush=True)
