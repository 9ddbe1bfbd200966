"""Where a load test runs: on this machine, on AWS, or on a simulated clock.

Room: command line, composition: stacks, drivers and counts are tidemill_bench's.
Tests: tests/infra/tidemill_cli/test_agreement.py.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from secrets import token_hex
from typing import Protocol

from botocore.credentials import Credentials

from tidemill.replies.queue import reply_queue
from tidemill_bench import aws
from tidemill_bench.driver import Counting, Driver, Stack
from tidemill_bench.local import ORDER_RULES, LogCounting, parameters, stack_of
from tidemill_bench.session import Course, Session, priced
from tidemill_bench.simulated import Run, Settings, direct
from tidemill_cli.errors import CommandError
from tidemill_cli.stack import access, outputs
from tidemill_deploy.template import template_path
from tidemill_load.cost_model.assumptions import Assumptions
from tidemill_load.cost_model.flows import flow_of
from tidemill_load.cost_model.prices import Prices
from tidemill_load.cost_model.traffic import of_arrivals
from tidemill_load.results.result import Measurement, Mode, Workload
from tidemill_load.workloads.key_distribution import KeyDistribution
from tidemill_local.platform import Platform

BEYOND = 3.0
"""Rates above this multiple of the measured sending rate are refused; it was measured for a moment only."""

SIMULATED_A_SECOND, SIMULATED_OF_MANY = 20_000, 8_000
"""Requests that a simulation does a second, about, of each mode: of one producer, and of many."""

MOST_SIMULATED = 1_000_000_000
"""Requests of each mode at each rate."""

CONNECTED = "At most {} direct requests were under way at a time, for they share this machine's processors."

STOPPED = "The run was stopped before its end."

DEFAULT = Assumptions()

ASSUMED = (
    "Simulated: a batch takes {0.invocation_seconds:g} s and {0.request_seconds:g} s for each request; a direct one "
    "{0.direct_seconds:g} s at {0.direct_memory} MB. Shards' limits do not hold here, and nothing is applied."
)


class NotPossible(CommandError):
    """The load test cannot run in the chosen place; says why, and what to do."""


class Tell(Protocol):
    """Shows how far it is."""

    def begin(self, what: str) -> None:
        """Something begins."""

    def __call__(self, text: str) -> None:
        """A step in between."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The measurements of a run and the settings that held, as `Result` has them."""

    measurements: Sequence[Measurement]
    window: float
    batch: int
    config_hash: str
    notes: tuple[str, ...]
    stopped: bool


def local(course: Course, args: argparse.Namespace, tell: Tell, prices: Prices) -> RunSummary:
    """On a local platform of its own."""
    settings = parameters(args.window, args.batch, args.shards or 1)
    measured = Measured("bench")
    try:
        with Platform(0, settings, say=tell.begin) as platform:
            stack = stack_of(platform, args.window)
            measured.notes.append(CONNECTED.format(stack.connections))
            measured.run(stack, LogCounting(platform), course, tell)
    except KeyboardInterrupt:
        measured.stopped = True
    return measured.summary(args.window, args.batch, config_hash(template_path().read_bytes(), settings), prices)


def on_aws(course: Course, args: argparse.Namespace, tell: Tell, prices: Prices) -> RunSummary:
    """On a stack that is there.

    Raises:
        NoStack: there is none.
        NotPossible: it is not one for load tests.
    """
    where = access(None)
    names = outputs(where, args.stack)
    cloudformation = where.client("cloudformation")
    settings = aws.parameters(cloudformation, args.stack)
    _check(course, settings, args.stack)
    window, batch = int(settings["BatchingWindowSeconds"]), int(settings["BatchSize"])
    credentials = Credentials(where.access_key or "", where.secret_key or "", where.session_token)
    stack = Stack(where.client, names, credentials, where.region, window, aws.CONNECTIONS)
    measured = Measured(token_hex(4))  # its table may have what another load test left
    try:
        measured.run(stack, aws.counting(stack, course.modes, tell), course, tell)
    except KeyboardInterrupt:
        measured.stopped = True
    return measured.summary(window, batch, config_hash(aws.template(cloudformation, args.stack), settings), prices)


@dataclass(slots=True)
class Measured:
    """A session and its notes, which stay when it is stopped.

    Args:
        tag: what all keys begin with.
    """

    tag: str
    session: Session | None = None
    notes: list[str] = field(default_factory=list)
    stopped: bool = False

    def run(self, stack: Stack, counting: Counting, course: Course, tell: Tell) -> None:
        """Run the course on the stack. Ctrl-C ends it with what was measured by then."""
        with (
            reply_queue(stack.outputs["RepliesTopicArn"], client_of=stack.client) as queue,
            Driver(stack, queue, counting, tell, course.producers) as driver,
        ):
            driver.notes = self.notes
            tell.begin("warming up")
            lowers = "--speed" if course.workload.kind == "trace" else "--rates"
            for mode in course.modes:
                most = driver.warm_up(mode, f"{self.tag}-warm-{mode}")
                if not driver.stopped:
                    check_rate(mode, max(course.rates), most, lowers)
            self.session = Session(driver, self.tag, tell.begin)
            self.session.run(course)
            self.stopped = driver.stopped

    def summary(self, window: int, batch: int, config: str, prices: Prices) -> RunSummary:
        """The measurements up to now, priced."""
        found = self.session.measurements() if self.session else ()
        notes = (*self.notes, *((STOPPED,) if self.stopped else ()))
        return RunSummary(priced(found, prices), window, batch, config, notes, self.stopped)


