"""The quarantine: requests that can never be applied, stored whole with the reason, as objects in S3.

Room: adapters. Defines the objects' form and stores them; redrive.py finds them and puts their requests back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from tidemill.contract.request import REDRIVE, RefusedRequest, Request
from tidemill.contract.validation import to_payload
from tidemill_consumers.adapters.calls import MapCalls, Troubles, at_once
from tidemill_consumers.adapters.telling import tell
from tidemill_consumers.codec.events import place_of, read_request
from tidemill_consumers.codec.parts import Part, Parts, gathered, summary
from tidemill_consumers.core.batch import Arrival, Position, Quarantined, Unreadable
from tidemill_consumers.core.trust import Seals, is_staged, what_it_was

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


CALLS_AT_ONCE = 16
"""Several, because an aggregate may hold thousands of requests to quarantine and an invocation's time is limited."""


PREFIX = "quarantine/"
"""Prefix of the objects' keys."""


MOST_BYTES = 16 << 20
"""An object's, which is more than a stream's largest record in base64 takes: 10 MiB,
https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html."""


END_OF_TIME = 253_402_300_800
"""The year 10000, in seconds since 1970: times from then on have no `datetime`."""


class Kept(msgspec.Struct, frozen=True):
    """The content of an object, as JSON; `payload` is base64 there.

    If several parts of one record are no requests, they are one object: `parts` holds them, `payload` is empty,
    `reason` is a summary, and `key` and `sub` are the first part's.

    Attributes:
        reason: why it is quarantined.
        id: the request's id; None for bytes that are no request.
        cmd: the request's command; None for bytes that are no request.
        key: the ordering key.
        shard: the shard, by its stream's name (core.streams) and its id, in older objects by its id alone; with
            `sequence` (digits) and `sub` it is the place in the stream.
        arrived: when it arrived, in seconds since 1970, by the stream's clock.
        payload: the user record as it came.
        parts: the parts of a record that are no requests, if there are several; else the field is left out.
        stream: the stream's name; empty in older objects, which are of the application's own stream.
    """

    reason: str
    id: str | None
    cmd: str | None
    key: str
    shard: str
    sequence: str
    sub: int
    arrived: float
    payload: bytes
    stream: str = ""
    parts: Parts | msgspec.UnsetType = msgspec.UNSET

    @property
    def all_parts(self) -> Sequence[Part]:
        """The object's parts: usually one."""
        if self.parts is msgspec.UNSET:
            return (Part(self.sub, self.key, self.reason, self.payload),)
        return tuple(self.parts)

    @property
    def position(self) -> Position:
        """The place in the shard."""
        return Position(int(self.sequence), self.sub)


class Quarantine:
    """The quarantine bucket.

    An object's key contains its request's place in the stream, so that storing it again changes nothing. The parts of
    one record that are no requests are one object, with the first part's place.

    Args:
        s3: a boto3 S3 client.
        bucket: the bucket's name.
        calls: makes several calls; by default some at once.
    """

    def __init__(self, s3: S3Client, bucket: str, calls: MapCalls | None = None) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._map = calls or at_once(CALLS_AT_ONCE, "quarantine")
        self._troubles = Troubles("cannot quarantine")
        self.count = 0
        """Number of stored requests, including bytes that are no request."""

    def store(self, quarantined: Iterable[Quarantined]) -> tuple[Quarantined, ...]:
        """Store and log each; those that could not be stored."""
        objects = together(quarantined)
        outcomes = list(zip(objects, self._map(self._stored, objects), strict=True))
        self._troubles.tell()
        stored = [one for of, is_stored in outcomes if is_stored for one in of]
        self.count += len(stored)
        tell(stored)
        return tuple(one for of, is_stored in outcomes if not is_stored for one in of)

    def _stored(self, of: Sequence[Quarantined]) -> bool:
        name = object_key(of[0])
        try:
            answer = self._s3.put_object(Bucket=self._bucket, Key=name, Body=body(*of), ContentType="application/json")
            is_stored = bool(answer["ETag"])  # an answer from something other than S3 has none
        except Exception as error:  # no answer, or one that cannot be read
            self._troubles.note(name, error)
            return False
        return is_stored


