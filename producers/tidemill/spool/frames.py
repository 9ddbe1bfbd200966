"""The spool's files as bytes: frames are made, and found again however damaged a file is.

Room: SDK. No I/O: bytes in, values out.

    segment = title · frame of kind HEAD · frames
    frame   = mark · checksum · kind · length · number · counter · payload

A checksum begins with its segment's seed. So bytes that only look like a frame, such as a payload that holds some
other segment's, are never taken for one.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from zlib import crc32

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

FORMAT = 2
"""The version of the files; it rises when an older release could not read them. Version 1 has no frames ATTEMPTED."""

TITLE = b"tidemill spool\n"
"""How every segment begins, for whoever looks into it."""

HEAD, REQUEST, SETTLED, ATTEMPTED = 1, 2, 3, 4
"""Kinds of frames: who writes, a request, the numbers of requests that are not to be sent again, and the numbers of
requests that may have been stored, because a call with them was about to leave."""

NEVER = -1
"""In a frame ATTEMPTED, the time of requests of which every attempt was refused for certain."""

_MARK = b"\xf5\xa7"  # no text in UTF-8 has such bytes
_CHECKSUM = struct.Struct("<I")
_FIELDS = struct.Struct("<BIQQ")
_BODY = len(_MARK) + _CHECKSUM.size

OVERHEAD = _BODY + _FIELDS.size
"""Bytes of a frame besides its payload."""


class Frame(NamedTuple):
    """A frame that is whole.

    Attributes:
        kind: HEAD, REQUEST, SETTLED or ATTEMPTED.
        number: of the request; else the highest so far.
        counter: of the request; else the writer's highest so far.
        payload: the request, or what the kind has to tell.
        start: where it begins in its segment.
        end: where the next begins.
    """

    kind: int
    number: int
    counter: int
    payload: bytes
    start: int
    end: int


class Gap(NamedTuple):
    """Bytes that are no frame.

    Attributes:
        start: where they begin in their segment.
        end: where they end.
        is_torn: whether they are what a write that was cut off leaves: a frame's beginning, or zeros, at the end.
    """

    start: int
    end: int
    is_torn: bool


Found: TypeAlias = Frame | Gap


class Head(msgspec.Struct, frozen=True):
    """What a segment's first frame says."""

    version: int
    writer: str


def to_frame(kind: int, number: int, counter: int, payload: bytes, seed: int) -> bytes:
    """The bytes of a frame, for the segment of that seed."""
    checked = _FIELDS.pack(kind, len(payload), number, counter) + payload
    return _MARK + _CHECKSUM.pack(crc32(checked, seed)) + checked


def to_opening(number: int, counter: int, writer: str, seed: int) -> bytes:
    """How a segment begins."""
    return TITLE + to_frame(HEAD, number, counter, msgspec.msgpack.encode(Head(FORMAT, writer)), seed)


def to_head(payload: bytes) -> Head:
    """What a frame of kind HEAD says."""
    return msgspec.msgpack.decode(payload, type=Head)


def to_settled(numbers: Iterable[int]) -> bytes:
    """The payload that names the numbers: the lowest, and the steps to each next one."""
    before, steps = 0, []
    for number in sorted(numbers):
        steps.append(number - before)
        before = number
    return msgspec.msgpack.encode(steps)


def settled_in(payload: bytes) -> Iterator[int]:
    """The numbers in the payload of a SETTLED frame."""
    number = 0
    for step in msgspec.msgpack.decode(payload, type=list[int]):
        number += step
        yield number


def to_attempted(tried: Mapping[int, int]) -> bytes:
    """The payload that names requests that may have been stored.

    Args:
        tried: number -> a time not after its first attempt, in milliseconds since 1970 by the stream's clock; or NEVER.
    """
    by_time: dict[int, list[int]] = {}
    for number, time in tried.items():
        by_time.setdefault(time, []).append(number)
    return msgspec.msgpack.encode([(time, to_settled(numbers)) for time, numbers in by_time.items()])


def attempted_in(payload: bytes) -> Iterator[tuple[int, int]]:
    """The numbers in the payload of an ATTEMPTED frame, each with its time."""
    for time, numbers in msgspec.msgpack.decode(payload, type=list[tuple[int, bytes]]):
        for number in settled_in(numbers):
            yield number, time


def read(data: bytes, seed: int) -> Iterator[Found]:
    """A segment's frames, and the gaps where none can be read."""
    at = len(TITLE) if data.startswith(TITLE) else 0
    while at < len(data):
        frame = frame_at(data, at, seed)
        if frame is None:
            after = _next_frame(data, at, seed)
            end = after.start if after else len(data)
            yield Gap(at, end, after is None and _is_torn(data[at:]))
            at = end
        else:
            yield frame
            at = frame.end


def frame_at(data: bytes, at: int, seed: int) -> Frame | None:
    """The frame that begins at the place; None if it is missing or damaged."""
    body = at + _BODY
    start = body + _FIELDS.size
    if start > len(data) or not data.startswith(_MARK, at):
        return None
    kind, length, number, counter = _FIELDS.unpack_from(data, body)
    end = start + length
    if end > len(data) or not HEAD <= kind <= ATTEMPTED:
        return None
    if data[at + len(_MARK) : body] != _CHECKSUM.pack(crc32(data[body:end], seed)):
        return None
    return Frame(kind, number, counter, data[start:end], at, end)


def _next_frame(data: bytes, after: int, seed: int) -> Frame | None:
    at = after
    while (at := data.find(_MARK, at + 1)) != -1:
        frame = frame_at(data, at, seed)
        if frame is not None:
            return frame
    return None


def _is_torn(rest: bytes) -> bool:
    if not rest.strip(b"\0"):
        return True
    if not rest.startswith(_MARK[: len(rest)]):
        return TITLE.startswith(rest)
    return len(rest) < OVERHEAD or OVERHEAD + _FIELDS.unpack_from(rest, _BODY)[1] > len(rest)


class WriterFile(msgspec.Struct, frozen=True):
    """What the file `writer` holds.

    Attributes:
        writer: the writer id.
        counter: no request of it has a higher one.
        version: of the files.
        checksum: of all the above.
    """

    writer: str
    counter: int
    version: int = FORMAT
    checksum: int = 0

    def sealed(self) -> WriterFile:
        """A copy with its checksum."""
        bare = msgspec.structs.replace(self, checksum=0)
        return msgspec.structs.replace(bare, checksum=crc32(msgspec.json.encode(bare)))
