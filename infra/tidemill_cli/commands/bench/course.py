"""The course that `tidemill bench` runs, from its arguments: a generated workload, or the requests of an access log.

Room: command line.
Tests: tests/infra/tidemill_cli/test_agreement.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING

from tidemill_cli.arguments.trace import Misused, fields_of, named
from tidemill_load.results.result import Arrivals, Parameter, Workload
from tidemill_load.workloads.synthetic import Shape, generate

if TYPE_CHECKING:
    from tidemill_bench.session import Course
    from tidemill_load.workloads.scheduled_request import ScheduledRequest

SECONDS, TRACE_SECONDS, SIMULATED_SECONDS = 20.0, 60.0, 3600.0
"""How long each mode sends at each rate, if --seconds does not say."""

RATES, SIMULATED_RATES = (20.0,), (10_000.0,)

DEFAULT = Shape()

MOST_STORED = 512 * 1024 * 1024
"""Bytes of objects that a load test may store on this machine."""

KEY_BYTES = len("content/100")
"""Typical length of a generated workload's ordering keys."""

TRACE_SPEED = 60.0
"""Times real time, unless --speed says otherwise: a minute in a second."""


def synthetic(args: argparse.Namespace) -> Course:
    """A generated workload at each rate."""
    from tidemill_bench.session import Course

    producers = args.producers or 1
    clients = producers if producers > 1 else args.clients
    given = (args.workload, args.keys, args.skew, clients, args.size, args.objects, args.object_size)
    names = ("kind", "keys", "zipf", "clients", "request_bytes", "objects", "object_bytes")
    shape = replace(DEFAULT, **{name: one for name, one in zip(names, given, strict=True) if one is not None})
    slices = 1 if args.simulate else args.slices
    length = _seconds(args) / slices
    rates = args.rates or (SIMULATED_RATES if args.simulate else RATES)
    check_stored(shape, len(args.modes) * sum(rates) * _seconds(args))

    def scheduled(rate: float, turn: int) -> Iterable[ScheduledRequest]:
        return generate(shape, rate, length, args.seed + turn)

    sizes = {"request_bytes": shape.request_bytes, "key_bytes": KEY_BYTES}
    who = {"clients": shape.clients, "producers": producers}
    objects = {"objects": shape.objects, "object_bytes": shape.object_bytes} if shape.objects else {}
    parameters = {"keys": shape.keys, "zipf": shape.zipf, **who, **sizes, **objects}
    uneven = [] if shape.kind == "poisson" else [_arrivals(rate, slices, length, scheduled) for rate in rates]
    workload = Workload(kind=shape.kind, parameters=parameters, arrivals=tuple(uneven))
    return Course(args.modes, rates, slices, scheduled, _seconds(args), workload, producers)


def check_stored(shape: Shape, requests: float) -> None:
    """Raise Misused for objects that this machine may not hold."""
    stored = requests * shape.objects * shape.object_bytes
    if stored > MOST_STORED:
        raise Misused(
            f"about {stored / 2**20:,.0f} MiB of objects would be stored, and {MOST_STORED / 2**20:,.0f} are the most: "
            "lower --rates, --seconds or --object-size"
        )


def of_trace(args: argparse.Namespace, tell: Callable[[str], None]) -> Course:
    """The requests of a log, at the speed asked for.

    Args:
        args: the command's.
        tell: shows a line on the part of the log that is replayed.
    """
    from tidemill_bench.session import Course
    from tidemill_cli.trace_summary import excerpted
    from tidemill_load.assessment.survey import Survey
    from tidemill_load.cost_model.traffic import arrivals
    from tidemill_load.workloads.trace import read_trace
    from tidemill_load.workloads.trace_slices import slices_of

    slices, length = 1 if args.simulate else args.slices, _seconds(args)
    speed = speed_of(args)
    trace = read_trace(args.trace, fields_of(args))
    turns = slices_of(trace, speed, length, slices)
    if args.simulate and args.seconds is None:  # a log that ends before that is not followed by an hour's silence
        length = min(length, max(TRACE_SECONDS, 60.0 * ceil(max((one.at for one in turns[0]), default=0.0) / 60)))
    shifted = (replace(one, at=one.at + turn * length / slices) for turn, its in enumerate(turns) for one in its)
    found = Survey().plan(shifted).done(length)
    for line in excerpted(trace.log, found, speed):
        tell(line)
    producers = min(args.producers or 1, found.clients or 1)  # a client's requests are one producer's
    if producers < (args.producers or 1):
        tell(f"{producers:,} producers, for there are no more clients in it")
    requests = sum(map(len, turns))
    mean = round(requests / length, 3)
    parameters: dict[str, Parameter] = {
        "file": named(args.trace),
        "speed": speed,
        "requests": requests,
        "unreadable": trace.unreadable,
        "keys": found.keys.count,
        "zipf": found.keys.skew,
        "clients": found.clients,
        "producers": producers,
        "key_bytes": found.key_bytes,
    }
    workload = Workload(kind="trace", parameters=parameters, arrivals=(arrivals(found.traffic, mean),))
    return Course(args.modes, (mean,), slices, lambda _, turn: turns[turn], length, workload, producers)


def speed_of(args: argparse.Namespace) -> float:
    """How many times faster than real time a log is replayed."""
    return float(args.speed or TRACE_SPEED)


def _seconds(args: argparse.Namespace) -> float:
    usual = SIMULATED_SECONDS if args.simulate else TRACE_SECONDS if args.trace else SECONDS
    return float(usual if args.seconds is None else args.seconds)


def _arrivals(
    rate: float, slices: int, length: float, scheduled: Callable[[float, int], Iterable[ScheduledRequest]]
) -> Arrivals:
    """When a workload's requests come, all turns one after the other."""
    from tidemill_load.assessment.survey import Survey
    from tidemill_load.cost_model.traffic import arrivals

    turns = (replace(one, at=one.at + turn * length) for turn in range(slices) for one in scheduled(rate, turn))
    return arrivals(Survey().plan(turns).done(slices * length).traffic, rate)
