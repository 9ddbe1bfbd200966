"""The arguments of `tidemill bench`, and which of them exclude each other.

Room: command line.
Tests: tests/infra/tidemill_cli/test_agreement.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from tidemill_cli.arguments.trace import Misused, add_trace, fields_of
from tidemill_cli.units import count, number, producers, rate, seconds, size
from tidemill_load.cost_model.assumptions import MAX_OBJECT_BYTES, MAX_OBJECTS, MAX_WINDOW
from tidemill_load.results.fail_if import InvalidLimit, Limit, parse
from tidemill_load.results.result import MODES, Mode
from tidemill_load.workloads.synthetic import Kind, Shape

DEFAULT = Shape()

EXAMPLE = """\
examples:
  tidemill bench --rates 20,50 --json out.json --html report.html
  tidemill bench --trace access.log --speed 100 --modes direct,aggregated --fail-if 'aggregated.p99>10s'
  tidemill bench --rates 20 --keys 10 --objects 2 --object-size 20KB
  tidemill bench --simulate --rates 100,10k --seconds 4h --window 60
  tidemill bench --simulate --producers 2k --keys 100 --rates 500 --seconds 10min
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
    group.add_argument("--producers", type=producers, metavar="N", help="who send, each a writer and a client (1)")
    group.add_argument("--size", type=size, help="of a request's JSON (250B)")
    group.add_argument("--objects", type=count, metavar="N", help="that its rule returns, stored in S3 (none)")
    group.add_argument("--object-size", type=size, metavar="SIZE", help="of each (4KB)")
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


def check_together(args: argparse.Namespace) -> None:
    """Raise Misused, before anything starts, for arguments that exclude each other."""
    if args.seconds == 0:
        raise Misused("--seconds is more than 0: nothing would be sent")
    of_one = ("rates", "workload", "keys", "skew", "clients", "size", "objects")
    if args.clients is not None and args.producers and args.producers > 1:
        raise Misused("--clients is for one producer: each of --producers is a client of its own")
    if args.trace and (given := next((name for name in of_one if getattr(args, name) is not None), None)):
        raise Misused(f"--{given} is for a generated workload: a log has its own; --speed makes it denser")
    _check_objects(args)
    if not args.trace and args.speed is not None:
        raise Misused("--speed is for --trace; --rates says how much comes")
    if not args.trace:
        fields_of(args)


def _check_objects(args: argparse.Namespace) -> None:
    if args.objects is None:
        if args.object_size is not None:
            raise Misused("--object-size is for --objects, which says how many")
        return
    if args.simulate or args.target == "aws":
        raise Misused("--objects is for this machine: a simulated clock stores none, and on AWS they are not counted")
    each = args.object_size or DEFAULT.object_bytes
    if args.objects > MAX_OBJECTS or args.objects * each > MAX_OBJECT_BYTES:
        raise Misused(
            f"a rule returns {MAX_OBJECTS} objects at most, and {MAX_OBJECT_BYTES:,} bytes of them; lower --objects or "
            "--object-size"
        )


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
