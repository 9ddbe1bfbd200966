"""From Lambda's event to arrivals: base64, aggregates, the wire contract.

Room: shell. No I/O of its own; the event's bytes come in, typed arrivals go out, nothing is dropped.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

import msgspec

from tidemill.kpl import CorruptAggregate, is_aggregate, unpack
from tidemill.request import MAX_KEY_CHARACTERS, MAX_REQUEST_BYTES, Document, RefusedRequest, Request, decode_json
from tidemill.request import decode as decode_request
from tidemill_consumers.core.batch import Arrival, Position, Unreadable

TRACK = "event.track"
"""The command that the bytes of clients unaware of the contract become."""


class KinesisData(TypedDict):
    """The `kinesis` part of a record in Lambda's event."""

    partitionKey: str
    sequenceNumber: str
    data: str
    approximateArrivalTimestamp: float


class EventRecord(TypedDict):
    """A record in Lambda's event: https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html."""

    eventID: str
    kinesis: KinesisData


class KinesisEvent(TypedDict):
    """Lambda's event for a Kinesis stream: records of one shard, in order."""

    Records: list[EventRecord]


@dataclass(frozen=True, slots=True)
class Intake:
    """A batch, read."""

    arrivals: tuple[Arrival, ...]
    unreadable: tuple[Unreadable, ...]
    records: int


def intake(event: KinesisEvent) -> Intake:
    """All that the event holds, in stream order."""
    arrivals: list[Arrival] = []
    unreadable: list[Unreadable] = []
    for record in event["Records"]:
        for found in _read(record):
            if isinstance(found, Arrival):
                arrivals.append(found)
            else:
                unreadable.append(found)
    return Intake(tuple(arrivals), tuple(unreadable), len(event["Records"]))


def _read(record: EventRecord) -> Iterator[Arrival | Unreadable]:
    kinesis = record["kinesis"]
    shard = record["eventID"].partition(":")[0]
    sequence, arrived = int(kinesis["sequenceNumber"]), kinesis["approximateArrivalTimestamp"]
    data = a2b_base64(kinesis["data"])
    if not is_aggregate(data):
        yield _arrival(shard, Position(sequence, 0), arrived, kinesis["partitionKey"], data)
        return
    try:
        user_records = unpack(data)
    except CorruptAggregate as error:
        reason = f"corrupt aggregate: {error}"
        yield Unreadable(shard, Position(sequence, 0), arrived, kinesis["partitionKey"], data, reason)
        return
    for sub, user_record in enumerate(user_records):
        yield _arrival(shard, Position(sequence, sub), arrived, user_record.key, user_record.data)


def _arrival(shard: str, position: Position, arrived: float, key: str, payload: bytes) -> Arrival | Unreadable:
    try:
        request = read_request(payload, key, place_of(shard, position))
    except RefusedRequest as error:
        return Unreadable(shard, position, arrived, key, payload, str(error))
    return Arrival(shard, position, arrived, key, request, payload)


def place_of(shard: str, position: Position) -> str:
    """A place in the stream as one name."""
    return f"{shard}-{position.sequence}-{position.sub}"


def read_request(payload: bytes, key: str, place: str) -> Request:
    """The request that a user record is, under its partition key; its place is the id of one that has none.

    Raises:
        RefusedRequest: it is none.
    """
    # Kinesis sees to this, but not within aggregates; one such key would make the table refuse the batch for ever.
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
        return Request(id=place, cmd=TRACK, key=key, data=event)
    if request.key is None:
        return msgspec.structs.replace(request, key=key)
    if request.key != key:
        raise RefusedRequest(f"misrouted: its key is {request.key[:80]!r}, its partition key {key[:80]!r}")
    return request


def _event(payload: bytes) -> Document | None:
    """The data of an `event.track` in the payload; None where it means to be a request and is none."""
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
    # What opens like JSON but is not was meant to be a request: as text, its fault would be hidden.
    if payload.lstrip()[:1] in (b"{", b"["):
        return None
    try:
        return {"text": payload.decode()}
    except UnicodeDecodeError:
        return None
