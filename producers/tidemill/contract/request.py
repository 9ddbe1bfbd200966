"""The wire contract: requests and messages of replies as JSON.

Room: contract. No I/O: bytes in, values out.
"""

import json
import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, NoReturn, TypeAlias

import msgspec

MAX_REQUEST_BYTES = 256 * 1024
"""Largest request in bytes of JSON; larger data is uploaded, and the request says where it lies (claim_check.py)."""

MAX_DEPTH = 32
"""Deepest nesting of objects and arrays in a request, the request itself being level 1."""

MAX_KEY_CHARACTERS = 256
"""Longest ordering key: Kinesis allows a partition key of 256 Unicode characters."""

MAX_NAME_CHARACTERS = 128
"""Longest id, command or writer."""

MAX_OBJECT_CHARACTERS = 1024
"""Longest name of an object in S3, in bytes: those of the contract have no characters of several."""

GZIP_MAGIC = b"\x1f\x8b\x08"
"""How bytes begin that gzip made: by https://www.rfc-editor.org/rfc/rfc1952 there is one way of compressing, 8."""

REDRIVE = "redrive/"
"""How the writer of a redriven request begins; its place in the quarantine follows."""

EVENT = "event/"
"""How the writer begins of a request that the application itself sends because something happened outside the stream,
such as an upload to its bucket; a hash of the event follows."""

TRACK = "event.track"
"""The command that records of clients get which do not use the contract."""

STAGE = "stage/"
"""How the writer of a request of the analytics stage begins; its generation and its command follow."""

PROBE = "tidemill.probe"
"""The command that every application takes: it changes no document, and shows how far a shard is applied."""

Json: TypeAlias = Any
"""A JSON value. Its shape is the application's business."""

Document: TypeAlias = dict[str, Json]
"""A JSON object."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARACTERS)]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_KEY_CHARACTERS)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class RefusedRequest(ValueError):
    """A payload that is not a request within the contract; says why in one sentence."""


class OriginalSignature(msgspec.Struct, frozen=True, omit_defaults=True, rename={"writer": "w", "counter": "n"}):
    """The fields that a redriven request's signature covers, as they were before the redrive."""

    writer: Name
    counter: Count
    sig: str
    stream: str | None = None
    """The name of the stream that it came by, if it is another than the one that it is redriven to."""


class ClaimCheck(msgspec.Struct, frozen=True):
    """Where a request's data lies that is too large for the request: claim_check.py says more.

    Attributes:
        object: its name in the content bucket, `uploads/{identity}/{sha256}`.
        bytes: the size of its JSON.
    """

    object: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_OBJECT_CHARACTERS)]
    bytes: Count


class Request(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    gc=False,  # plain JSON has no cycles
    omit_defaults=True,
    tag_field="v",
    tag=1,
    rename={"writer": "w", "counter": "n"},
):
    """What a client asks for.

    Attributes:
        id: unique per request (a UUIDv7 by the SDK); the same for every copy of it.
        cmd: the command, which names the rule, such as `content.view`.
        key: the ordering key, at most 256 characters. None means the record's partition key.
        client: who sends it and gets the reply. Trust it only where the ingress stamps it.
        writer: the SDK instance that sent it, kept across restarts; `w` on the wire.
        counter: rises by at least one with each request of its writer; `n` on the wire.
        at: the client's clock, milliseconds since 1970.
        tried: of a repeat, a time on the stream's clock that is certainly not after its first attempt's arrival, in
            milliseconds since 1970; 0 is unknown. None: a first attempt. The SDK marks records instead (attempts.py).
        depth: how many emits led to it. It counts in the application's own requests only: a client's is passed over.
        traceparent: the trace that it belongs to, as W3C Trace Context writes it; of no effect on what it does.
        data: the command's own data, a JSON object.
        ref: where the data lies if it is too large; `data` is empty then. Rules see the data itself, and no `ref`.
        was: of a signed request that was redriven, what it was before.
        sig: its signature (signature.py), 86 characters; last on the wire. None: unsigned.
    """

    id: Name
    cmd: Name
    key: Key | None = None
    client: Key | None = None
    writer: Name | None = None
    counter: Count | None = None
    at: int | None = None
    tried: Count | None = None
    depth: Count = 0
    traceparent: Name | None = None
    data: Document
    ref: ClaimCheck | None = None
    was: OriginalSignature | None = None
    sig: str | None = None


Status: TypeAlias = Literal["accepted", "rejected", "quarantined"]


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request's outcome. `data` comes with "accepted", `error` with the other two."""

    id: str
    status: Status
    data: Json = None
    error: str | None = None