def check_rate(mode: Mode, rate: float, most: float, lowers: str = "--rates") -> None:
    """Raise NotPossible at a rate that this machine does not send, by far.

    Args:
        mode: the mode.
        rate: requests a second that are asked for.
        most: that it does, about.
        lowers: the option that says how much comes.
    """
    if rate > BEYOND * most:
        raise NotPossible(
            f"{mode} at {rate:,.0f} requests/s: this machine sends about {most:,.0f}; lower {lowers}, leave {mode} out "
            "of --modes, or take --simulate"
        )


def _check(course: Course, settings: Mapping[str, str], stack: str) -> None:
    wants = {"Rules": ORDER_RULES} | ({"DirectEndpoint": "on"} if "direct" in course.modes else {})
    missing = [f"{name}={value}" for name, value in wants.items() if settings.get(name) != value]
    if missing:
        raise NotPossible(f"the stack {stack} is none for load tests: deploy one with {' '.join(missing)}")


def config_hash(template: bytes, settings: Mapping[str, str]) -> str:
    """The first 12 hex digits of a SHA-256 over the template and its parameters."""
    return hashlib.sha256(template + json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def simulated(course: Course, args: argparse.Namespace, tell: Tell, prices: Prices) -> RunSummary:
    """On a simulated clock. Ctrl-C ends it with what was measured by then."""
    if set(course.modes) <= {"direct"}:
        raise NotPossible("direct has nothing to simulate by itself: add buffered or aggregated to --modes")
    _check_simulated(course)
    found: list[Measurement] = []
    notes = [ASSUMED.format(DEFAULT)]
    stopped = False
    gc.disable()  # nothing here is cyclic, and there is so much of it that looking for cycles takes most of the time
    try:
        for rate, _, mode in course.turns():
            if mode == "direct":
                continue
            settings, problems = _settings(mode, rate, args, course.workload)
            notes += [f"{mode} at {rate:g} requests/s: {problem}." for problem in problems]
            tell.begin(
                f"{mode} at {rate:g} requests/s, {settings.shards} shards{_about(rate * course.seconds, course)}"
            )
            its = course.scheduled(rate, 0)
            one = Run(mode, rate, its, settings, args.seed, course.seconds, course.producers)
            stopped = not one.go(tell)
            found.append(one.measurement())
            if stopped:
                break
    finally:
        gc.enable()
    if "direct" in course.modes:
        found += [direct(one, DEFAULT) for one in {one.rate: one for one in found}.values()]
    return RunSummary(
        measurements=priced(found, prices),
        window=args.window,
        batch=args.batch,
        config_hash=config_hash(b"", {"window": str(args.window), "batch": str(args.batch)}),
        notes=(*notes, *((STOPPED,) if stopped else ())),
        stopped=stopped,
    )


def _check_simulated(course: Course) -> None:
    """Raise NotPossible for a simulation that would take days."""
    requests = max(course.rates) * course.seconds
    if requests > MOST_SIMULATED:
        hours = requests / _a_second(course) / 3600
        raise NotPossible(
            f"{requests:,.0f} requests take about {hours:,.0f} hours of each mode; {MOST_SIMULATED:,} are the most: "
            "lower --rates or --seconds"
        )


def _a_second(course: Course) -> int:
    return SIMULATED_A_SECOND if course.producers == 1 else SIMULATED_OF_MANY


def _about(requests: float, course: Course) -> str:
    """The estimated time of a simulation, if it is a minute or more."""
    minutes = requests / _a_second(course) / 60
    return f"; {requests:,.0f} requests, about {minutes:,.0f} min" if minutes >= 1 else ""


def _settings(
    mode: Mode, rate: float, args: argparse.Namespace, workload: Workload
) -> tuple[Settings, tuple[str, ...]]:
    """The mapping, with as many shards as were asked for or are needed, and why those would not do."""
    told = workload.parameters
    keys = KeyDistribution(int(told.get("keys") or 1), float(told.get("zipf") or 0))
    size, producers = int(told.get("request_bytes") or DEFAULT.size), int(told.get("producers") or 1)
    given = replace(DEFAULT, size=size, keys=keys, producers=producers, claim_check=None)
    uneven = next((of_arrivals(one) for one in workload.arrivals if one.rate == rate), None)
    needed = flow_of("aggregated" if mode == "aggregated" else "buffered", uneven or rate, given)
    shards = args.shards or needed.shards
    short = (f"{needed.shards} shards are needed, and it has {shards}",) if shards < needed.shards else ()
    return Settings(args.window, args.batch, shards, DEFAULT), (*short, *needed.problems)
