"""The types that a batch passes through on its way from arrivals to a verdict.

Room: core. Pure: values only. One idea: these types, whose order is the flow's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal, NamedTuple, TypeAlias, TypedDict

import msgspec
from msgspec.structs import asdict, replace

from tidemill.contract.places import object_name
from tidemill.contract.request import ClaimCheck, Document, Json, OriginalSignature, Reply, Request, encode

State: TypeAlias = Document | None
"""An entity's document as a rule sees it; None if there is none (yet, or any more)."""


class Emit(msgspec.Struct, frozen=True, gc=False):
    """A follow-up request that a rule asks for: it goes onto the stream once its cause is stored.

    It is applied once. For requests of one stream, an entity's follow-up requests to one key are applied in order. All
    follow-up requests of one request have at most 16 KiB of JSON together; if a rule emits more, or breaks the
    contract, its request is quarantined.

    Attributes:
        cmd: the command.
        key: the ordering key, which may be the cause's own.
        data: the command's data.
        client: the client that is answered when it is applied; by default none, as the cause's client hears of the
            cause. A rule that wants that client to hear of this request too gives `request.client`. The rule of this
            request sees the client as proven only if the cause proved the same client.
    """

    cmd: str
    key: str
    data: Document = msgspec.field(default_factory=dict)
    client: str | None = None


class Blob(msgspec.Struct, frozen=True, gc=False):
    """Bytes that a rule has stored in the content bucket, under the name that `ref` gives.

    They are stored before the document, if the document that a batch leaves behind has their name. All objects of one
    request have at most 1 MiB together, and are 16 at most; a request with more is quarantined.

    Attributes:
        data: the bytes.
        content_type: what they are, as HTTP tells it. Equal bytes are one object, with the type that came first.
    """

    data: bytes
    content_type: str = "application/octet-stream"


class Ref(TypedDict):
    """How a document names an object: its name in the content bucket, its size in bytes, and its type."""

    object: str
    bytes: int
    type: str


def ref(blob: Blob) -> Ref:
    """The reference to an object, for the document of the rule that has it stored: pure, by the bytes alone.

    Raises:
        TypeError: it is no Blob, or its data is not bytes.
    """
    if not isinstance(blob, Blob):
        raise TypeError(f"ref takes a Blob, not {type(blob).__name__}")
    if type(blob.data) is not bytes:
        raise TypeError(f"a Blob's data must be bytes, not {type(blob.data).__name__}")
    return {
        "object": object_name(sha256(blob.data).hexdigest()),
        "bytes": len(blob.data),
        "type": blob.content_type,
    }


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The rule's yes: the new document, the reply's data, if any, the follow-up requests, and the objects to store."""

    state: State
    answer: Json = None
    emits: tuple[Emit, ...] = ()
    objects: tuple[Blob, ...] = ()


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """The rule's no; the entity stays as it is."""

    reason: str


Rule: TypeAlias = Callable[[State, Request], Accepted | Rejected]
"""Pure: the same state and request give the same outcome. A rule may change its arguments: they are its own."""

Total: TypeAlias = Callable[[State, int], Accepted | Rejected]
"""A rule that adds an amount to a document, as pure as a Rule: adding 5 comes to the same as adding 2 and 3."""

Rules: TypeAlias = Mapping[str, Rule]
"""The routing table: command to rule. A rule wrapped in `Verified` takes requests of verified clients only, one in
`Internal` the application's own; for one in `Aggregatable`, many requests may come as one amount."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A rule whose requests must prove which client they come from: `"wallet.pay": Verified(pay)`.

    A request is taken if a key registered for `request.client` signed it. It is also taken if the application emitted
    and sealed it, and it either names no client or its cause has proven that client (through any number of emits).
    Others are quarantined, such as requests emitted for a client that is only claimed.

    A rule without `Verified` must be safe from anyone who may put records on the stream: `request.client` is only the
    sender's claim.
    """

    rule: Rule

    def __post_init__(self) -> None:
        _refuse_aggregatable(self)

    def __call__(self, state: State, request: Request) -> Accepted | Rejected:
        """The rule's outcome."""
        return self.rule(state, request)


@dataclass(frozen=True, slots=True)
class Internal:
    """A rule that takes the application's own requests only: `"order.paid": Internal(paid)`.

    These are follow-up requests of rules, and requests that the application's functions send because of an event. With
    an application secret the request must bear the application's seal. Without one, its writer is all that tells it
    from a client's, and whoever may put records can name any writer. Others are quarantined, and so is a client's
    request that was redriven.
    """

    rule: Rule

    def __post_init__(self) -> None:
        _refuse_aggregatable(self)

    def __call__(self, state: State, request: Request) -> Accepted | Rejected:
        """The rule's outcome."""
        return self.rule(state, request)


