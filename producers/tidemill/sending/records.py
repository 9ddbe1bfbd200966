"""One idea: one kind of buffer, used twice. Requests fill records, and records fill calls.

Room: SDK core. No I/O; time is an argument.
"""

from collections.abc import Callable
from math import inf
from sys import maxsize
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from tidemill.contract.aggregation import Aggregate, unpack
from tidemill.contract.attempts import MAX_TRIED, marked, marked_key
from tidemill.contract.lanes import partition_key

CALL_RECORDS = 500
"""Most records of a PutRecords call.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
"""

MARK_BYTES = len(marked(b"{", MAX_TRIED)) - 1
"""Most bytes that a mark adds to a record, in its data or its partition key."""

CALL_BYTES = 10 * 1024 * 1024 - CALL_RECORDS * MARK_BYTES
"""Most bytes of a PutRecords call, partition keys included, with room for every record's mark."""

RECORD_BYTES = 25 * 1024
"""Size of a full record in bytes: one PUT payload unit. A failure re-sends about a hundred requests and not 5,000."""

MAX_RECORD_BYTES = 1024 * 1024
"""Most bytes of a record, partition key included, by a stream's default limit."""

RECORD_REQUESTS = 10_000
"""Most requests of a record."""


Item = TypeVar("Item")
AnItem = TypeVar("AnItem", contravariant=True)


class Load(Protocol[AnItem]):
    """A container that a buffer fills. It knows its exact size, even if its items share bytes."""

    due: float
    """When it must be taken: the earliest deadline of its items, `inf` while it is empty."""

    @property
    def count(self) -> int:
        """Number of its items."""

    def add(self, item: AnItem, limit: int) -> bool:
        """Adds the item unless the size would pass `limit` bytes. Returns whether it did."""


Filled = TypeVar("Filled", bound=Load)  # type: ignore[type-arg] # a bound cannot name another variable


class Buffer(Generic[Item, Filled]):
    """Fills one load at a time, item by item.

    Args:
        empty: makes an empty load.
        size: most bytes of a load. A larger item makes a load of its own.
        count: most items of a load.
    """

    __slots__ = ("_count", "_empty", "_size", "load")

    def __init__(self, empty: Callable[[], Filled], size: int, count: int) -> None:
        self._empty = empty
        self._size = size
        self._count = count
        self.load: Filled = empty()

    def add(self, item: Item, due: float) -> Filled | None:
        """Adds an item that can wait until `due`. If it did not fit, it begins a new load; returns the full one.

        A load of `count` items is due at once.
        """
        load = self.load
        full = None
        if load.count >= self._count or not load.add(item, self._size):
            full = self.take()
            load = self.load
            load.add(item, maxsize)
        if load.count == self._count:
            due = -inf
        if due < load.due:
            load.due = due
        return full

    def hurry(self) -> None:
        """Makes the load due at once, unless it is empty."""
        if self.load.count:
            self.load.due = -inf

    def take(self) -> Filled | None:
        """Takes the load out, however full it is; None if it is empty."""
        load = self.load
        if not load.count:
            return None
        self.clear()
        return load

    def clear(self) -> None:
        """Begins an empty load."""
        self.load = self._empty()


THROTTLED = frozenset(
    {"ProvisionedThroughputExceededException", "KMSThrottlingException", "ThrottlingException", "Throttling"}
)
"""Error codes of throttling."""


class Acknowledged(NamedTuple):
    """Where the record of a request was stored."""

    shard: str
    sequence: str


class Refused(NamedTuple):
    """Why a record, or a whole call, was not stored.

    Attributes:
        code: the service's error code, or the name of the exception.
        message: the error's message.
        again: whether a retry may succeed.
        lost: whether an answer did not arrive, so that the record may be stored.
    """

    code: str
    message: str
    again: bool
    lost: bool = False


Outcome: TypeAlias = Acknowledged | Refused

EXPIRED = "Expired"
"""The code of a request whose deadline passed before it was acknowledged."""


