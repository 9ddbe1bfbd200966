"""Large calls with their JSON written and read by msgspec, which takes four tenths of the consumer's time away.

Room: SDK, no I/O. Endpoints, signing, sending, checksums, retries and errors stay botocore's. It is given an empty
list to serialise and an empty object to parse, in place of the contents.

    before-parameter-build   the parameters become JSON, and are put aside
    before-call              they are put back, and the JSON becomes the request's body
    before-parse             the answer's JSON is read, and taken out

The last is none that boto3 documents: where it does not come, or holds what is not read here, botocore parses the
answer itself. https://docs.aws.amazon.com/boto3/latest/guide/events.html
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

UNUSUAL = (b'"B"', b'"BS"', b'":null', b'": null')
"""What botocore does not hand on as it stands in the answer: it decodes binary values and leaves out members that are
null. Kept outcomes have nulls too, in lists within texts: those are handed on as they are."""

RECORDS = "Records"
PUTS = {"PutRecords": RECORDS}
"""The call of Kinesis, with the parameter that has its contents."""

BATCHES = {"BatchGetItem": "RequestItems", "BatchExecuteStatement": "Statements"}
"""Those of DynamoDB."""

_CALL = "tidemill.call"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class _Call(NamedTuple):
    """A call on its way through botocore."""

    body: bytes
    params: dict[str, Any]
    contents: Any


def use_msgspec_json(client: Client, calls: Mapping[str, str]) -> Client:
    """The client, whose calls take a fraction of the time from now on. It must not validate parameters.

    Args:
        client: a boto3 client of Kinesis or DynamoDB.
        calls: the operations, each with the parameter that has its contents: `PUTS` or `BATCHES`.
    """
    events, service = client.meta.events, client.meta.service_model.service_id.hyphenize()
    for operation, name in calls.items():
        events.register_last(f"before-parameter-build.{service}.{operation}", partial(_put_aside, name))
        events.register_first(f"before-call.{service}.{operation}", partial(_put_back, name))
        events.register(f"before-parse.{service}.{operation}", _read)
    return client


def _put_aside(name: str, params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    contents: Any = params.get(name)
    context[_CALL] = _Call(_encode(_with_texts(params) if name == RECORDS else params), params, contents)
    if isinstance(contents, list):
        params[name] = []
    elif isinstance(contents, dict):
        params[name] = {table: {"Keys": []} for table in contents}  # endpoints may depend on the tables


def _with_texts(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters of PutRecords, with data as JSON has it: msgspec's own base64 takes six times as long."""
    records = [{**one, "Data": msgspec.Raw(b'"%b"' % b64encode(one["Data"]))} for one in params[RECORDS]]
    return {**params, RECORDS: records}


def _put_back(name: str, params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    call: _Call = context.pop(_CALL)
    call.params[name] = call.contents  # whoever kept them finds them whole
    params["body"] = call.body


def _read(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    body = response_dict["body"]
    if response_dict["status_code"] != 200 or any(one in body for one in UNUSUAL):
        return
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return  # damaged on the way: botocore knows it by the checksum, if there is one, and asks again
    if isinstance(answer, dict):
        customized_response_dict.update(answer)
        response_dict["body"] = b"{}"
