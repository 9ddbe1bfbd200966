"""From Lambda's event to arrivals: base64, aggregates, the wire contract.

Room: codec. No I/O of its own. The event's bytes come in, typed arrivals go out; nothing is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import TypedDict

import msgspec

from tidemill.contract.aggregation import CorruptAggregate, is_aggregate, unpack_columns
from tidemill.contract.attempts import tried_of, unmarked
from tidemill.contract.memo import Memo
from tidemill.contract.request import (
    MAX_KEY_CHARACTERS,
    MAX_REQUEST_BYTES,
    TRACK,
    Document,
    Key,
    Name,
    RefusedRequest,
    Request,
    decode_fast,
    decode_json,
)
from tidemill.contract.request import decode as decode_request
from tidemill_consumers.core.batch import Arrival, Asker, Position, Unreadable, rewritten
from tidemill_consumers.core.streams import Stream, shard_of

TOGETHER = 128
"""User records that are decoded at once; if one of them is unusual, all are decoded one by one."""

MARK = b'{"tried":'
"""How a marked plain record begins."""

MAX_SHOWN = 80
"""Characters of a key that a reason shows, and of its `repr`: a record may have thousands of reasons."""


class KinesisData(TypedDict):
    """The `kinesis` part of a record in Lambda's event."""

    partitionKey: str
    sequenceNumber: str
    data: str
    approximateArrivalTimestamp: float


class EventRecord(TypedDict):
    """A record in Lambda's event: https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html."""

    eventID: str
    eventSourceARN: str
    kinesis: KinesisData


class KinesisEvent(TypedDict):
    """Lambda's event for a Kinesis stream: records of one shard, in order."""

    Records: list[EventRecord]


@dataclass(frozen=True, slots=True)
class Intake:
    """A decoded batch."""

    arrivals: tuple[Arrival, ...]
    unreadable: tuple[Unreadable, ...]
    records: int

    @property
    def first(self) -> Arrival | Unreadable | None:
        """The first of all in stream order; None of an empty batch."""
        every: tuple[Arrival | Unreadable, ...] = (*self.arrivals[:1], *self.unreadable[:1])
        return min(every, key=lambda one: one.position, default=None)

    @property
    def begins_with_several(self) -> bool:
        """Whether the first record holds several user records: an earlier delivery may have applied some."""
        second: list[Arrival | Unreadable] = [*self.arrivals[:2], *self.unreadable[:2]]
        return any(one.position.sub == 1 and one.position.sequence == self._sequence for one in second)

    @property
    def _sequence(self) -> int | None:
        return self.first.position.sequence if self.first else None


def intake(event: KinesisEvent, stream: Stream) -> Intake:
    """All requests and unreadable records of the event, in stream order.

    Args:
        event: records of one shard.
        stream: the stream that the records stand on.
    """
    name = stream.name
    shards: list[str] = []
    positions: list[Position] = []
    times: list[float] = []
    keys: list[str] = []
    payloads: list[bytes] = []
    marks: dict[int, float] = {}  # by sequence number
    unreadable: list[Unreadable] = []
    records = event["Records"]
    newest = stream.lives[0]
    present = Memo(partial(shard_of, newest.name))  # the usual records, all of one shard, share its name
    # Base64, in a third of binascii's time.
    contents = msgspec.convert([record["kinesis"]["data"] for record in records], list[bytes])
    for record, data in zip(records, contents, strict=True):
        kinesis = record["kinesis"]
        sequence, arrived = int(kinesis["sequenceNumber"]), kinesis["approximateArrivalTimestamp"]
        shard_id = record["eventID"].partition(":")[0]
        shard = present[shard_id] if arrived >= newest.created else shard_of(stream.named(arrived), shard_id)
        if not is_aggregate(data):
            if data.startswith(MARK):
                data, mark = _without_mark(data)
                if mark is not None:
                    marks[sequence] = mark / 1000
            shards.append(shard)
            positions.append(Position(sequence, 0))
            times.append(arrived)
            keys.append(kinesis["partitionKey"])
            payloads.append(data)
            continue
        try:
            user_keys, user_payloads, _ = unpack_columns(data)
        except CorruptAggregate as error:
            place, reason = Position(sequence, 0), f"corrupt aggregate: {error}"
            unreadable.append(Unreadable(shard, place, arrived, kinesis["partitionKey"], data, reason, None, name))
            continue
        mark = tried_of(kinesis["partitionKey"])
        if mark is not None:
            marks[sequence] = mark / 1000
        count = len(user_keys)
        shards += repeat(shard, count)
        positions += map(Position, repeat(sequence, count), range(count))
        times += repeat(arrived, count)
        keys += user_keys
        payloads += user_payloads
    arrivals: list[Arrival] = []
    for first in range(0, len(keys), TOGETHER):
        some = slice(first, first + TOGETHER)
        arrivals += _read(shards[some], positions[some], times[some], keys[some], payloads[some], name, unreadable)
    if marks:
        arrivals = [_marked(one, marks) if one.position.sequence in marks else one for one in arrivals]
    unreadable.sort(key=lambda one: one.position)
    return Intake(tuple(arrivals), tuple(unreadable), len(records))


