"""Kinesis's calls in CBOR, the default of Java's SDKs (KPL's Java part, KCL, Flink, Spark).

Room: local platform; fitted into the emulator by `install`. A call in CBOR is translated to JSON, and its answer back
to CBOR: blobs are bytes, and times are milliseconds, as the SDKs write and read them.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from typing import TYPE_CHECKING, Any, TypeAlias

import cbor2

from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Mapping

    Response: TypeAlias = tuple[int, dict[str, str], Any]
    Dispatch: TypeAlias = Callable[..., Coroutine[Any, Any, Response]]
    Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

CBOR = "application/x-amz-cbor-1.1"
JSON = "application/x-amz-json-1.1"

BLOBS = {"Data"}
TIMES = {"ApproximateArrivalTimestamp", "ConsumerCreationTimestamp", "StreamCreationTimestamp"}

_EPOCH_TAG = 1
"""The tag of a time as a number: the SDKs write milliseconds, where RFC 8949 has seconds."""

_MESSAGE = struct.Struct(">III")
"""The head of an event stream's message: its length, its headers' length, and the checksum of both."""


# A text among a message's headers: its type, its length, and itself.
_JSON_HEADER = b"\x07\x00\x10application/json"
_CBOR_HEADER = b"\x07" + len(CBOR).to_bytes(2, "big") + CBOR.encode()


class NotCbor(ValueError):
    """The bytes are not CBOR, or hold a value that a call cannot have."""


def install() -> None:
    """Have Kinesis take and answer CBOR.

    Installed after durability, whose journal holds calls in JSON.

    Needs of the emulator:
        app._dispatch_service_request: handles a call of any service; one of Kinesis in CBOR is put into JSON first.
    """
    from ministack import app

    require(app, "_dispatch_service_request")
    app._dispatch_service_request = speaking(app._dispatch_service_request)


def to_json(body: bytes) -> bytes:
    """The request's body as JSON.

    Raises:
        NotCbor: it cannot be read.
    """
    if not body:
        return body
    try:
        found = cbor2.loads(body, semantic_decoders={_EPOCH_TAG: lambda millis, _: millis / 1000})
        return json.dumps(found, default=_text).encode()
    except (cbor2.CBORError, EOFError, TypeError, ValueError, RecursionError) as error:
        raise NotCbor(f"not CBOR: {error}") from None


def from_json(body: bytes) -> bytes:
    """An answer's JSON as CBOR; an empty one stays empty."""
    return cbor2.dumps(_written(json.loads(body))) if body else body


def event(message: bytes) -> bytes:
    """A message of an event stream, its payload as CBOR instead of JSON."""
    length, headers_length, _ = _MESSAGE.unpack_from(message)
    start = _MESSAGE.size
    headers = message[start : start + headers_length].replace(_JSON_HEADER, _CBOR_HEADER)
    return event_message(headers, from_json(message[start + headers_length : length - 4]))


def event_message(headers: bytes, payload: bytes) -> bytes:
    """A message of `application/vnd.amazon.eventstream`; `headers` are encoded already."""
    prelude = struct.pack(">II", _MESSAGE.size + len(headers) + len(payload) + 4, len(headers))
    head = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers + payload
    return head + zlib.crc32(head).to_bytes(4, "big")


def speaking(dispatch: Dispatch) -> Dispatch:
    """The emulator's dispatcher of calls, for CBOR too.

    Args:
        dispatch: takes method, path, headers, body, and more; signatures are checked against the bytes as sent.
    """

    async def put_right(method: str, path: str, headers: Mapping[str, str], body: bytes, *rest: Any) -> Response:
        is_kinesis = headers.get("x-amz-target", "").startswith("Kinesis_")
        if not is_kinesis or not headers.get("content-type", "").startswith(CBOR):
            return await dispatch(method, path, headers, body, *rest)
        try:
            asked = to_json(body)
        except NotCbor as error:
            refused = {"__type": "SerializationException", "message": str(error)}
            return 400, {"Content-Type": CBOR}, cbor2.dumps(refused)
        named = {**headers, "content-type": JSON}
        return _answered(*await dispatch(method, path, named, asked, *rest))

    return put_right


def _answered(status: int, headers: dict[str, str], body: Any) -> Response:
    if not hasattr(body, "runner"):
        raw = body.encode() if isinstance(body, str) else body
        return status, {**headers, "Content-Type": CBOR}, from_json(raw)
    run = body.runner

    async def run_in_cbor(send: Send, receive: Any) -> None:
        async def translated(part: dict[str, Any]) -> None:
            await send(part | {"body": event(part["body"])} if part.get("body") else part)

        await run(translated, receive)

    return status, headers, type(body)(run_in_cbor)


def _written(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _written(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_written(item, name) for item in value]
    if name in TIMES and isinstance(value, int | float):
        return round(value * 1000)
    return base64.b64decode(value) if name in BLOBS and isinstance(value, str) else value


def _text(value: Any) -> str:
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode()
    raise TypeError(f"a call holds no {type(value).__name__}")
