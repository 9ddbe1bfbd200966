"""The types that a batch passes through on its way from arrivals to a verdict.

Room: core. Pure: values only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import msgspec
from msgspec.structs import asdict, replace

from tidemill.contract.request import Document, Json, OriginalSignature, Reply, Request, encode

State: TypeAlias = Document | None
"""An entity's document as a rule sees it; None where there is none (yet, or any more)."""


class Emit(msgspec.Struct, frozen=True, gc=False):
    """A follow-up request that a rule asks for: it goes onto the stream once its cause is stored.

    It is applied once, and in order with all else that the same entity emits to that key for requests of one stream.
    All that one request emits has at most 16 KiB of JSON: if a rule emits more, or what the contract does not allow,
    its request is quarantined.

    Attributes:
        cmd: the command.
        key: the ordering key, which may be the cause's own.
        data: the command's data.
        client: who is answered when it is applied. Nobody is by default, for the cause's client hears of the cause;
            a rule that wants it to hear of this one too gives `request.client`. The rule that takes this one sees that
            client as proven only if the cause proved the same.
    """

    cmd: str
    key: str
    data: Document = msgspec.field(default_factory=dict)
    client: str | None = None


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The rule's yes: the document it leaves behind, the reply's data, if any, and the follow-up requests."""

    state: State
    answer: Json = None
    emits: tuple[Emit, ...] = ()


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """The rule's no; the entity stays as it is."""

    reason: str


Rule: TypeAlias = Callable[[State, Request], Accepted | Rejected]
"""Pure: the same state and request give the same outcome. A rule may change what it is given: it is its own."""

Rules: TypeAlias = Mapping[str, Rule]
"""The routing table: command to rule. A rule that stands in `Verified` takes requests of verified clients only."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A rule whose requests must prove which client they come from: `"wallet.pay": Verified(pay)`.

    Either a key signs them that is registered for `request.client`. Or the application emitted and sealed them: then
    they name no client, and are the application's own word, or their client was proven by what they were emitted for,
    through any number of emits. Others are quarantined, among them what is emitted for a client merely claimed.

    A rule that stands in the table as it is must be safe from anyone who may put records on the stream: what it finds
    in `request.client` is what the sender claims.
    """

    rule: Rule

    def __call__(self, state: State, request: Request) -> Accepted | Rejected:
        """The rule's outcome."""
        return self.rule(state, request)


class Proof(NamedTuple):
    """What the signature or the seal of a request proves."""

    problem: str | None = None
    """Why it proves nothing, so that the request is quarantined; None when it proves whose the request is."""
    client: str | None = None
    """Who is proven to have sent the request, or what it was emitted for; None of the application's own word."""


class Position(msgspec.Struct, frozen=True, order=True, gc=False):
    """A place in a shard. Numbers, not text: sequence numbers differ in length, and "9" > "10"."""

    sequence: int
    sub: int
    """The place within an aggregated record; 0 in a plain one."""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A request and where it stands in the stream."""

    shard: str
    """The shard, by its stream and its id (core.streams); `direct` of what came by HTTP."""
    position: Position
    arrived: float
    """Approximate arrival, seconds since 1970, by the stream's clock."""
    key: str
    request: Request
    payload: bytes
    """As it came, for the quarantine."""
    proof: Proof | None = None
    """None: unsigned."""
    stream: str = ""
    """What the stream is called; empty of what came by HTTP."""
    rewritten: bytes | None = None
    """The request encoded, where `payload` is not just that: see `encoded`."""

    @property
    def encoded(self) -> bytes:
        """The request as it was before any rule: what a rule is given, it may change."""
        return self.payload if self.rewritten is None else self.rewritten


def with_request(arrival: Arrival, request: Request) -> Arrival:
    """The arrival, which stands for this request from here on."""
    return replace(arrival, request=request, rewritten=rewritten(request, arrival.payload))


def rewritten(request: Request, payload: bytes) -> bytes | None:
    """The request encoded; None where that is the payload."""
    encoded = encode(request)
    return None if encoded == payload else encoded


class _Encoded(msgspec.Struct, frozen=True, rename={"writer": "w", "counter": "n"}):
    """A request's fields. What the place in the stream made of bytes without a contract need not keep to it."""

    id: str
    cmd: str
    data: Document
    key: str | None = None
    client: str | None = None
    writer: str | None = None
    counter: int | None = None
    at: int | None = None
    was: OriginalSignature | None = None
    sig: str | None = None


_decoder = msgspec.json.Decoder(_Encoded)


