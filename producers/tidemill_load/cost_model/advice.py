"""Advice whether to buffer: the cheapest settings within a bound on the delay, and one plain sentence.

Room: load, pure.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil

from tidemill_load.cost_model.assumptions import DESIGNS, MAX_BATCH, MAX_WINDOW, Assumptions, Design
from tidemill_load.cost_model.cost import Part, Point, break_even, cost
from tidemill_load.cost_model.flows import Load, flow_of, searched
from tidemill_load.cost_model.model import TIMEOUT
from tidemill_load.cost_model.prices import Prices

BUFFERING: tuple[Design, ...] = ("buffered", "aggregated")
"""The modes compared with direct. HTTP in front is left out: it is never cheaper, and serves HTTP-only clients."""

DELIVERY: tuple[Part, ...] = ("delivery",)

_AS_CHEAP = 1.001
"""A setting that costs up to a thousandth more counts as equally cheap; the quicker one is then chosen."""


@dataclass(frozen=True, slots=True)
class Option:
    """A mode with its settings.

    Attributes:
        given: the assumptions, with the chosen window and batch.
        point: the flow of requests, and the bill for a month.
        even_from: requests a second from which it is cheaper than direct; None if it never is.
        problems: reasons why it cannot be run, a sentence each.
    """

    given: Assumptions
    point: Point
    even_from: float | None
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """The advice for a load.

    Attributes:
        options: one for each mode.
        best: the cheapest buffering mode that can be run; None if none can.
        buffer: whether `best` is cheaper than direct.
        headline: the advice in one sentence.
        delivery: the comparison of delivery alone, without database, replies and archive.
    """

    options: Mapping[Design, Option]
    best: Design | None
    buffer: bool
    headline: str
    delivery: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """The limits within which settings are searched.

    Attributes:
        p99: seconds within which 99 of 100 requests must take effect; None for no bound.
        window: the batching window in seconds; None to choose one.
        batch: the most records of a batch; None to choose.
    """

    p99: float | None = None
    window: int | None = None
    batch: int | None = None


def advise(load: Load, given: Assumptions, wanted: Wanted, prices: Prices) -> Advice:
    """Compare all modes under a load and advise.

    Args:
        load: a steady rate, in requests a second, above 0 and at most a million; or traffic.
        given: all other assumptions; its window applies when neither a bound nor a window is wanted.
        wanted: the limits for the settings.
        prices: the list of prices.

    Raises:
        Impossible: the rate, window or batch is out of range.
    """
    options = {mode: _option(mode, load, given, wanted, prices) for mode in DESIGNS}
    possible = [mode for mode in BUFFERING if not options[mode].problems]
    best = min(possible, key=lambda mode: options[mode].point.per_million, default=None)
    direct = options["direct"].point
    buffer = best is not None and options[best].point.per_million < direct.per_million
    return Advice(options, best, buffer, _headline(options, best), _delivery(options, best, load, prices))


def what_if(advice: Advice, load: Load, prices: Prices) -> Iterator[tuple[str, Point, Point]]:
    """The comparison under other assumptions, as (the changed assumption, direct, the best buffering mode)."""
    mode = advice.best or BUFFERING[0]
    given = advice.options[mode].given
    for text, other in _variations(given):
        direct, *others = (cost(one, searched(load), other, prices) for one in ("direct", *BUFFERING))
        yield text, direct, min(others, key=lambda one: one.per_million)


def dollars(amount: float) -> str:
    """An amount for display: in whole cents, or with two significant digits below ten cents."""
    if amount >= 0.1 or amount == 0:
        return f"${amount:,.2f}"
    return f"${amount:.2g}" if amount >= 1e-4 else "<$0.0001"


def within(seconds: float) -> str:
    """A time for display in tenths of a second, rounded up so that the stated bound holds."""
    return f"{ceil(seconds * 10 - 1e-9) / 10:g} s"


# ---- settings


def _option(mode: Design, load: Load, given: Assumptions, wanted: Wanted, prices: Prices) -> Option:
    chosen = given if mode == "direct" else _chosen(mode, searched(load), given, wanted, prices)
    point = cost(mode, load, chosen, prices)
    even_from = None if mode == "direct" else break_even(mode, chosen, prices, shape=searched(load))
    return Option(chosen, point, even_from, (*point.flow.problems, *_late(point, load, chosen, wanted)))


def _chosen(mode: Design, load: Load, given: Assumptions, wanted: Wanted, prices: Prices) -> Assumptions:
    chosen = replace(given, batch=wanted.batch or _batch(mode, load, given))
    if wanted.window is not None:
        return replace(chosen, window=wanted.window)
    return chosen if wanted.p99 is None else _windowed(mode, load, chosen, wanted.p99, prices)


def _batch(mode: Design, load: Load, given: Assumptions) -> int:
    """The largest batch that the function finishes in half of its timeout."""
    requests = (TIMEOUT / 2 - given.invocation_seconds) / max(given.applied_seconds, 1e-9)
    return max(1, min(MAX_BATCH, int(requests / flow_of(mode, load, given).requests_per_record)))


def _windowed(mode: Design, load: Load, given: Assumptions, bound: float, prices: Prices) -> Assumptions:
    """The assumptions with the shortest window that is as cheap as the longest one within the bound."""

    def p99(window: int) -> float:
        return flow_of(mode, load, replace(given, window=window)).p99

    def saved(window: int) -> float:
        return -cost(mode, load, replace(given, window=window), prices).per_million

    longest = max(0, bisect_right(range(MAX_WINDOW + 1), bound, key=p99) - 1)
    return replace(given, window=bisect_left(range(longest), _AS_CHEAP * saved(longest), key=saved))


def _late(point: Point, load: Load, given: Assumptions, wanted: Wanted) -> tuple[str, ...]:
    happens = point.flow
    if wanted.p99 is None or happens.p99 <= wanted.p99:
        return ()
    text = f"99 of 100 requests take up to {within(happens.p99)}, and {wanted.p99:g} s are wanted"
    if happens.mode == "direct":
        return (text,)
    nearest = flow_of(happens.mode, load, replace(given, window=0)).p99
    if nearest <= wanted.p99:
        return (f"{text}: with a window of 0 they take {within(nearest)}",)
    return (f"{text}: a stream is read once a second, so {within(nearest)} are the least",)


# ---- sentences


def _headline(options: Mapping[Design, Option], best: Design | None) -> str:
    direct = options["direct"].point.per_million
    if best is None:
        why = options[BUFFERING[-1]].problems[0]
        rest = "Nor is direct" if options["direct"].problems else f"Direct costs {dollars(direct)} per million requests"
        return f"Buffering is not possible here: {why}. {rest}."
    other, even_from = options[best].point.per_million, options[best].even_from
    if other < direct:
        since = f"from {_rate(even_from)} requests/s on" if even_from else "at any rate"
        saved = f"Buffering saves {_saving(other, direct)}"
        return f"{saved}: {dollars(other)} instead of {dollars(direct)} per million requests; {since}."
    since = "and so it is at any rate" if even_from is None else f"buffer from {_rate(even_from)} requests/s on"
    return f"Direct is cheaper here: {dollars(direct)} instead of {dollars(other)} per million requests; {since}."


def _delivery(options: Mapping[Design, Option], best: Design | None, load: Load, prices: Prices) -> str:
    mode = best or BUFFERING[0]
    direct, other = (options[one].point.bill.part("delivery") for one in ("direct", mode))
    even_from = break_even(mode, options[mode].given, prices, DELIVERY, searched(load))
    since = "never cheaper" if even_from is None else f"cheaper from {_rate(even_from)} requests/s on"
    objects = ", objects" if options[mode].given.objects else ""
    return f"Without DynamoDB{objects}, replies and archive: {dollars(other)} instead of {dollars(direct)}; {since}."


def _saving(less: float, more: float) -> str:
    return f"{100 * (1 - less / more):.0f}%" if less < 0.99 * more else f"{100 * (1 - less / more):.1f}%"


def _rate(rate: float) -> str:
    """A rate for display: whole from 100 on, and below that in tenths, rounded up."""
    return f"{rate:,.0f}" if rate >= 100 else f"{ceil(rate * 10) / 10:g}"


# ---- what else


def _variations(given: Assumptions) -> Iterator[tuple[str, Assumptions]]:
    few = (given.producers or given.clients) < 100
    other = replace(given, producers=1000 if few else 1)
    yield "1,000 producers share the rate" if few else "one producer", other
    if given.single_replies != 1:
        yield "each request is answered on its own", replace(given, single_replies=1.0)
    if given.single_replies is not None:
        yield "nobody is answered", replace(given, single_replies=None)
    kind = "provisioned shards" if given.on_demand else "an on-demand stream"
    yield kind, replace(given, on_demand=not given.on_demand)
    if given.peak == 1:
        yield "shards for five times the rate", replace(given, peak=5.0)
    if given.api != "none":
        yield "direct behind a function URL, no API", replace(given, api="none")
    if given.direct_writes == 1:
        yield "direct made idempotent: 3 writes a request", replace(given, direct_writes=3.0)
    if given.archive:
        yield "no archive", replace(given, archive=False)
