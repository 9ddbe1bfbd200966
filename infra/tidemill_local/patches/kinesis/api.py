"""The shape of the emulator's Kinesis handlers: a request in, an answer out, a stream as its dict.

Room: local platform, pure. The patches of the emulator's Kinesis keep to this shape.
Tests: tests/infra/tidemill_local/patches/kinesis/test_stream_calls.py.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Request: TypeAlias = dict[str, Any]
"""The parsed body of a call, which is authenticated already."""

Response: TypeAlias = tuple[int, dict[str, str], bytes]
"""Status, headers and body, as the emulator's handlers return them."""

Handler: TypeAlias = "Callable[[Request], Response]"

Stream: TypeAlias = dict[str, Any]
"""A stream as the emulator holds it. Its `shards` map ids to shards, which are dicts too."""

Resolve: TypeAlias = "Callable[[Request], tuple[str, Stream | None]]"
"""Finds the stream that a request names: the name or ARN in it, and the stream if there is one."""

_JSON = "application/x-amz-json-1.1"


class Refused(Exception):
    """The service refuses a call: the error's code, and the message in AWS's words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def answer(self) -> Response:
        """The error as an answer."""
        # Some SDKs read the header, some the body.
        body = {"__type": self.code, "message": str(self)}
        return 400, {"Content-Type": _JSON, "x-amzn-errortype": self.code}, json.dumps(body).encode()


def success(body: dict[str, Any]) -> Response:
    """An answer that carries `body`."""
    return 200, {"Content-Type": _JSON}, json.dumps(body).encode()


def handler(do: Callable[[Request], dict[str, Any]]) -> Handler:
    """The handler that answers with the result of `do`, or with its refusal."""

    def handle(request: Request) -> Response:
        try:
            return success(do(request))
        except Refused as refused:
            return refused.answer()

    return handle


def found(resolve: Resolve, request: Request) -> Stream:
    """The stream that a request names.

    Raises:
        Refused: there is none.
    """
    name, stream = resolve(request)
    if stream is None:
        raise Refused("ResourceNotFoundException", f"Stream {name} not found.")
    return stream


def record_size(record: Mapping[str, str]) -> int:
    """The bytes of a record that count, as put or as stored: its data, decoded from base64, and its partition key."""
    data = record.get("Data", "")
    return len(data) * 3 // 4 - data[-2:].count("=") + len(record["PartitionKey"].encode())


def place(stream: Stream) -> str:
    """The stream as AWS's messages name it."""
    return f"stream {stream['StreamName']} under account {account(stream)}"


def account(stream: Stream) -> str:
    """The account that owns the stream."""
    return str(stream["StreamARN"].split(":")[4])


def invalid(field: str, value: object, constraint: str) -> Refused:
    """The refusal of a parameter's value, in the words of AWS's validation."""
    return Refused(
        "ValidationException",
        f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: Member must "
        f"{constraint}",
    )
