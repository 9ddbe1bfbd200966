"""The flow of requests that come unevenly: model.py's formulas, second by second.

Room: load, pure. A batch opens in the second that brings its first record and lasts as long as the window, so the empty
seconds matter. The tests compare the results with the event source mapping on its simulated clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from math import ceil, floor
from typing import TYPE_CHECKING

import numpy as np

from tidemill_load.cost_model.assumptions import Assumptions, Design, Impossible
from tidemill_load.cost_model.batching import EVENT_BYTES, EVENT_HEAD, POLL_SECONDS
from tidemill_load.cost_model.filling import Filling, followed
from tidemill_load.cost_model.model import (
    MAX_RATE,
    Flow,
    before,
    clients_of,
    direct,
    drawn_of,
    duration_of,
    forgotten_of,
    overload,
    pieces_of,
)
from tidemill_load.cost_model.packing import RecordShape, Stream, record, stream

if TYPE_CHECKING:
    from typing import TypeAlias

    from tidemill_load.cost_model.traffic import Counts, Span, Traffic

    Places: TypeAlias = np.ndarray[tuple[int], np.dtype[np.intp]]


@dataclass(frozen=True, slots=True)
class _Batches:
    """A shard's batches.

    Attributes:
        number: the number of batches.
        requests: average number of requests in a batch.
        heavy: average size of the batch that a request is in; each batch is weighted by its size.
        waits: seconds from a request's arrival until its batch is sent.
        open_for: seconds from a request's arrival until its batch takes no more requests.
    """

    number: float
    requests: float
    heavy: float
    waits: tuple[Span, ...]
    open_for: tuple[Span, ...]

    def wait(self, share: float) -> float:
        """Seconds within which a share of the requests is on its way to the function."""
        edges = sorted({edge for low, high, _ in self.waits for edge in (low, high)})
        reached = [sum(many * _part(low, high, edge) for low, high, many in self.waits) for edge in edges]
        return float(np.interp(share * reached[-1], reached, edges))


def uneven(mode: Design, traffic: Traffic, given: Assumptions) -> Flow:
    """The flow of uneven traffic.

    Args:
        mode: the mode.
        traffic: the requests; at most a million in the busiest second.
        given: all other assumptions. The busiest second decides the shards; the gaps decide keys and clients.

    Raises:
        Impossible: the traffic is empty, or more than a million requests in a second.
    """
    if not 0 < traffic.busiest <= MAX_RATE:
        raise Impossible(f"{traffic.busiest:,.10g} requests in a second are not possible; at most {MAX_RATE:,.0f} are")
    if mode == "direct":
        return replace(direct(traffic.busiest, given), rate=traffic.rate)
    return _streamed(mode, traffic, stream(mode, traffic.busiest, given), given)


def _streamed(mode: Design, traffic: Traffic, through: Stream, given: Assumptions) -> Flow:
    records = _records(mode, traffic, through.lanes, given)
    most = max(1, min(given.batch, floor((EVENT_BYTES - EVENT_HEAD) / records.event))) * records.requests
    its = _settled(traffic, through.shards, most, given)
    duration = duration_of(its.heavy, given)
    clients = _clients(traffic, its, through.shards, given)
    alone = given.single_replies or 0.0
    answered = given.single_replies is not None
    late = [before(mode, share, given) + its.wait(share) + duration for share in (0.5, 0.99)]
    return Flow(
        mode=mode,
        rate=traffic.rate,
        shards=through.shards,
        lanes=through.lanes if mode == "aggregated" else 0,
        requests_per_record=records.requests,
        record_bytes=records.data,
        batch=its.requests,
        event_bytes=EVENT_HEAD + its.requests / records.requests * records.event,
        distinct=_distinct(traffic, its, through.shards, given),
        forgotten=forgotten_of(its.requests, through.shards, given),
        messages=its.requests * alone + clients * (1 - alone) if answered else 0.0,
        listeners=clients if answered else 0.0,
        duration=duration_of(its.requests, given),
        p50=late[0],
        p99=late[1],
        problems=(*through.problems, *overload(its.heavy, through, traffic.busiest, given)),
    )


def _records(mode: Design, traffic: Traffic, lanes: int, given: Assumptions) -> RecordShape:
    """The average record over all seconds; records are fuller in busy seconds."""
    if mode != "aggregated":
        return record(mode, traffic.rate, lanes, given)
    rates = traffic.slots[traffic.slots > 0] * traffic.factor
    grid = np.geomspace(max(1e-6, rates.min()), rates.max(), 24)
    packed = [record(mode, float(rate), lanes, given) for rate in grid]
    each = np.interp(rates, grid, [one.requests for one in packed])
    number = rates / each
    sizes = np.interp(rates, grid, [one.data for one in packed])
    return RecordShape(float(rates.sum() / number.sum()), float((sizes * number).sum() / number.sum()), packed[0].key)


def _settled(traffic: Traffic, shards: int, most: float, given: Assumptions) -> _Batches:
    """The batches at equilibrium: they gather while the function runs, and it runs as long as a batch takes."""
    hold = max(1, given.window)
    for _ in range(20):
        its = _batches(traffic, shards, hold, most, given)
        busy = duration_of(its.heavy, given)
        if busy <= hold:
            break
        hold = min(ceil(busy), len(traffic.slots) + 1)
    return its


def _batches(traffic: Traffic, shards: int, hold: int, most: float, given: Assumptions) -> _Batches:
    share = traffic.factor / shards
    places = np.flatnonzero(traffic.slots)
    come = traffic.slots[places]
    # The probability that a second brings the shard any request: only a share of the requests is the shard's.
    chances = -np.expm1(come * np.log1p(-share)) if share < 1 else np.ones(len(come))
    opened = _opened(places, chances, hold) if share < 1 else _surely_opened(places, hold)
    totals = np.append(0.0, np.cumsum(traffic.slots)) * share
    ends = np.minimum(places + hold, len(traffic.slots))
    first = come * share / chances
    held = opened * (first + totals[ends] - totals[np.minimum(places + 1, len(traffic.slots))])
    if held.max() > most:
        return _filled(followed(traffic.slots * share, hold, most), traffic.slots * share, hold, most, given)
    number = float(opened.sum())
    begun = opened > 0
    heavy = float((held[begun] ** 2 / opened[begun]).sum() / held.sum())
    waits = _waits(traffic.slots * share, places[begun], opened[begun], first[begun], hold, given.window)
    return _Batches(number, float(held.sum()) / number, heavy, waits, _open_for(waits, given))


def _filled(its: Filling, come: Counts, hold: int, most: float, given: Assumptions) -> _Batches:
    """The batches when some are full. A full batch does not wait for its window, but for the batches before it."""
    number = len(its.timed) + float(its.number.sum())
    everything = float(its.timed.sum() + most * its.number.sum())
    heavy = float((its.timed**2).sum() + most**2 * its.number.sum()) / everything
    waits = _waits(come, its.places.astype(np.intp), np.ones(len(its.timed)), its.firsts, hold, given.window)
    full = [(took, most * many) for took, many in zip(its.took.tolist(), its.number.tolist(), strict=True)]
    alone = duration_of(most, given)
    in_line = [max(0.0, POLL_SECONDS / took - 1) * alone for took, _ in full]
    behind = [(0.0, POLL_SECONDS + took + line, many) for (took, many), line in zip(full, in_line, strict=True)]
    open_for = (*_open_for(waits, given), *((0.0, took, many) for took, many in full))
    return _Batches(number, everything / number, heavy, (*waits, *behind), open_for)


def _open_for(waits: tuple[Span, ...], given: Assumptions) -> tuple[Span, ...]:
    read = POLL_SECONDS if given.window else 0.0
    return tuple((low - read, high - read, many) for low, high, many in waits)


def _opened(places: Places, chances: Counts, hold: int) -> Counts:
    """For each second, the probability that a batch opens: that it brings a request, and that no batch is open."""
    opened: list[float] = []
    lasting: deque[tuple[int, float]] = deque()
    active = 0.0
    for place, chance in zip(places.tolist(), chances.tolist(), strict=True):
        while lasting and lasting[0][0] <= place - hold:
            active -= lasting.popleft()[1]
        opens = chance * max(0.0, 1.0 - active)
        opened.append(opens)
        if opens:
            lasting.append((place, opens))
            active += opens
    return np.array(opened)


def _surely_opened(places: Places, hold: int) -> Counts:
    """The batches that each second opens if every second brings requests: the next opens when the last has ended."""
    after = np.searchsorted(places, places + hold).tolist()
    opened = np.zeros(len(places))
    at = 0
    while at < len(after):
        opened[at] = 1.0
        at = after[at]
    return opened


def _waits(come: Counts, begin: Places, weights: Counts, firsts: Counts, hold: int, window: int) -> tuple[Span, ...]:
    """The requests by their wait: in a batch's first second, until the next read and then for the whole window."""
    least = float(hold) if window else 0.0
    padded = np.append(come, np.zeros(hold))
    # Not by `@`: numpy would use several threads, whose synchronisation takes longer than the sum.
    many = [float((weights * firsts).sum())]
    many += [float((weights * padded[begin + later]).sum()) for later in range(1, hold)]
    waits = ((least - later, least - later + POLL_SECONDS, one) for later, one in enumerate(many))
    return tuple(wait for wait in waits if wait[2] > 0)


def _part(low: float, high: float, edge: float) -> float:
    return min(1.0, max(0.0, (edge - low) / (high - low)))


def _distinct(traffic: Traffic, its: _Batches, shards: int, given: Assumptions) -> float:
    if given.fold is not None:
        return max(1.0, its.requests * given.fold)
    drawn = drawn_of(its.requests, shards, given)
    if pieces_of(its.requests, given) > 1:
        return max(1.0, drawn)  # a piece is too short for the batch's repetitions
    followed = its.requests * traffic.keys.fresh(its.open_for, 1 / traffic.factor)
    # At most the number for independently drawn keys: requests in bursts are for fewer keys, not for more.
    return max(1.0, min(followed, drawn))


def _clients(traffic: Traffic, its: _Batches, shards: int, given: Assumptions) -> float:
    """The number of different clients in a batch. A client's requests go to all shards."""
    pieces = pieces_of(its.requests, given)
    drawn = pieces * clients_of(its.requests / pieces, given)
    if traffic.clients is None or pieces > 1:
        return drawn
    return min(its.requests * traffic.clients.fresh(its.open_for, shards / traffic.factor), drawn)