GUARDS = (Verified, Internal)
"""The wrappers by which a table of rules says whose requests a rule takes; `core.calling.admission` asks them."""

MOST_AMOUNT = 2**53 - 1
"""The largest amount of one request: all parts of the pipe have whole numbers up to this exactly."""

UNCHECKED = "whose requests the analytics stage adds up without looking at signatures: let anybody's be counted"


@dataclass(frozen=True, slots=True)
class Aggregatable:
    """A rule for a total, so that many requests may be applied as one amount: `"content.view": Aggregatable(viewed)`.

    The rule gets an amount in place of a request: 1 for each request, or the sum of what the requests have in one
    member of their data. Without the analytics stage it is asked about each request, with the stage about the amount
    of a whole window; so it must come to the same whether it adds 5, or 2 and then 3. With the stage nobody is told
    its answer, nor that it rejected an amount.

    It takes anybody's requests: `Verified` and `Internal` cannot wrap it, nor can it wrap them.

    Args:
        rule: the rule.
        sum: the member of `data` that has the amount, a whole number from 0 to 2^53-1; a request without one is
            rejected. None: each request counts 1.

    Raises:
        TypeError: the rule is wrapped already, or `sum` is no text.
    """

    rule: Total
    sum: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.rule, (*GUARDS, Aggregatable)):
            raise TypeError(f"Aggregatable({type(self.rule).__name__}(…)): it takes a bare rule, {UNCHECKED}")
        if not (self.sum is None or (isinstance(self.sum, str) and self.sum)):
            raise TypeError(f"Aggregatable(…, sum={self.sum!r:.40}): the name of a member of data, such as 'count'")

    def __call__(self, state: State, request: Request) -> Accepted | Rejected:
        """The outcome of one request."""
        amount = self.amount_of(request.data)
        if amount is None:
            return Rejected(f"{self.sum}: a whole number from 0 to {MOST_AMOUNT}")
        return self.rule(state, amount)

    def amount_of(self, data: Document) -> int | None:
        """What one request of this data adds; None if it must be rejected."""
        if self.sum is None:
            return 1
        amount = data.get(self.sum)
        return amount if type(amount) is int and 0 <= amount <= MOST_AMOUNT else None

    def adding(self, amount: int) -> Rule:
        """The rule for a request of the stage, which adds that amount."""
        return Adding(self.rule, amount)


@dataclass(frozen=True, slots=True)
class Adding:
    """A rule for a total with its amount, whatever the request."""

    rule: Total
    amount: int

    def __call__(self, state: State, _: Request) -> Accepted | Rejected:
        """The rule's outcome."""
        return self.rule(state, self.amount)


def _refuse_aggregatable(guard: Verified | Internal) -> None:
    if isinstance(guard.rule, Aggregatable):
        raise TypeError(f"{type(guard).__name__}(Aggregatable(…)): it cannot guard a rule {UNCHECKED}")


class Proof(NamedTuple):
    """The result of examining a request's signature or seal."""

    problem: str | None = None
    """Why it proves nothing, so that the request is quarantined; None if it proves the sender."""
    client: str | None = None
    """The client proven to have sent the request or its cause; None if the seal proves no client."""
    is_own: bool = False
    """Whether the application itself made the request, by its seal or by the stream that only its stage may put to."""
    is_staged: bool = False
    """Whether the analytics stage made it."""


class Position(msgspec.Struct, frozen=True, order=True, gc=False):
    """A place in a shard. Numbers, not text: sequence numbers differ in length, and "9" > "10"."""

    sequence: int
    sub: int
    """The place within an aggregated record; 0 in a plain one."""


