"""From what a rule emits to requests: their ids, their writer, their counters.

Room: core. Pure: the same cause gives the same requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from uuid import UUID, uuid5

from tidemill.request import Request, encode
from tidemill.sendable import UnsendableRequest, to_payload
from tidemill_consumers.core.batch import Emit, Emitted

MAX_EMIT_BYTES = 16 * 1024
"""Of all follow-up requests of one request, for they are kept in the item until they have left."""

EMITTER = "emit/"
"""How the writer of follow-up requests begins; the emitting entity's key follows."""

LONGEST_PLAIN_KEY = 63
"""Bytes of a key that stands in a writer's name as it is; the hash of a longer one has more, so none is another's."""

IDS = UUID("e23ff1a1-6a5f-4a0c-8f0c-6a1d7f3b5a52")
"""The namespace of the ids (RFC 9562, section 5.5)."""


def emitter(key: str) -> str:
    """The writer of what the key's entity emits."""
    encoded = key.encode()
    return EMITTER + (key if len(encoded) <= LONGEST_PLAIN_KEY else sha256(encoded).hexdigest())


def follow_ups(key: str, cause: Request, emits: Iterable[Emit], emitted: int) -> tuple[Request, ...] | str:
    """The requests that a request emits, or why they cannot be sent.

    Args:
        key: the emitting entity's.
        cause: the request.
        emits: what its rule asks for.
        emitted: how many its entity has emitted before: their counters go on from there.
    """
    writer = emitter(key)
    requests: list[Request] = []
    size = 0
    for place, emit in enumerate(emits):
        request = Request(
            id=str(uuid5(IDS, f"{cause.id}/{place}")),
            cmd=emit.cmd,
            key=emit.key,
            client=emit.client,
            writer=writer,
            counter=emitted + place + 1,
            at=cause.at,
            data=emit.data,
        )
        try:
            size += len(to_payload(request))
        except UnsendableRequest as problem:
            return f"follow-up request {place + 1}: {problem}"
        if size > MAX_EMIT_BYTES:
            return f"follow-up requests of more than {MAX_EMIT_BYTES} bytes"
        requests.append(request)
    return tuple(requests)


def kept_bytes(emitted: Emitted) -> int:
    """An upper estimate of the bytes that they take in the item."""
    place = len(emitted.shard) + 72
    return place + sum(4 + len(encode(request)) for request in emitted.requests)
