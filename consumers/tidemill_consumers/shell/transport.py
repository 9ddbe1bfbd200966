"""DynamoDB's batch calls with their JSON written and read by msgspec: botocore takes most of a batch's time for it.

Room: shell, no I/O. Endpoints, signing, sending, checksums, retries and errors stay botocore's. It is given an empty
list to serialise, and an empty object to parse, in place of the contents, and never knows.

    before-parameter-build   the parameters are put aside, as JSON, and emptied
    before-call              the JSON becomes the request's body
    before-parse             the answer's body is read, and emptied

The last is none that boto3 documents: where it does not come, or holds what is not read here, botocore parses the
answer itself. https://docs.aws.amazon.com/boto3/latest/guide/events.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

UNUSUAL = (b'"B"', b'"BS"', b"null")
"""What botocore does not hand on as it stands in the answer: it decodes binary values and leaves out nulls."""

_BODY = "tidemill.body"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class _Batch(NamedTuple):
    """A call, and its parameter that has the contents."""

    operation: str
    contents: str


BATCHES = (_Batch("BatchGetItem", "RequestItems"), _Batch("BatchExecuteStatement", "Statements"))


def quicken(dynamodb: DynamoDBClient) -> DynamoDBClient:
    """The client, whose batch calls take a tenth of the time from now on. It must not validate parameters.

    Whoever listens to `before-parameter-build` too sees them whole, and has to copy what is wanted later.
    """
    events = dynamodb.meta.events
    for batch in BATCHES:
        events.register_last(f"before-parameter-build.dynamodb.{batch.operation}", _put_aside)
        events.register(f"before-call.dynamodb.{batch.operation}", _put_back)
        events.register(f"before-parse.dynamodb.{batch.operation}", _read)
    return dynamodb


def _put_aside(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    context[_BODY] = _encode(params)
    for batch in BATCHES:
        contents = params.get(batch.contents)
        if isinstance(contents, list):
            params[batch.contents] = []
        elif contents is not None:
            # The tables' names stay: endpoints are found by them.
            params[batch.contents] = {table: {"Keys": []} for table in contents}


def _put_back(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    params["body"] = context.pop(_BODY)


def _read(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    body = response_dict["body"]
    if response_dict["status_code"] != 200 or any(one in body for one in UNUSUAL):
        return
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return  # damaged on the way: botocore's checksum tells, and it asks again
    if isinstance(answer, dict):
        customized_response_dict.update(answer)
        response_dict["body"] = b"{}"