Found: TypeAlias = Literal["", "absent", "applied", "unknown", "beyond"]
"""What the table of forgotten writers says of a request: it was not asked, it does not hold the request's counter, it
holds it or a higher one, or it cannot tell. `beyond`: nobody can, for the analytics stage may have counted it, longer
ago than it remembers."""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A request and its place in the stream."""

    shard: str
    """The shard, by its stream and its id (core.streams); `direct` for requests by HTTP."""
    position: Position
    arrived: float
    """Approximate arrival, seconds since 1970, by the stream's clock."""
    key: str
    request: Request
    payload: bytes
    """The user record's bytes, for the quarantine."""
    proof: Proof | None = None
    """None: unsigned."""
    stream: str = ""
    """The stream's name; empty for requests by HTTP."""
    rewritten: bytes | None = None
    """The encoded request, if it differs from `payload`: see `encoded`."""
    tried: float | None = None
    """Of a re-send whose first attempt may be stored: a time not after that attempt's arrival, in seconds since 1970 by
    the stream's clock. None: a first attempt."""
    found: Found = ""
    """What the table of forgotten writers says of a re-send that its entity cannot judge."""
    upload: bytes | str | None = None
    """The JSON that lies where `ref` says, and that `request` then has as its data; or the reason why there is none."""

    @property
    def encoded(self) -> bytes:
        """The encoded request as it was before any rule, which may change the request that it is given."""
        return self.payload if self.rewritten is None else self.rewritten


def with_request(arrival: Arrival, request: Request) -> Arrival:
    """The arrival with this request in place of its own."""
    return replace(arrival, request=request, rewritten=rewritten(request, arrival.payload))


def rewritten(request: Request, payload: bytes) -> bytes | None:
    """The encoded request; None if that equals the payload."""
    encoded = encode(request)
    return None if encoded == payload else encoded


class _Encoded(msgspec.Struct, frozen=True, rename={"writer": "w", "counter": "n"}):
    """A request's fields, without the contract's limits: requests made from bytes without a contract may break them."""

    id: str
    cmd: str
    data: Document
    key: str | None = None
    client: str | None = None
    writer: str | None = None
    counter: int | None = None
    at: int | None = None
    depth: int = 0
    traceparent: str | None = None
    ref: ClaimCheck | None = None
    was: OriginalSignature | None = None
    sig: str | None = None


_decoder = msgspec.json.Decoder(_Encoded)
_data_decoder = msgspec.json.Decoder(Document)


def fresh(arrival: Arrival) -> Arrival:
    """The arrival with its request as it was before any rule, to be planned again."""
    request = Request(**asdict(_decoder.decode(arrival.encoded)))
    if isinstance(arrival.upload, bytes):
        request = replace(request, data=_data_decoder.decode(arrival.upload), ref=None)
    return replace(arrival, request=request)


class Asker(NamedTuple):
    """The client to answer, and the id of its request."""

    client: str
    id: str


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """Bytes that are no request: they name no entity, but may name a client to answer."""

    shard: str
    position: Position
    arrived: float
    key: str
    """The partition key."""
    payload: bytes
    reason: str
    asker: Asker | None = None
    """None if no client and id can be read from the bytes."""
    stream: str = ""


class Time(NamedTuple):
    """A deadline for beginning work, so that work begun can still be saved and answered; and its clock."""

    clock: Callable[[], float]
    until: float

    @property
    def is_over(self) -> bool:
        """Whether nothing more should be begun."""
        return self.clock() >= self.until


UNLIMITED = Time(float, 1.0)  # float() is always zero


class Mark(msgspec.Struct, frozen=True, gc=False):
    """The last position applied from one shard, when its record arrived, and where its delivery began.

    `since` is the start of the range whose replies and follow-up requests may be unsent. A request of that range
    without a kept outcome had the plain "accepted", if `known`: if the range's other outcomes are all still kept.
    """

    position: Position
    arrived: float
    since: Position
    known: bool = True


class Emitted(NamedTuple):
    """The follow-up requests of one arrival, as they are sent, and the arrival's place.

    `since` is a time before they were first sent, in seconds since 1970 by the stream's clock; 0: unknown.
    """

    shard: str
    position: Position
    requests: tuple[Request, ...]
    since: float = 0.0


class Object(msgspec.Struct, frozen=True, gc=False):
    """Bytes to store in the content bucket: their name there, themselves, and their type."""

    name: str
    data: bytes
    content_type: str


class Forgotten(NamedTuple):
    """Writers that an entity forgets to the table, by column.

    Attributes:
        shard: the shard whose batch makes the entity forget them.
        digests: 8 bytes for each writer: its hash XOR the key's.
        counters: 6 bytes for each writer: its counter.
    """

    shard: str
    digests: bytes
    counters: bytes


class Window(NamedTuple):
    """A window of the analytics stage, for one key and command.

    Attributes:
        generation: the life of the stage's state, by a name that sorts by when it began.
        number: the window's end, in seconds since 1970 by the stream's clock.
        total: all that the generation has counted through this window.
    """

    generation: str
    number: int
    total: int


