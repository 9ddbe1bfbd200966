"""The arguments of `tidemill cost`, and the assumptions of the cost model that they stand for.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/cost/test_command.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from tidemill_cli.arguments.trace import add_trace
from tidemill_cli.units import count, number, producers, rate, seconds, size
from tidemill_load.cost_model.advice import Wanted
from tidemill_load.cost_model.assumptions import MAX_BATCH, MAX_WINDOW, Assumptions, Impossible, Plan
from tidemill_load.workloads.key_distribution import KeyDistribution

DEFAULT = Assumptions()

EXAMPLE = f"""\
examples:
  tidemill cost --rate 1000 --size 200 --p99 2s
  tidemill cost --rate 5M/day --size 1KB --keys 1M --clients 20 --p99 30s --json cost.json
  tidemill cost --rate 50 --api rest --memory 512 --duration-ms 40 --direct-writes 3
  tidemill cost --rate 1000 --window 5 --batch 1000 --on-demand --prices eu.toml
  tidemill cost --rate 50 --size 1MB --objects 2 --object-size 20KB
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
    _add_s3(parser.add_argument_group("what lies in S3"))
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
    group.add_argument("--producers", type=producers, metavar="N", help="that share the rate (as many as clients)")
    group.add_argument(
        "--users", type=count, default=0, metavar="N", help="of the user pool who sign in in a month (0)"
    )
    group.add_argument("--plan", choices=get_args(Plan), default=DEFAULT.plan, help="of the user pool (LITE)")
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


def _add_s3(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--objects", type=number, default=0.0, metavar="N", help="that rules return for a request (0)")
    group.add_argument("--object-size", type=size, default=DEFAULT.object_bytes, metavar="SIZE", help="of each (16KB)")
    group.add_argument(
        "--objects-replaced", action="store_true", help="by those of an item's next request: a batch stores the last"
    )
    group.add_argument("--object-days", type=number, default=DEFAULT.object_days, metavar="N", help="kept for (30)")
    group.add_argument(
        "--claim-check",
        type=_claim_check,
        default=DEFAULT.claim_check,
        metavar="SIZE|none",
        help="larger requests' data is uploaded before, but not to direct (64KB); none: never",
    )
    group.add_argument("--upload-days", type=number, default=DEFAULT.upload_days, metavar="N", help="kept for (30)")
    group.add_argument("--s3-ms", type=number, default=20.0, metavar="MS", help="a function is billed for a call (20)")


def _add_functions(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--api", choices=("http", "rest", "none"), default="http", help="before the direct function")
    group.add_argument("--memory", type=count, default=DEFAULT.direct_memory, metavar="MB", help="of that (128)")
    group.add_argument("--duration-ms", type=number, default=8.0, metavar="MS", help="it is billed for a request (8)")
    group.add_argument("--direct-writes", type=number, default=1.0, metavar="N", help="it makes; 3 if idempotent (1)")
    group.add_argument("--direct-reads", type=number, default=0.0, metavar="N", help="and consistent reads (0)")
    group.add_argument("--item-size", type=size, default=DEFAULT.item_bytes, metavar="SIZE", help="of an entity (1KB)")
    group.add_argument("--apply-memory", type=count, default=DEFAULT.memory, metavar="MB", help="Tidemill's (1769)")
    group.add_argument("--apply-ms", type=number, default=20.0, metavar="MS", help="it is billed for a batch (20)")
    group.add_argument(
        "--arm64", action="store_true", help="both functions run on arm64, as the template's do (x86-64)"
    )
    group.add_argument("--apply-us", type=number, default=40.0, metavar="US", help="and for each request in it (40)")


def wanted(args: argparse.Namespace) -> Wanted:
    """The bound on the p99, and the window and batch where they are given.

    Raises:
        Impossible: the window has no whole seconds.
    """
    return Wanted(args.p99, _window(args), args.batch)


def assumptions(args: argparse.Namespace) -> Assumptions:
    """The model's assumptions: the arguments in its units, its own where none is given."""
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
        objects=args.objects,
        object_bytes=args.object_size,
        objects_replaced=args.objects_replaced,
        object_days=args.object_days,
        claim_check=args.claim_check,
        upload_days=args.upload_days,
        s3_seconds=args.s3_ms / 1000,
        arm64=args.arm64,
        archive=not args.no_archive,
        users=args.users,
        plan=args.plan,
    )


def _window(args: argparse.Namespace) -> int | None:
    if args.window is None:
        return None
    whole = int(args.window)
    if args.window != whole:
        raise Impossible(f"a window of {args.window:g} s is not possible: AWS takes whole seconds; use {whole}s")
    return whole


def _claim_check(text: str) -> int | None:
    return None if text == "none" else size(text)


def _replies(text: str) -> float | None:
    return None if text == "none" else number(text)
