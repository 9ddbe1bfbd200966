"""Splits a landed object's bytes into records: unpacks them as far as possible, and finds where each record ends.

Room: analytics, pure. A delivery stream writes a line feed after each record without inspecting it, and other programs
may put objects there too. So a record may contain line feeds (indented JSON, compressed bytes) or have none after it.

| bytes | records |
|---|---|
| a line that is a request, marked as put again or not | one |
| blanks alone | none |
| an object over several lines, several objects on one line | one per object |
| a record compressed with gzip | one, refused for that |
| another line | one, refused with the reason |

The search beyond a line is bounded, and bytes that were searched in vain are not searched again from later lines: the
time is proportional to the number of bytes.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidemill.contract.attempts import unmarked
from tidemill.contract.request import GZIP_MAGIC, MAX_REQUEST_BYTES, RefusedRequest, Request, decode

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 14
_PACKED_BYTES = 10 << 20
"""Largest record of Kinesis; https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html."""

_UNPACKED_BYTES = 64 << 20
"""A compressed record is unpacked up to this size to find its end."""

_objects = json.JSONDecoder(parse_int=str, parse_float=str)
_BLANKS = re.compile(r"[ \t\r]*")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """An object's bytes without their compression.

    Attributes:
        content: the bytes; of a damaged object, the lines before the damage.
        damage: what is wrong with the compression; None if nothing is.
        torn: the readable beginning of the line with the damage.
    """

    content: bytes
    damage: str | None = None
    torn: bytes = b""


def unpack(packed: bytes) -> Unpacked:
    """An object's bytes, unpacked if they are gzip members, once or twice compressed.

    Members may begin with a byte order mark, and zeros may follow the last.
    """
    outer = _members(packed)
    if outer.damage is None and outer.content.startswith(GZIP_MAGIC):
        inner = _members(outer.content)
        return outer if inner.damage else inner  # damaged: the content begins with a compressed record
    return outer


def records(content: bytes) -> Iterator[tuple[bytes, Request | RefusedRequest]]:
    """The records in an object's bytes, each with its request, or why it is no request."""
    at = looked = 0
    while at < len(content):
        end = _line_end(content, at)
        line = content[at:end]
        if line.strip():
            request = _request(line)
            ends: list[int] = []
            if isinstance(request, RefusedRequest) and at >= looked:
                ends, looked = _beyond(content, at, end)
            if not ends:
                yield line, request
            for end in ends:
                yield (record := content[at:end].strip(b" \t\r")), _request(record)
                at = end
        at = end + 1


def _members(packed: bytes) -> Unpacked:
    if not packed.startswith(GZIP_MAGIC):
        return Unpacked(packed.removeprefix(_BOM))
    parts: list[bytes] = []
    at = 0
    while packed.startswith(GZIP_MAGIC, at):
        part, at, damage = _member(packed, at)
        parts.append(part.removeprefix(_BOM))
        if damage:
            lines, feed, torn = b"".join(parts).rpartition(b"\n")
            return Unpacked(lines + feed, damage, torn)
    trailing = len(packed[at:].strip(b"\0"))
    return Unpacked(b"".join(parts), f"{trailing} bytes behind its compressed ones" if trailing else None)


def _member(packed: bytes, at: int) -> tuple[bytes, int, str | None]:
    """The bytes of the gzip member at `at` as far as they are readable, where it ends, and what is wrong with it."""
    unpacking, parts = zlib.decompressobj(zlib.MAX_WBITS | 16), []
    try:
        while at < len(packed) and not unpacking.eof:
            parts.append(unpacking.decompress(packed[at : at + _CHUNK]))
            at = min(len(packed), at + _CHUNK)
    except zlib.error as error:
        return b"".join(parts), at, str(error)
    return b"".join(parts), at - len(unpacking.unused_data), None if unpacking.eof else "it ends too early"


def _request(record: bytes) -> Request | RefusedRequest:
    try:
        return decode(unmarked(record)[0])
    except RefusedRequest as refusal:
        return refusal


def _line_end(content: bytes, at: int) -> int:
    found = content.find(b"\n", at)
    return len(content) if found < 0 else found


def _beyond(content: bytes, at: int, end: int) -> tuple[list[int], int]:
    """The ends of the records that begin on this line, and how far the search went in vain.

    The last of these records ends at a line's end.
    """
    if content.startswith(GZIP_MAGIC, at):
        return _packed_end(content, at)
    if content[at:end].lstrip().startswith(b"{"):
        return _object_ends(content, at, end)
    return [], 0


def _packed_end(content: bytes, at: int) -> tuple[list[int], int]:
    unpacking, room = zlib.decompressobj(zlib.MAX_WBITS | 16), _UNPACKED_BYTES
    stop = min(len(content), at + _PACKED_BYTES)
    while at < stop and room > 0:
        chunk = content[at : at + _CHUNK]
        at += len(chunk)
        try:
            while chunk and room > 0 and not unpacking.eof:
                room -= len(unpacking.decompress(chunk, _CHUNK * 64))
                chunk = unpacking.unconsumed_tail
        except zlib.error:
            break
        if unpacking.eof:
            end = at - len(unpacking.unused_data)
            return ([end], 0) if end == _line_end(content, end) else ([], at)
    return [], at


def _object_ends(content: bytes, at: int, end: int) -> tuple[list[int], int]:
    """The ends of JSON objects. While the last is incomplete, the search repeats over about twice as many bytes."""
    most = min(len(content), end + MAX_REQUEST_BYTES)
    while True:
        text = content[at:end].decode(errors="surrogateescape")
        ends, stopped = _ends(text)
        if ends or text[stopped:].strip() or end >= most:
            break
        end = _line_end(content, min(most, end + max(end - at, 1024)))
    sizes = [len(text[:one].encode(errors="surrogateescape")) for one in (*ends, stopped)]
    return [at + size for size in sizes[:-1]], at + sizes[-1]


def _ends(text: str) -> tuple[list[int], int]:
    """The end of each object, if a line ends after the last, and where the search stopped."""
    ends: list[int] = []
    at = len(text) - len(text.lstrip())
    try:
        while text.startswith("{", at):
            _, end = _objects.raw_decode(text, at)
            ends.append(end)
            at = _blank_end(text, end)
    except json.JSONDecodeError as error:
        return [], error.pos
    except RecursionError:
        return [], len(text)
    if text[at : at + 1] not in ("", "\n"):
        return [], at
    return [*ends[:-1], at], at


def _blank_end(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return found.end() if found else at