def fresh(arrival: Arrival) -> Arrival:
    """The arrival as it was before any rule, to be planned again."""
    return replace(arrival, request=Request(**asdict(_decoder.decode(arrival.encoded))))


class Asker(NamedTuple):
    """Who is to be answered, and for which request."""

    client: str
    id: str


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """Bytes that are no request: they name no entity, though perhaps somebody to answer."""

    shard: str
    position: Position
    arrived: float
    key: str
    """The partition key."""
    payload: bytes
    reason: str
    asker: Asker | None = None
    """None where no client and id can be read from the bytes."""
    stream: str = ""


class Time(NamedTuple):
    """When nothing more is to be begun, so that what was begun can still be saved and answered; by which clock."""

    clock: Callable[[], float]
    until: float

    @property
    def is_over(self) -> bool:
        """Whether nothing more should be begun."""
        return self.clock() >= self.until


UNLIMITED = Time(float, 1.0)  # by this clock it is always zero


class Mark(msgspec.Struct, frozen=True, gc=False):
    """The last position applied from one shard, when its record arrived, and where its delivery began.

    What stands before `since` was answered before, and what it emitted has left. What stands from there on and is not
    among the entity's outcomes was the plain "accepted", if `known`: if all those outcomes are still there.
    """

    position: Position
    arrived: float
    since: Position
    known: bool = True


class WriterMark(msgspec.Struct, frozen=True, gc=False):
    """The highest counter applied from one writer, when it arrived, and a checksum of that request."""

    counter: int
    arrived: float
    checksum: int


class Emitted(NamedTuple):
    """The follow-up requests of one arrival, as they are sent, and where that stands."""

    shard: str
    position: Position
    requests: tuple[Request, ...]


class Entity(msgspec.Struct, frozen=True, gc=False):
    """What the table holds for one key. `version` 0: no item yet."""

    key: str
    version: int = 0
    document: State = None
    marks: Mapping[str, Mark] = msgspec.field(default_factory=dict)
    writers: Mapping[str, WriterMark] = msgspec.field(default_factory=dict)
    recent: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Outcomes by request id, oldest first, as `core.outcomes` writes them: what a repeat is answered with."""
    emitted: int = 0
    """Follow-up requests so far: the counter of the last."""
    emits: tuple[Emitted, ...] = ()
    """Those that may not have left, in their order: the state has moved on, so they cannot be computed again."""
    unusable: str = ""
    """Why nothing can be applied to it: its item cannot be read, or is never saved. Not stored itself."""


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """A reply and where it goes; what stands at `position` is delivered again if it cannot be sent."""

    client: str
    reply: Reply
    position: Position


class Frame(NamedTuple):
    """One frame of a traceback; `short` is the file's path from its top-level package on."""

    file: str
    line: int
    function: str
    short: str


class Quarantined(msgspec.Struct, frozen=True, gc=False):
    """A request that can never be applied, with its reason. Kept whole; `trace` is for the log."""

    arrival: Arrival | Unreadable
    reason: str
    trace: tuple[Frame, ...] = ()


class Write(msgspec.Struct, frozen=True, gc=False):
    """One entity's share of the batch.

    Attributes:
        expected_version: the version that the table must still have; 0 for no item.
        new_entity: the entity to save; None when nothing new arrived and only replies are repeated.
        first: the position of its first arrival: where to begin again if this write fails.
        receipts: the answers, to be sent once it is saved.
        quarantine: to be stored before it is saved, for the mark passes these requests too.
        stopped: where the key's arrivals begin to wait until receipts and follow-up requests have left, or None.
        emits: the follow-up requests, to be sent once it is saved.
        evicted: writers that it forgets, and with them their repeats; shards' marks likewise, where there is no room.
    """

    key: str
    expected_version: int
    new_entity: Entity | None
    first: Position
    receipts: tuple[Receipt, ...]
    quarantine: tuple[Quarantined, ...]
    stopped: Position | None
    emits: tuple[Emitted, ...] = ()
    evicted: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a batch wants done: one write per distinct key.

    Attributes:
        writes: of the keys that were planned.
        not_begun: the keys that were not, for the time was over or the others are enough; with their first position.
    """

    writes: tuple[Write, ...]
    not_begun: Mapping[str, Position] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be answered and emitted now, the positions from which to deliver again, and what waits for the first."""

    receipts: tuple[Receipt, ...]
    retry_from: tuple[Position, ...]
    stopped: Mapping[str, Position]
    """By key, where its arrivals begin that wait."""
    emits: tuple[Emitted, ...] = ()
