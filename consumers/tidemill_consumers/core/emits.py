"""Turns the emits of a rule into requests with ids, a writer and counters.

Room: core. Pure: the same cause gives the same requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from uuid import UUID, uuid5

from tidemill.contract.request import Request, decode, encode
from tidemill.contract.validation import UnsendableRequest, to_payload
from tidemill_consumers.core.batch import Arrival, Emit, Emitted, fresh
from tidemill_consumers.core.streams import stream_of_shard

MAX_EMIT_BYTES = 16 * 1024
"""Limit for all follow-up requests of one request together: the item keeps them until they have left."""

EMITTER = "emit/"
"""Prefix of the writer of follow-up requests; the stream of their causes and the emitting entity's key follow."""

PROVEN_EMITTER = "emit-proven/"
"""Prefix of the writer of follow-up requests whose client their cause has proven.

The writer is under the application's seal; without a valid seal the prefix means nothing.
"""

EMITTERS = (EMITTER, PROVEN_EMITTER)

LONGEST_PLAIN_KEY = 63
"""Bytes of the longest key used as it is in a writer's name. The hash of a longer one has 64, so no two names clash."""

CLOCKS_DIFFER = 1.0
"""Seconds that the clocks of two streams, or of a stream and an HTTP API, may differ."""

IDS = UUID("e23ff1a1-6a5f-4a0c-8f0c-6a1d7f3b5a52")
"""The namespace of the ids (RFC 9562, section 5.5)."""


def emitter(key: str, shard: str, is_proven: bool = False) -> str:
    """The writer of the follow-up requests that a key's entity emits for causes on a shard.

    It names the shard's stream. Batches of two streams may change an entity at the same time, and their follow-up
    requests are in order only within each stream; but one writer's counters must arrive in order.
    """
    encoded = key.encode()
    name = key if len(encoded) <= LONGEST_PLAIN_KEY else sha256(encoded).hexdigest()
    return f"{PROVEN_EMITTER if is_proven else EMITTER}{stream_of_shard(shard)}/{name}"


def is_emitted(request: Request) -> bool:
    """Whether the request is a follow-up request, by its writer."""
    return request.writer is not None and request.writer.startswith(EMITTERS)


def is_of_proven(request: Request) -> bool:
    """Whether a follow-up request states that its cause has proven its client."""
    return request.client is not None and request.writer is not None and request.writer.startswith(PROVEN_EMITTER)


def without_proof(writer: str) -> str:
    """The emitting entity's writer without the mark of a proven client: both forms share their counters."""
    return EMITTER + writer.removeprefix(PROVEN_EMITTER) if writer.startswith(PROVEN_EMITTER) else writer


def follow_ups(arrival: Arrival, emits: Iterable[object], emitted: int) -> tuple[Request, ...] | str:
    """The follow-up requests of a request, or why they cannot be sent.

    Args:
        arrival: the request, of the emitting entity's key, with the depth that counts (`core.folding.depth`).
        emits: what its rule emits, each an Emit unless the rule is wrong.
        emitted: how many its entity has emitted before; the new counters follow.
    """
    cause, proof = fresh(arrival).request, arrival.proof  # the rule may have changed arrival.request
    proven = proof.client if proof else None
    requests: list[Request] = []
    size = 0
    for place, emit in enumerate(emits):
        if not isinstance(emit, Emit):
            return f"follow-up request {place + 1}: {type(emit).__name__} is no Emit"
        is_proven = proven is not None and emit.client == proven
        request = Request(
            id=str(uuid5(IDS, f"{cause.id}/{place}")),
            cmd=emit.cmd,
            key=emit.key,
            client=emit.client,
            writer=emitter(arrival.key, arrival.shard, is_proven),
            counter=emitted + place + 1,
            at=cause.at,
            depth=cause.depth + 1,
            traceparent=cause.traceparent,
            data=emit.data,
        )
        try:
            payload = to_payload(request)
        except UnsendableRequest as problem:
            return f"follow-up request {place + 1}: {problem}"
        size += len(payload)
        if size > MAX_EMIT_BYTES:
            return f"follow-up requests of more than {MAX_EMIT_BYTES} bytes"
        requests.append(decode(payload))  # a copy, because the rule may change `data` later
    return tuple(requests)


def kept_bytes(emitted: Emitted) -> int:
    """An upper estimate of the bytes that follow-up requests take in the item."""
    place = len(emitted.shard) + 72
    return place + sum(4 + len(encode(request)) for request in emitted.requests)