class Record(Aggregate):
    """A lane's record, from its first request to its outcome.

    Its requests share its outcome, except those that expired before it.

    Args:
        lane: its lane.
        hash_key: its explicit hash key, which its user records carry too: KCL drops a user record whose own
            hash lies outside the shard (AggregatorUtil.deaggregate).

    Attributes:
        count: number of its requests.
        gone: number of requests that expired and left it before its outcome.
        size: bytes of its data.
        partition_key: its partition key.
        born: when its first request was added.
        due: when its first request has waited as long as it may.
        deadline: the earliest deadline of its requests.
        aboard: whether it waits in a call that has not been handed out.
        maybe_stored: whether an answer to it was lost, so that it may be stored. It is marked from then on.
        tried: a time not after its first attempt's arrival, for its mark (`contract/attempts.py`); None before that.
        outcome: None until it is acknowledged or given up.
        reported: whether an exception has reported that it was given up.
        spooled: place -> number in the spool, of the requests that are still there.
    """

    __slots__ = (
        "_data",
        "_deadlines",
        "_early",
        "aboard",
        "born",
        "deadline",
        "due",
        "gone",
        "lane",
        "maybe_stored",
        "outcome",
        "partition_key",
        "reported",
        "spooled",
        "tried",
    )

    def __init__(self, lane: int, hash_key: str | None) -> None:
        super().__init__(hash_key)
        self.lane = lane
        self.gone = 0
        self.partition_key = partition_key(lane)
        self.born = self.due = self.deadline = inf
        self.aboard = self.maybe_stored = self.reported = False
        self.outcome: Outcome | None = None
        self.tried: int | None = None
        self.spooled: dict[int, int] = {}
        self._data = b""
        self._deadlines: dict[int, float] = {}
        self._early: dict[int, Outcome] = {}

    def add(self, item: tuple[str, bytes], limit: int) -> bool:
        """Adds an ordering key and its request unless the size would pass `limit` bytes. Returns whether it did."""
        return self.append(*item, limit)

    @property
    def last(self) -> int:
        """The place of the request added last: the number of requests before it."""
        return self.count + self.gone - 1

    @property
    def data(self) -> bytes:
        """Its bytes, the same at every retry. To be read only when no further request can join."""
        if not self._data:
            self._data = self.pack()
            self.release()
        return self._data

    @property
    def entry(self) -> dict[str, Any]:
        """The record as an entry of PutRecords: as on its first attempt, or marked if that may have been stored."""
        return self.marked_entry if self.maybe_stored else self._entry(self.partition_key, self.data)

    @property
    def marked_entry(self) -> dict[str, Any]:
        """The record as a marked entry of PutRecords."""
        return self._entry(marked_key(self.partition_key, self.tried or 0), self.data)

    def _entry(self, partition_key: str, data: bytes) -> dict[str, Any]:
        where = {} if self.hash_key is None else {"ExplicitHashKey": self.hash_key}
        return {"Data": data, "PartitionKey": partition_key} | where

    def attempted(self, tried: int, maybe_stored: bool) -> None:
        """Notes that no request of it was put before this time, and whether one may be stored."""
        self.tried = tried if self.tried is None else min(self.tried, tried)
        self.maybe_stored |= maybe_stored

    def outcome_of(self, place: int) -> Outcome | None:
        """The outcome of the request at a place; None while it has none."""
        return self._early.get(place, self.outcome)

    @property
    def refusal(self) -> Refused | None:
        """The reason why some or all of its requests were given up; None if none was."""
        outcome = next(iter(self._early.values()), self.outcome)
        return outcome if isinstance(outcome, Refused) else None

    def limit(self, deadline: float) -> None:
        """Sets the deadline of the request added last."""
        self._deadlines[self.last] = deadline
        self.deadline = min(self.deadline, deadline)

    def expire(self, now: float) -> int:
        """Gives up the requests whose deadline has passed. Returns their number. The others keep their order."""
        places = [place for place in range(self.last + 1) if place not in self._early]
        kept = [place for place in places if self._deadlines.get(place, inf) > now]
        if kept and len(kept) < len(places):
            self._keep(kept, places)
        outcome = Refused(EXPIRED, "its time was over before it was acknowledged", again=False, lost=self.maybe_stored)
        self._early |= {place: outcome for place in places if self._deadlines.get(place, inf) <= now}
        self.deadline = min((self._deadlines.get(place, inf) for place in kept), default=inf)
        self.count, self.gone = len(kept), len(self._early)
        return len(places) - len(kept)

    def settle(self, outcome: Outcome) -> None:
        """Sets the outcome and frees the bytes, because handles keep the record."""
        self.outcome = outcome
        self._data = b""
        self.release()
        self._deadlines.clear()

    def take_ended(self) -> list[int]:
        """The numbers in the spool of the requests that have ended since the last call."""
        ended = [place for place in self.spooled if self.outcome is not None or place in self._early]
        return [self.spooled.pop(place) for place in ended]

    def _keep(self, kept: list[int], places: list[int]) -> None:
        items = dict(zip(places, unpack(self.data), strict=True))
        self._data = b""
        self.clear()
        for place in kept:
            self.append(items[place].key, items[place].data, maxsize)


class PlainRecord(Record):
    """A record of one unaggregated request, with the ordering key as its partition key."""

    __slots__ = ()

    def __init__(self, lane: int) -> None:
        super().__init__(lane, None)
        self.size = 0

    def append(self, key: str, data: bytes, limit: int) -> bool:
        """Takes a request unless it has one already, or that is longer than `limit`. Returns whether it did."""
        if self.count or len(data) > limit:
            return False
        self.partition_key = key
        self._parts = [data]
        self.size = len(data)
        self.count = 1
        return True

    @property
    def marked_entry(self) -> dict[str, Any]:
        """The record as a marked entry of PutRecords: the mark is in its request."""
        return self._entry(self.partition_key, marked(self.data, self.tried or 0))

    def pack(self) -> bytes:
        """The request's bytes."""
        (data,) = self._parts
        return data


class Call:
    """The records of one PutRecords call: at most one of each lane."""

    __slots__ = ("due", "records", "size")

    def __init__(self) -> None:
        self.due = inf
        self.records: list[Record] = []
        self.size = 0

    @property
    def count(self) -> int:
        """Number of its records."""
        return len(self.records)

    def add(self, record: Record, limit: int) -> bool:
        """Adds the record unless data and partition keys would pass `limit` bytes. Returns whether it did."""
        grown = self.size + carried(record)
        if grown > limit:
            return False
        self.records.append(record)
        self.size = grown
        return True

    def remove(self, record: Record) -> None:
        """Removes a record that has ended."""
        self.records.remove(record)
        self.size = sum(map(carried, self.records))
        if not self.records:
            self.due = inf

    def keep(self, records: list[Record]) -> None:
        """Keeps only these of its records."""
        self.records = records
        self.size = sum(map(carried, self.records))


def carried(record: Record) -> int:
    """Bytes that the record adds to a call, and to what its shard counts."""
    return record.size + len(record.partition_key.encode())
