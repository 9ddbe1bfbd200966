"""One kind of buffer, used twice: requests fill records, and records fill calls.

Room: SDK core. No I/O; time is an argument.
"""

from collections.abc import Callable
from math import inf
from sys import maxsize
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from tidemill.kpl import Aggregate
from tidemill.lane import partition_key

CALL_RECORDS = 500
"""Most records of a PutRecords call.

https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html
"""

CALL_BYTES = 10 * 1024 * 1024
"""Most bytes of a PutRecords call, partition keys included."""

RECORD_BYTES = 25 * 1024
"""Size of a full record: one PUT payload unit. A failure re-sends about a hundred requests and not 5,000."""

MAX_RECORD_BYTES = 1024 * 1024
"""Most bytes of a record, partition key included, on a stream as it is created."""

RECORD_REQUESTS = 10_000
"""Most requests of a record."""


Item = TypeVar("Item")
AnItem = TypeVar("AnItem", contravariant=True)


class Load(Protocol[AnItem]):
    """What a buffer fills: it knows its own size exactly, whatever its items share."""

    due: float
    """When it has to be taken: the earliest deadline of its items, `inf` while it is empty."""

    @property
    def count(self) -> int:
        """Items in it."""

    def add(self, item: AnItem, limit: int) -> bool:
        """Adds the item unless the size would pass `limit` bytes; says whether it did."""


Filled = TypeVar("Filled", bound=Load)  # type: ignore[type-arg] # a bound cannot name another variable


class Buffer(Generic[Item, Filled]):
    """One load at a time, filled item by item.

    Args:
        empty: makes an empty load.
        size: most bytes of a load. An item that is larger than that makes a load of its own.
        count: most items of a load.
    """

    __slots__ = ("_count", "_empty", "_size", "load")

    def __init__(self, empty: Callable[[], Filled], size: int, count: int) -> None:
        self._empty = empty
        self._size = size
        self._count = count
        self.load: Filled = empty()

    def add(self, item: Item, due: float) -> Filled | None:
        """Adds an item that cannot wait beyond `due`. Returns the load it no longer fitted into, if so.

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
        """Makes what is in the load due at once."""
        if self.load.count:
            self.load.due = -inf

    def take(self) -> Filled | None:
        """The load, however full; None when there is nothing in it."""
        load = self.load
        if not load.count:
            return None
        self.load = self._empty()
        return load


THROTTLED = frozenset(
    {"ProvisionedThroughputExceededException", "KMSThrottlingException", "ThrottlingException", "Throttling"}
)
"""Error codes that say: too fast."""


class Acknowledged(NamedTuple):
    """Where the record of a request was stored."""

    shard: str
    sequence: str


class Refused(NamedTuple):
    """Why a record, or a whole call, was not stored.

    Attributes:
        code: the service's error code, or the name of the exception.
        message: what it said.
        again: whether sending the same again may succeed.
    """

    code: str
    message: str
    again: bool


Outcome: TypeAlias = Acknowledged | Refused


class Record(Aggregate):
    """A lane's record, from its first request to its outcome.

    Attributes:
        lane: its lane.
        hash_key: its explicit hash key, which its user records carry too: KCL drops a user record whose own
            hash lies outside the shard (AggregatorUtil.deaggregate).
        due: when its oldest request has waited long enough.
        aboard: whether it waits in a call that is still being filled.
        outcome: None until it is acknowledged or given up.
        reported: whether somebody was told that it was given up.
    """

    __slots__ = ("_data", "aboard", "due", "hash_key", "lane", "outcome", "reported")

    def __init__(self, lane: int, hash_key: str) -> None:
        super().__init__(hash_key)
        self.lane = lane
        self.hash_key = hash_key
        self.due = inf
        self.aboard = False
        self.outcome: Outcome | None = None
        self.reported = False
        self._data = b""

    @property
    def partition_key(self) -> str:
        """Its partition key."""
        return partition_key(self.lane)

    @property
    def data(self) -> bytes:
        """Its bytes: the same at every retry. Asked for only when no request can join any more."""
        if not self._data:
            self._data = self.pack()
            self._parts.clear()
        return self._data

    def settle(self, outcome: Outcome) -> None:
        """Ends its way, and frees its bytes: handles keep the record."""
        self.outcome = outcome
        self._data = b""
        self._indexes.clear()
        self._entries.clear()
        self._parts.clear()


class Call:
    """Records that travel together: what one PutRecords carries, at most one record of any lane."""

    __slots__ = ("due", "records", "size")

    def __init__(self) -> None:
        self.due = inf
        self.records: list[Record] = []
        self.size = 0

    @property
    def count(self) -> int:
        """Records in it."""
        return len(self.records)

    def add(self, record: Record, limit: int) -> bool:
        """Adds the record unless data and partition keys would pass `limit` bytes; says whether it did."""
        grown = self.size + record.size + len(record.partition_key)
        if grown > limit:
            return False
        self.records.append(record)
        self.size = grown
        return True
