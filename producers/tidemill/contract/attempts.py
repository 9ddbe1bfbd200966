"""Marks: how a record says that an earlier attempt to put it may have been stored.

Room: contract. No I/O: values in, values out.

A mark is the time `tried`, in whole milliseconds since 1970 by the stream's clock: certainly not after the arrival of
the record's first attempt, and 0 where nothing is known of it. A record without a mark is a first attempt.

    an aggregate    in its partition key, which is free because the explicit hash key decides the shard
    a plain record  the first member of the request's JSON, before the very bytes of the first attempt
"""

import re

MAX_TRIED = 2**63 - 1
"""The latest time that a mark can state."""

_KEY = re.compile(r"\Alane-[0-9]+ tried (0|[1-9][0-9]{0,18})\Z")
_PAYLOAD = re.compile(rb'\{"tried":(0|[1-9][0-9]{0,18}),(?=")')


def marked_key(partition_key: str, tried: int) -> str:
    """The partition key of an aggregate whose first attempt may have been stored: `lane-17 tried 1764360000000`."""
    return f"{partition_key} tried {tried}"


def tried_of(partition_key: str) -> int | None:
    """The time in an aggregate's partition key; None of a first attempt. A plain record's key is never to be asked."""
    found = _KEY.search(partition_key)
    return _time(found[1]) if found else None


def marked(payload: bytes, tried: int) -> bytes:
    """The JSON of a plain record's request whose first attempt may have been stored.

    `unmarked` gives the payload again, byte for byte, so that its signature holds.
    """
    return b'{"tried":%d,%b' % (tried, payload[1:])


def unmarked(payload: bytes) -> tuple[bytes, int | None]:
    """The payload of a plain record's first attempt, and the time in its mark; None of a payload without one.

    The request may state `tried` besides, as any field of it; then the lower time counts. JSON that is no request may
    begin like a mark.
    """
    found = _PAYLOAD.match(payload)
    if found is None:
        return payload, None
    tried = _time(found[1])
    return (payload, None) if tried is None else (b"{" + payload[found.end() :], tried)


def _time(digits: str | bytes) -> int | None:
    time = int(digits)
    return time if time <= MAX_TRIED else None
