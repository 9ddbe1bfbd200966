"""Encodes the outcomes that an entity keeps, as JSON text: most are dropped later without being parsed.

Room: core. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec

from tidemill.contract.memo import Memo
from tidemill.contract.request import Json, Reply, Status
from tidemill_consumers.core.item_limits import text_bytes


class _Outcome(msgspec.Struct, frozen=True, array_like=True):
    id: str
    status: Status | None = None
    data: Json = None
    error: str | None = None
    stream: str | None = None


class _Id(msgspec.Struct, frozen=True, array_like=True):
    id: str


_PLACE_OF_STREAM = 4

MAX_KNOWN = 256
"""Characters of the longest outcome whose streams are memoized; most are shorter."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Outcome)
_id_decoder = msgspec.json.Decoder(_Id)


def kept(request_id: str, reply: Reply | None, stream: str | None = None) -> str:
    """The outcome as JSON: id, status, data, error and stream; only the id if the outcome is not known any more.

    Args:
        request_id: the request's id.
        reply: the outcome.
        stream: the name of the stream that the request came by, if several streams feed the entity; if it came by
            several, their names with spaces between.
    """
    parts: list[Json] = [request_id] if reply is None else [request_id, reply.status, reply.data, reply.error]
    if stream is not None:
        parts += [None] * (_PLACE_OF_STREAM - len(parts)) + [stream]
    while parts[-1] is None:
        parts.pop()
    return _encoder.encode(parts).decode()


def streams_of(text: str) -> frozenset[str]:
    """The streams that an outcome names; none if it names none."""
    return _streams[text] if len(text) <= MAX_KNOWN else _streams_of(text)


def _streams_of(text: str) -> frozenset[str]:
    return frozenset((_decoder.decode(text).stream or "").split())


_streams = Memo(_streams_of)
"""Each write of an entity looks at all of its outcomes several times."""


def together(text: str | None, stream: str) -> str:
    """The stream, and those that an earlier outcome of the request names: each may deliver the request again."""
    return stream if text is None else " ".join(sorted({*streams_of(text), stream}))


def of_stream(recent: Mapping[str, str], stream: str) -> dict[str, str]:
    """The outcomes; those that name no stream get this one."""
    return {
        request_id: text if streams_of(text) else kept(request_id, reply_of(text), stream)
        for request_id, text in recent.items()
    }


def reply_of(text: str) -> Reply | None:
    """The reply in an outcome; None if it is not known any more."""
    outcome = _decoder.decode(text)
    return None if outcome.status is None else Reply(outcome.id, outcome.status, outcome.data, outcome.error)


def id_of(text: str) -> str:
    """The request id in an outcome."""
    return _id_decoder.decode(text).id


def outcome_bytes(text: str) -> int:
    """The bytes that an outcome takes in the item."""
    return 1 + text_bytes(text)


def bytes_of_all(texts: Collection[str]) -> int:
    """The bytes that outcomes take in the item together."""
    return len(texts) + text_bytes("".join(texts))