def _read(
    shards: list[str],
    positions: list[Position],
    times: list[float],
    keys: list[str],
    payloads: list[bytes],
    stream: str,
    unreadable: list[Unreadable],
) -> Iterable[Arrival]:
    """The arrivals among user records given as columns; those that are no request are added to `unreadable`."""
    requests = decode_fast(payloads)
    if (
        requests is not None
        and [request.key for request in requests] == keys
        and [request.tried for request in requests].count(None) == len(requests)
    ):
        return map(Arrival, shards, positions, times, keys, requests, payloads, repeat(None), repeat(stream))
    return _read_each(zip(shards, positions, times, keys, payloads, strict=True), stream, unreadable)


def _read_each(
    user_records: Iterable[tuple[str, Position, float, str, bytes]], stream: str, unreadable: list[Unreadable]
) -> Iterator[Arrival]:
    for shard, position, arrived, key, payload in user_records:
        try:
            request = read_request(payload, key, shard, position)
        except RefusedRequest as error:
            reason = str(error)
            unreadable.append(Unreadable(shard, position, arrived, key, payload, reason, asker_of(payload), stream))
        else:
            tried = request.tried
            if tried is not None:
                request = msgspec.structs.replace(request, tried=None)
            apart = rewritten(request, payload)
            yield Arrival(shard, position, arrived, key, request, payload, None, stream, apart, earlier(tried))


def earlier(*tried: int | None) -> float | None:
    """The earliest of a re-send's times, in seconds; None of a first attempt."""
    known = [one for one in tried if one is not None]
    return min(known) / 1000 if known else None


def _marked(arrival: Arrival, marks: Mapping[int, float]) -> Arrival:
    mark = marks[arrival.position.sequence]
    tried = mark if arrival.tried is None else min(mark, arrival.tried)
    return msgspec.structs.replace(arrival, tried=tried)


def _without_mark(payload: bytes) -> tuple[bytes, int | None]:
    """The first attempt's payload of a marked plain record. JSON of clients without the contract stays as it is."""
    bare, mark = unmarked(payload)
    return (bare, mark) if b'"cmd"' in bare else (payload, None)


def place_of(shard: str, position: Position) -> str:
    """A place in the stream as one text."""
    return f"{shard}-{position.sequence}-{position.sub}"


def read_request(payload: bytes, key: str, shard: str, position: Position) -> Request:
    """The request in a user record; one without the contract's fields becomes an `event.track` with its place as id.

    Raises:
        RefusedRequest: the record is no request.
    """
    # Kinesis checks this, but not within aggregates. The table would refuse a batch with such a key for ever.
    if not key:
        raise RefusedRequest("no key")
    if len(key) > MAX_KEY_CHARACTERS:
        raise RefusedRequest(f"a key of {len(key)} characters; {MAX_KEY_CHARACTERS} are the most")
    try:
        request = decode_request(payload)
    except RefusedRequest:
        event = _event(payload)
        if event is None:
            raise
        return Request(id=place_of(shard, position), cmd=TRACK, key=key, data=event)
    if request.key is None:
        return msgspec.structs.replace(request, key=key)
    if request.key != key:
        raise RefusedRequest(f"misrouted: its key is {_shown(request.key)}, its partition key {_shown(key)}")
    return request


def _shown(key: str) -> str:
    return repr(key[:MAX_SHOWN])[: MAX_SHOWN + 2]


class _Named(msgspec.Struct, frozen=True, gc=False):
    id: Name
    client: Key


_named_decoder = msgspec.json.Decoder(_Named)


def asker_of(payload: bytes) -> Asker | None:
    """The client and id in bytes that are no request; None unless they are JSON with both, valid by the contract.

    Everything else may be wrong: the record may be misrouted, too large, of another version, or without a command.
    """
    try:
        named = _named_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return Asker(named.client, named.id)


def _event(payload: bytes) -> Document | None:
    """The data of an `event.track` made from the payload; None if the payload is an invalid request."""
    if not payload or len(payload) > MAX_REQUEST_BYTES:
        return None
    try:
        value = decode_json(payload)
    except RefusedRequest:
        return _text(payload)
    if isinstance(value, dict):
        return None if "cmd" in value else value
    return {"value": value}


def _text(payload: bytes) -> Document | None:
    # Invalid JSON was probably meant to be a request: taken as text, the fault would be hidden.
    if payload.lstrip()[:1] in (b"{", b"["):
        return None
    try:
        return {"text": payload.decode()}
    except UnicodeDecodeError:
        return None