def together(quarantined: Iterable[Quarantined]) -> list[list[Quarantined]]:
    """The requests in groups that become one object: each request alone, but a record's unreadable parts together."""
    objects: list[list[Quarantined]] = []
    of_record: dict[tuple[str, int], list[Quarantined]] = {}
    for one in quarantined:
        at = one.arrival
        if isinstance(at, Arrival):
            objects.append([one])
            continue
        record = at.shard, at.position.sequence
        if record not in of_record:
            of_record[record] = []
            objects.append(of_record[record])
        of_record[record].append(one)
    return objects


def object_key(one: Quarantined) -> str:
    """The object's key in the bucket: the day of arrival and the place in the stream."""
    at = one.arrival
    return f"{PREFIX}dt={day_of(at.arrived)}/{at.shard}/{at.position.sequence}-{at.position.sub}.json"


def day_of(arrived: float) -> str:
    """The day in UTC that an object is filed under."""
    return datetime.fromtimestamp(arrived, UTC).strftime("%Y-%m-%d")


def body(one: Quarantined, *others: Quarantined) -> bytes:
    """The object's bytes, for one request or for the unreadable parts of one record."""
    at = one.arrival
    if others:
        parts = gathered([each.arrival for each in (one, *others) if isinstance(each.arrival, Unreadable)])
        first = Quarantined(msgspec.structs.replace(at, payload=b""), summary(parts))
        return msgspec.json.encode(msgspec.structs.replace(_kept(first), parts=parts))
    return msgspec.json.encode(_kept(one))


def _kept(one: Quarantined) -> Kept:
    at = one.arrival
    request = at.request if isinstance(at, Arrival) else None
    return Kept(
        reason=one.reason,
        id=request.id if request else None,
        cmd=request.cmd if request else None,
        key=at.key,
        shard=at.shard,
        sequence=str(at.position.sequence),
        sub=at.position.sub,
        arrived=at.arrived,
        payload=at.payload,
        stream=at.stream,
    )


_kept_decoder = msgspec.json.Decoder(Kept)


def read(stored: bytes) -> Kept:
    """The content of an object that `body` wrote.

    Raises:
        RefusedRequest: the bytes are no such object.
    """
    if len(stored) > MOST_BYTES:
        raise RefusedRequest(f"not an object of the quarantine: it has more than {MOST_BYTES >> 20} MiB")
    try:
        kept = _kept_decoder.decode(stored)
        int(kept.sequence)
        if not 0 <= kept.arrived < END_OF_TIME:
            raise ValueError("it arrived at no time")
        if not kept.all_parts:
            raise ValueError("it has no parts")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, IndexError) as error:
        raise RefusedRequest(f"not an object of the quarantine: {error}") from None
    return kept


def redriven(kept: Kept, seals: Seals | None = None) -> Request:
    """The request to put back on the stream: with the same id, client, command, key and data, but a writer of its own.

    Its first writer's counter may have passed it, so it would be taken for a repeat. The new writer is named by its
    place in the stream and has the counter 1: however often the request is put back, it is applied once.

    Raises:
        RefusedRequest: it never was a request, or must not be sent. Says why.
    """
    if kept.parts is not msgspec.UNSET:
        raise RefusedRequest(f"no request: {kept.reason}")
    try:
        request = read_request(kept.payload, kept.key, kept.shard, kept.position)
    except RefusedRequest as error:
        raise RefusedRequest(f"no request: {error if kept.id else kept.reason}") from None
    if is_staged(request):
        raise RefusedRequest("of the analytics stage: the next window of its key has the same amount too")
    was = what_it_was(request, kept.payload, seals, kept.stream)
    writer = REDRIVE + place_of(kept.shard, kept.position)
    request = msgspec.structs.replace(request, writer=writer, counter=1, tried=None, was=was, sig=None)
    request = seals.seal(request) if seals else request
    to_payload(request)
    return request
