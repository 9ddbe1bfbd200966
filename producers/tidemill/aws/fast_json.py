"""Writes and reads the JSON of large boto3 calls with msgspec, which saves four tenths of the consumer's time.

Room: SDK, no I/O. botocore still does endpoints, signing, sending, checksums, retries and errors. In place of the large
contents it serialises an empty list and parses an empty object.

    before-parameter-build   encodes the parameters as JSON, and sets the contents aside
    before-call              puts the contents back, and makes the JSON the request's body
    before-parse             decodes the answer's JSON, and leaves botocore an empty object

boto3 does not document before-parse. If that event does not come, or the answer is unusual, botocore parses the answer
itself. https://docs.aws.amazon.com/boto3/latest/guide/events.html
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from pybase64 import b64encode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.client import BaseClient

Client = TypeVar("Client", bound="BaseClient")

UNUSUAL = (b'"BS"', b'":null', b'": null')
"""Signs of answers that are left to botocore: it decodes binary values in sets and drops members that are null. Nulls
in the lists of kept outcomes, which are JSON within strings, do not match. Single binary values stay base64 texts."""

RECORDS = "Records"
PUTS = {"PutRecords": RECORDS}
"""The operation of Kinesis -> the parameter with the large contents."""

BATCHES = {"BatchGetItem": "RequestItems", "BatchExecuteStatement": "Statements"}
"""The operations of DynamoDB -> the parameter with the large contents."""

CALL = "tidemill.call"
"""Where a call's context has the contents that are set aside."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class _Call(NamedTuple):
    """A call that botocore is processing: its JSON, its parameters and the contents set aside."""

    body: bytes
    params: dict[str, Any]
    contents: Any


def use_msgspec_json(client: Client, calls: Mapping[str, str]) -> Client:
    """Makes the client use msgspec for these calls, and returns it. The client must not validate parameters.

    Args:
        client: a boto3 client of Kinesis or DynamoDB.
        calls: operation -> the parameter with the large contents: `PUTS` or `BATCHES`.
    """
    events, service = client.meta.events, client.meta.service_model.service_id.hyphenize()
    for operation, name in calls.items():
        events.register_last(f"before-parameter-build.{service}.{operation}", partial(_put_aside, name))
        events.register_first(f"before-call.{service}.{operation}", partial(_put_back, name))
        events.register(f"before-parse.{service}.{operation}", on_before_parse)
    return client


def _put_aside(name: str, params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    contents: Any = params.get(name)
    context[CALL] = _Call(_encode(_with_texts(params) if name == RECORDS else params), params, contents)
    if isinstance(contents, list):
        params[name] = []
    elif isinstance(contents, dict):
        params[name] = {table: {"Keys": []} for table in contents}  # endpoints may depend on the tables


def _with_texts(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of PutRecords, with data as base64 by pybase64: msgspec's takes six times as long."""
    records = [{**one, "Data": msgspec.Raw(b'"%b"' % b64encode(one["Data"]))} for one in params[RECORDS]]
    return {**params, RECORDS: records}


def _put_back(name: str, params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    call: _Call = context.pop(CALL)
    call.params[name] = call.contents  # the caller's parameters are unchanged
    params["body"] = call.body


def on_before_parse(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Reads a good answer in botocore's place. A handler of `before-parse`."""
    answer = read(response_dict["body"]) if response_dict["status_code"] == 200 else None
    if answer is not None:
        customized_response_dict.update(answer)
        response_dict["body"] = b"{}"


def read(body: bytes) -> dict[str, Any] | None:
    """What a good answer says; None if botocore must read it."""
    if any(one in body for one in UNUSUAL):
        return None
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None  # damaged: botocore detects it by the checksum, if there is one, and retries
    return answer if isinstance(answer, dict) else None
