"""Traffic hour by hour, and window by window: where buffering pays, and what it takes.

Room: load, pure.
Tests: tests/infra/tidemill_cli/commands/cost/test_command.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Final

from tidemill_load.cost_model.assumptions import Assumptions, Design
from tidemill_load.cost_model.bill import price
from tidemill_load.cost_model.cost import cost, counts
from tidemill_load.cost_model.flows import searched
from tidemill_load.cost_model.packing import stream

if TYPE_CHECKING:
    from tidemill_load.cost_model.prices import Prices
    from tidemill_load.cost_model.traffic import Traffic

WINDOWS: Final = (0, 1, 2, 5, 10, 30, 60, 300)
"""Windows that are tried, in seconds."""

HOUR: Final = 3600


@dataclass(frozen=True, slots=True)
class Hour:
    """The figures of one hour, or of the part of it that a log has.

    Attributes:
        number: from 0.
        requests: that came.
        busiest: requests in its busiest second.
        shards: that it would need by itself.
        direct: dollars, one by one.
        buffered: dollars, with as many shards as the busiest of all hours needs.
        invocations: of the apply function.
        p99: seconds within which 99 of 100 are answered, buffered; 0 where none came.
    """

    number: int
    requests: float
    busiest: float
    shards: int
    direct: float
    buffered: float
    invocations: float
    p99: float

    @property
    def pays(self) -> bool:
        """Whether buffering is cheaper."""
        return self.buffered < self.direct


@dataclass(frozen=True, slots=True)
class Window:
    """A batching window, tried on all of the traffic.

    Attributes:
        seconds: MaximumBatchingWindowInSeconds.
        shards: that it takes.
        invocations_per_million: of the apply function.
        p99: seconds within which 99 of 100 are answered.
        per_million: dollars for a million requests.
    """

    seconds: int
    shards: int
    invocations_per_million: float
    p99: float
    per_million: float


def hourly(
    hours: Mapping[int, Traffic], seconds: float, mode: Design, given: Assumptions, shards: int, prices: Prices
) -> Iterator[Hour]:
    """Each hour of a span, those without requests too.

    Args:
        hours: the traffic of those that have some, by number from 0.
        seconds: of the whole span.
        mode: of buffering.
        given: the settings.
        shards: of the stream, in every hour.
        prices: what is paid.
    """
    given = replace(given, shards=shards)
    for number in range(ceil(seconds / HOUR)):
        lasts = min(HOUR, seconds - number * HOUR)
        traffic = hours.get(number)
        if traffic is None or not traffic.requests:
            yield Hour(number, 0.0, 0.0, 1, 0.0, _idle(lasts, given, shards, prices), 0.0, 0.0)
            continue
        one = cost(mode, traffic, given, prices).flow
        alone = stream(mode, traffic.busiest, replace(given, shards=1))
        direct = cost("direct", traffic, given, prices).flow
        by_one, by_batch = (price(counts(flow, given, lasts / HOUR), prices).total for flow in (direct, one))
        invocations = traffic.requests / one.batch
        yield Hour(number, traffic.requests, traffic.busiest, alone.shards, by_one, by_batch, invocations, one.p99)


def windows(
    traffic: Traffic, mode: Design, given: Assumptions, prices: Prices, tried: Iterable[int] = WINDOWS
) -> tuple[Window, ...]:
    """Shards, invocations, delay and costs with each window."""
    points = ((one, cost(mode, searched(traffic), replace(given, window=one), prices)) for one in tried)
    return tuple(
        Window(one, point.flow.shards, point.flow.invocations_per_million, point.flow.p99, point.per_million)
        for one, point in points
    )


def _idle(seconds: float, given: Assumptions, shards: int, prices: Prices) -> float:
    """Dollars of a stream that carries nothing."""
    item, number = ("stream_hours", 1) if given.on_demand else ("shard_hours", shards)
    return prices.items[item].of(number * seconds / HOUR)