class ReplyMessage(msgspec.Struct, frozen=True, tag_field="v", tag=1):
    """The replies to one client from one batch, as one message."""

    client: str
    replies: tuple[Reply, ...]


_encoder = msgspec.json.Encoder()
_request_decoder = msgspec.json.Decoder(Request)
_message_decoder = msgspec.json.Decoder(ReplyMessage)


def encode(message: Request | ReplyMessage) -> bytes:
    """The message as compact UTF-8 JSON."""
    return _encoder.encode(message)


def decode(payload: bytes) -> Request:
    """The request in `payload`; fields it does not know are skipped, not refused.

    Raises:
        RefusedRequest: too large, not JSON, not an object, nested too deeply, a duplicate key, a NaN or
            infinity, a lone surrogate, a field missing or of the wrong type, an unknown version.
    """
    if len(payload) > MAX_REQUEST_BYTES:
        raise RefusedRequest(f"{len(payload)} bytes; a request may have {MAX_REQUEST_BYTES}")
    try:
        request = _request_decoder.decode(payload)
    except RecursionError:
        _refuse_depth()
    except (UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise RefusedRequest(_trouble(payload, error)) from None
    # Neither duplicate keys nor depth bother the decoder. A payload that encodes to itself has no duplicates: that is
    # every request of the SDK, so the slow look is for the others.
    if _encoder.encode(request) != payload or may_be_deep(request.data, payload):
        decode_json(payload)
    return request


def decode_fast(payloads: Sequence[bytes]) -> list[Request] | None:
    """The requests in the payloads, if each encodes to its own bytes, as the SDK's do; else None.

    Equal to `decode` of each. Without it the benchmark `decode_aggregated` takes a third longer. Where it is None,
    `decode` reads them one by one, and says what is wrong. Property tests hold the two equal.
    """
    # What the encoder writes as lines has no other line breaks. So if these are the same lines, and as many as there
    # are payloads, then none goes over into another.
    lines = b"\n".join((*payloads, b""))
    try:
        requests = _request_decoder.decode_lines(lines)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if len(requests) != len(payloads) or _encoder.encode_lines(requests) != lines:
        return None
    if len(lines) > MAX_REQUEST_BYTES and max(map(len, payloads)) > MAX_REQUEST_BYTES:
        return None
    if lines.count(b"{") == 2 * len(requests) and b"[" not in lines:
        return requests  # each is an object with data that is flat
    if any(map(may_be_deep, [request.data for request in requests], payloads)):
        return None
    return requests


def decode_replies(payload: bytes | str) -> ReplyMessage:
    """The message of replies in `payload`.

    Raises:
        RefusedRequest: not a message of replies.
    """
    try:
        return _message_decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RefusedRequest(f"not a message of replies: {error}") from None


def may_be_deep(data: Document, payload: bytes) -> bool:
    """Whether a request's levels have to be counted: not if its data is flat, or its brackets are few."""
    for value in data.values():
        if type(value) is dict or type(value) is list:
            return payload.count(b"{") + payload.count(b"[") > MAX_DEPTH
    return False


def _trouble(payload: bytes, error: UnicodeDecodeError | msgspec.MsgspecError) -> str:
    if payload.startswith(GZIP_MAGIC):
        return "compressed with gzip, as CloudWatch Logs sends to its subscribers; a request is JSON as it is"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def decode_json(payload: bytes) -> Json:
    """The JSON value in `payload`, read less generously than the standard parser alone would.

    Raises:
        RefusedRequest: not JSON, a duplicate key, a NaN or infinity, a lone surrogate, too deep.
    """
    try:
        value = json.loads(payload, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant)
        if _depth(value) > MAX_DEPTH:
            _refuse_depth()
        _encoder.encode(value)  # a lone surrogate has no UTF-8
    except RefusedRequest:
        raise
    except RecursionError:
        _refuse_depth()
    except UnicodeEncodeError:
        raise RefusedRequest("a lone surrogate is not text") from None
    except ValueError as error:
        raise RefusedRequest(f"not JSON: {error}") from None
    return value


def _unique(pairs: list[tuple[str, Json]]) -> Document:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RefusedRequest("a key stands twice in one object")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise RefusedRequest(f"the number {text[:20]} is out of range")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise RefusedRequest(f"{name} is not JSON")


def _refuse_depth() -> NoReturn:
    raise RefusedRequest(f"nested deeper than {MAX_DEPTH} levels") from None


def _depth(value: Json) -> int:
    children: Iterable[Json]
    if isinstance(value, dict):
        children = value.values()
    elif isinstance(value, list):
        children = value
    else:
        return 0
    return 1 + max(map(_depth, children), default=0)