class Totals(NamedTuple):
    """What an entity remembers of one command's windows (`core.stage.totals`).

    Attributes:
        applied: the highest window that was applied, of whatever generation; 0: none.
        seen: of each of the latest generations its last window, the earliest generation first.
    """

    applied: int = 0
    seen: tuple[Window, ...] = ()


class Entity(msgspec.Struct, frozen=True, gc=False):
    """The state stored for one key. `version` 0: no item yet."""

    key: str
    version: int = 0
    document: State = None
    marks: Mapping[str, Mark] = msgspec.field(default_factory=dict)
    writers: bytes = b""
    """The writers that it remembers, oldest first, in 16 bytes each (`core.folding.writers`)."""
    recent: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Outcomes by request id, oldest first, as `core.outcomes` encodes them; repeats are answered with them."""
    emitted: int = 0
    """Number of follow-up requests so far, which is the counter of the last."""
    emits: tuple[Emitted, ...] = ()
    """The follow-up requests that may be unsent, in order: a later state cannot compute them again."""
    redriven: bytes = b""
    """The writers of redriven requests that it remembers, as `writers`."""
    forgotten: float = 0.0
    """Up to this arrival it may have forgotten writers, in seconds since 1970 by the stream's clock; 0: none."""
    awaited: float = 0.0
    """Up to this arrival it may have forgotten writers of which a re-send was applied, and whose first attempt may yet
    come; 0: none."""
    lost: float = 0.0
    """Up to this arrival it may have forgotten writers that the table of forgotten writers does not have; 0: none."""
    totals: Mapping[str, Totals] = msgspec.field(default_factory=dict)
    """By command, what it remembers of the analytics stage's windows."""
    unusable: str = ""
    """Why nothing can be applied to it: its item cannot be read, or is never saved. Not stored."""


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """A reply and its client; if it cannot be sent, the record at `position` is delivered again."""

    client: str
    reply: Reply
    position: Position


class Frame(NamedTuple):
    """One frame of a traceback; `short` is the file's path, beginning with its top-level package."""

    file: str
    line: int
    function: str
    short: str


class Quarantined(msgspec.Struct, frozen=True, gc=False):
    """A request that can never be applied, stored whole with the reason; `trace` is for the log."""

    arrival: Arrival | Unreadable
    reason: str
    trace: tuple[Frame, ...] = ()


class Write(msgspec.Struct, frozen=True, gc=False):
    """One entity's share of the batch.

    Attributes:
        expected_version: the version that the table must still have; 0 for no item.
        new_entity: the entity to save; None if nothing new arrived and only replies are repeated.
        first: the position of its first arrival: where to begin again if this write fails.
        receipts: the answers, to be sent once it is saved.
        quarantine: the requests to store before it is saved, because its mark passes them too.
        stopped: from here on the key's arrivals wait until receipts and follow-up requests have left; None if none do.
        emits: the follow-up requests, to be sent once it is saved.
        objects: what the new document names of the objects that rules returned, to be stored before it is saved.
        evicted: the number of marks dropped for lack of room; redeliveries of their shards' records would be applied.
        forgotten: the writers to put into the table of forgotten writers before it is saved; None if there are none.
        untold: the number of requests quarantined because they cannot be told from a repeat.
        taken: the number of arrivals that it covers.
        rejected: of these, those that their rule rejected.
        repeated: of these, those that their producer had sent before.
        redelivered: of these, those that the shard's mark had passed.
        document_bytes: the size of the new document as MessagePack; 0: not known.
        leaves_place: whether the entity had a place, by its document's geohash, and has none any more.
    """

    key: str
    expected_version: int
    new_entity: Entity | None
    first: Position
    receipts: tuple[Receipt, ...]
    quarantine: tuple[Quarantined, ...]
    stopped: Position | None
    emits: tuple[Emitted, ...] = ()
    objects: tuple[Object, ...] = ()
    evicted: int = 0
    forgotten: Forgotten | None = None
    untold: int = 0
    taken: int = 0
    rejected: int = 0
    repeated: int = 0
    redelivered: int = 0
    document_bytes: int = 0
    leaves_place: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision about a batch: one write per distinct key.

    `not_begun`: the keys not planned, as time was over or the others are enough; with each one's first position.
    """

    writes: tuple[Write, ...]
    not_begun: Mapping[str, Position] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The receipts and follow-up requests to send now, the positions to deliver again, and the arrivals that wait."""

    receipts: tuple[Receipt, ...]
    retry_from: tuple[Position, ...]
    stopped: Mapping[str, Position]
    """By key, the position of its first waiting arrival."""
    emits: tuple[Emitted, ...] = ()
