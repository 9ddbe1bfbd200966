"""Writes and reads SNS' large boto3 calls without botocore's form and XML, which saves a sixth of an answered batch.

Room: SDK, no I/O. botocore still does endpoints, signing, sending, retries and errors. In place of the messages it
serialises an empty list, and in place of the answer it parses a short one.

    before-parameter-build   writes the call's form, and sets the messages aside
    before-call              puts the messages back, and makes the form the request's body
    before-parse             reads the answer, and leaves botocore one without entries

A call or an answer of another shape than `replies.py` makes and SNS sends is left to botocore, and so is the answer
where boto3 has no before-parse, which it does not document. The benchmark `orders_zipf_5000` shows the gain.
https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, quote_plus

from tidemill.aws.fast_json import CALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_boto3_sns import SNSClient

ENTRIES = "PublishBatchRequestEntries"
VERSION = "2010-03-31"

_FIRST = f"Action=PublishBatch&Version={VERSION}&TopicArn="
_OF_ENTRY = ("Id", "Message", "MessageAttributes")
_OF_ATTRIBUTE = ("DataType", "StringValue")
_VALUES = 5
"""Values of an entry: its id, its message, and its attribute's name, type and text."""

_BETWEEN = "\n"
"""Stands between values that are quoted together; a call with a value that has one is left to botocore."""

_CODES = [(char, quote_plus(char)) for char in map(chr, range(32, 127)) if quote_plus(char) != char]
_CODES.sort(key=lambda one: (one[0] != "%", one[0] == " "))  # the signs that codes have: % before all others, + last
_NOT_ASCII = re.compile("[^\x00-\x7f]+")


class _Call(NamedTuple):
    """A call that botocore is processing: its form, its parameters and the messages set aside."""

    body: bytes
    params: dict[str, Any]
    entries: Any


def use_fast_sns(client: SNSClient) -> SNSClient:
    """Makes the client quick at PublishBatch, and returns it. The client must not validate parameters."""
    events = client.meta.events
    events.register_last("before-parameter-build.sns.PublishBatch", _put_aside)
    events.register_first("before-call.sns.PublishBatch", _put_back)
    events.register("before-parse.sns.PublishBatch", on_before_parse)
    return client


def _put_aside(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    body = form(params)
    if body is not None:
        context[CALL] = _Call(body, params, params[ENTRIES])
        params[ENTRIES] = []


def _put_back(params: dict[str, Any], context: dict[str, Any], **_: object) -> None:
    call: _Call | None = context.pop(CALL, None)
    if call is not None:
        call.params[ENTRIES] = call.entries  # the caller's parameters are unchanged
        params["body"] = call.body


def form(params: dict[str, Any]) -> bytes | None:
    """The parameters of PublishBatch as botocore's form; None if they are of another shape than the usual."""
    try:
        topic, entries = params["TopicArn"], params[ENTRIES]
        if len(params) != 2 or not entries:
            return None
        values = [topic, *[value for entry in entries for value in _values(entry)]]
        text = _BETWEEN.join(values)
        if text.count(_BETWEEN) != len(values) - 1 or not text.replace(_BETWEEN, "").isprintable():
            return None
    except (KeyError, TypeError, ValueError):
        return None
    return _filled(quoted(text).split(quote_plus(_BETWEEN)))


def _values(entry: dict[str, Any]) -> Sequence[str]:
    """The values of an entry.

    Raises:
        KeyError, TypeError, ValueError: it is of another shape.
    """
    ((name, attribute),) = entry["MessageAttributes"].items()
    if tuple(entry) != _OF_ENTRY or tuple(attribute) != _OF_ATTRIBUTE:
        raise ValueError
    return entry["Id"], entry["Message"], name, attribute["DataType"], attribute["StringValue"]


def _filled(values: Sequence[str]) -> bytes:
    """The form of quoted values."""
    parts = [_FIRST, values[0]]
    for place, first in enumerate(range(1, len(values), _VALUES), 1):
        entry = f"&{ENTRIES}.member.{place}."
        attribute = f"{entry}MessageAttributes.entry.1."
        entry_id, message, name, kind, text = values[first : first + _VALUES]
        parts.append(
            f"{entry}Id={entry_id}{entry}Message={message}{attribute}Name={name}"
            f"{attribute}Value.DataType={kind}{attribute}Value.StringValue={text}"
        )
    return "".join(parts).encode()


def quoted(text: str) -> str:
    """The text as a form has it: `quote_plus` for printable characters and line breaks, in a tenth of its time."""
    for char, code in _CODES:
        text = text.replace(char, code)
    text = text.replace(_BETWEEN, "%0A")
    return text if text.isascii() else _NOT_ASCII.sub(lambda found: quote(found[0]), text)


_NAME = rb"([\w-]+)"
_ID, _MESSAGE_ID = rb"<Id>%b</Id>" % _NAME, rb"<MessageId>%b</MessageId>" % _NAME
_MEMBER = rb"\s*<member>\s*(?:%b\s*%b|%b\s*%b)\s*</member>" % (_MESSAGE_ID, _ID, _ID, _MESSAGE_ID)
_NONE_FAILED = rb"\s*(<Failed\s*/>|<Failed>\s*</Failed>)?\s*"
_ANSWER = re.compile(
    rb'\s*<PublishBatchResponse xmlns="https?://sns\.amazonaws\.com/doc/2010-03-31/">\s*<PublishBatchResult>'
    rb"%b<Successful>((?:%b)+)\s*</Successful>%b</PublishBatchResult>"
    rb"\s*<ResponseMetadata>\s*<RequestId>%b</RequestId>\s*</ResponseMetadata>\s*</PublishBatchResponse>\s*"
    % (_NONE_FAILED, re.sub(rb"\(\[", rb"(?:[", _MEMBER), _NONE_FAILED, _NAME)
).fullmatch
_MEMBERS = re.compile(_MEMBER).findall
_REST = (
    b"<PublishBatchResponse><PublishBatchResult/><ResponseMetadata><RequestId>%b</RequestId></ResponseMetadata>"
    b"</PublishBatchResponse>"
)


def on_before_parse(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Reads a good answer in botocore's place. A handler of `before-parse`."""
    found = read(response_dict["body"]) if response_dict["status_code"] == 200 else None
    if found is not None:
        answer, request_id = found
        customized_response_dict.update(answer)
        response_dict["body"] = _REST % request_id.encode()


def read(body: bytes) -> tuple[dict[str, Any], str] | None:
    """What a good answer says, and the request's id; None if botocore must read it."""
    found = _ANSWER(body)
    if found is None:
        return None
    before, members, after, request_id = found.groups()
    answer: dict[str, Any] = {} if before is None and after is None else {"Failed": []}
    answer["Successful"] = [
        {"MessageId": (one or other_one).decode(), "Id": (name or other_name).decode()}
        for one, name, other_name, other_one in _MEMBERS(members)
    ]
    return answer, request_id.decode()
