"""What the cost model says of a load test: the same assumptions for the bench's verdict, its page and `tidemill cost`.

Room: load, pure.
Tests: tests/infra/tidemill_cli/test_agreement.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from tidemill_load.cost_model.assumptions import FEW_WRITERS, WRITER_BYTES, Assumptions
from tidemill_load.cost_model.bill import PARTS, Part
from tidemill_load.cost_model.cost import Point, break_even, cost
from tidemill_load.cost_model.flows import like, searched
from tidemill_load.cost_model.prices import Prices, list_prices
from tidemill_load.workloads.key_distribution import KeyDistribution

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tidemill_load.assessment.comparison import Comparison
    from tidemill_load.cost_model.flows import Load
    from tidemill_load.results.result import Measurement, Mode, Result

FOLDED: Final = 1.1
"""A direct function that puts more than so many times the objects of the others puts some that a batch does not."""

SHORTEST: Final = 0.001
"""Lambda bills whole milliseconds."""


@dataclass(frozen=True, slots=True)
class Reckoned:
    """The traffic and the assumptions of one rate's measurements, for the cost model.

    Attributes:
        given: the settings, and what functions were billed.
        load: the requests: a steady rate, or traffic.
        prices: what is paid.
    """

    given: Assumptions
    load: Load
    prices: Prices

    def point(self, mode: Mode) -> Point:
        """The cost of a mode, item by item."""
        return cost(mode, self.load, self.given, self.prices)

    def at(self, mode: Mode, rate: float) -> Point:
        """The cost at another rate, with arrivals as even or uneven as at this one."""
        return cost(mode, like(searched(self.load), rate), self.given, self.prices)

    def even(self, mode: Mode, parts: Collection[Part] = PARTS) -> float | None:
        """Requests a second from which on a mode is cheaper than direct, in those parts; None if it never is."""
        return break_even(mode, self.given, self.prices, parts, searched(self.load))


def reckoned(result: Result, chosen: Comparison | None) -> Reckoned | None:
    """A load test's settings and requests at a rate, with measured durations in place of the model's own.

    None where they are beyond the model, or nothing ran.
    """
    if chosen is None:
        return None
    try:
        given, load, prices = _measured(_set(result, chosen), chosen), _load(result, chosen), _prices(result.prices)
        found = Reckoned(given, load, prices)
        found.point("direct")
        return Reckoned(replace(given, shards=_more_shards(found, chosen.modelled)), load, prices)
    except ValueError:
        return None


def _more_shards(model: Reckoned, best: Measurement | None) -> int:
    """Shards of the stream, where those are more than the rate needs."""
    if best is None:
        return 1
    needed = model.point("buffered" if best.mode == "buffered" else "aggregated").flow.shards
    return best.shards if best.shards > needed else 1


def _set(result: Result, chosen: Comparison) -> Assumptions:
    default = Assumptions()

    def told(name: str, otherwise: float) -> float:
        found = result.workload.parameters.get(name)
        return found if isinstance(found, int | float) and found > 0 else otherwise

    sent = max(chosen.ran, key=lambda one: one.requests)
    return replace(
        default,
        size=max(1, round(sent.bytes / sent.requests)) if sent.bytes else int(told("request_bytes", default.size)),
        key_bytes=int(told("key_bytes", default.key_bytes)),
        keys=KeyDistribution(int(told("keys", default.keys.count)), told("zipf", default.keys.skew)),
        clients=int(told("clients", default.clients)),
        producers=int(told("producers", 1)),
        window=round(result.window),
        batch=result.batch,
        claim_check=None,  # a load test sends all data within its requests
    )


def _measured(given: Assumptions, chosen: Comparison) -> Assumptions:
    if (its := chosen.modelled) and its.item_bytes and its.remembered is not None:
        beside = its.item_bytes - its.remembered * WRITER_BYTES
        given = replace(given, item_bytes=round(beside) + FEW_WRITERS * WRITER_BYTES)
    given = _with_objects(given, chosen)
    if (direct := chosen.direct) and direct.billed_ms and direct.memory_mb:
        seconds = direct.billed_ms / 1000 / direct.requests
        reads, writes = ((units or 0.0) / direct.requests for units in (direct.read_units, direct.write_units))
        given = replace(
            given,
            direct_seconds=seconds,
            direct_memory=direct.memory_mb,
            direct_reads=reads / ceil(given.item_bytes / 4096),
            direct_writes=writes / ceil(given.item_bytes / 1024),
        )
    if (best := chosen.modelled) and best.billed_ms and best.memory_mb:
        given = replace(given, invocation_seconds=_invocation_seconds(best, given), memory=best.memory_mb)
    return given


def _with_objects(given: Assumptions, chosen: Comparison) -> Assumptions:
    """With the objects that were put. Their time is in the measured durations."""
    best = chosen.modelled
    counted = [one for one in (chosen.direct, best) if one and one.object_puts and one.requests]
    if not counted:
        return given
    rates = [(one.object_puts or 0) / one.requests for one in counted]
    sizes = [(one.object_bytes or 0) / (one.object_puts or 1) for one in counted]
    given = replace(given, objects=max(rates), object_bytes=max(1, round(max(sizes))), s3_seconds=0.0)
    return replace(given, objects_replaced=max(rates) > FOLDED * min(rates))


def _invocation_seconds(one: Measurement, given: Assumptions) -> float:
    """Seconds that an invocation takes beside its requests."""
    in_all = (one.billed_ms or 0) / 1000 - one.requests * given.request_seconds
    return max(SHORTEST, in_all / (one.invocations or 1))


def _load(result: Result, chosen: Comparison) -> Load:
    uneven = next((one for one in result.workload.arrivals if one.rate == chosen.rate), None)
    if uneven is None:
        return chosen.rate
    from tidemill_load.cost_model.traffic import of_arrivals  # needs numpy

    return of_arrivals(uneven)


def _prices(other: Mapping[str, float]) -> Prices:
    usual = list_prices()
    if not other:
        return usual
    own = {item: replace(usual.items[item], dollars=dollars, per=1.0) for item, dollars in other.items()}
    return replace(usual, items=MappingProxyType({**usual.items, **own}))
