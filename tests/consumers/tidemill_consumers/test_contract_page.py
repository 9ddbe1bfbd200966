"""docs/contract.md says what the code does: its fields, and what becomes of each record of its table."""

import re
from base64 import b64encode

import msgspec
import pytest

from tests.described import STREAM_ARN
from tests.tree import ROOT
from tidemill.contract.request import Request, decode
from tidemill_consumers.codec.events import EventRecord, Intake, intake
from tidemill_consumers.core.batch import Window
from tidemill_consumers.core.stage.totals import window_of
from tidemill_consumers.core.streams import Stream, life_of

PAGE = (ROOT / "docs/contract.md").read_text()
TABLE = PAGE.partition("## What becomes of a record")[2].partition("\n## ")[0]
RECORDS = list(re.findall(r"^\| `(.*?)` \| (.*) \|$", TABLE, re.MULTILINE))
"""Each record of the table, and what becomes of it."""


def test_each_field_is_listed_and_no_other() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Every field")[2].partition("\n## ")[0], re.MULTILINE)
    names = ["v", *(field.encode_name for field in msgspec.structs.fields(Request))]
    assert sorted(listed) == sorted(names)
    required = {field.encode_name for field in msgspec.structs.fields(Request) if field.required}
    for name in names:
        [must] = re.findall(rf"^\| `{name}` \| .* \| ([^|]*) \|$", PAGE, re.MULTILINE)
        assert (must == "yes") == (name in required), name


def test_the_examples_are_requests() -> None:
    [example, large, of_stage] = re.findall(r"^    (\{\"v\":1,\"id\":.*\n.*\}\})$", PAGE, re.MULTILINE)
    request = decode(example.encode())
    assert (request.key, request.writer is not None, request.counter, request.data) == (
        "item/42",
        True,
        1,
        {"count": 1},
    )
    ref = decode(large.encode()).ref
    assert ref is not None
    assert (ref.object[:16], ref.bytes) == ("uploads/phone-1/", 1048576)
    window = decode(of_stage.encode())
    assert window_of(window, 1796033711.0) == Window("20261130T101500Z-4f2a9c", 1796033710, 57)


def read(payload: bytes) -> Intake:
    record: EventRecord = {
        "eventID": "shardId-000000000000:7",
        "eventSourceARN": STREAM_ARN,
        "kinesis": {
            "partitionKey": "k",
            "sequenceNumber": "7",
            "data": b64encode(payload).decode(),
            "approximateArrivalTimestamp": 1000.0,
        },
    }
    return intake({"Records": [record]}, Stream(STREAM_ARN, (life_of(STREAM_ARN, 0.0),)))


def test_there_are_records() -> None:
    assert len(RECORDS) > 10


@pytest.mark.parametrize(("payload", "fate"), RECORDS)
def test_of_a_record_becomes_what_is_said(payload: str, fate: str) -> None:
    found = read(payload.encode())
    if fate.startswith("quarantined"):
        assert not found.arrivals
        [refused] = found.unreadable
        assert (refused.asker is not None) == fate.startswith("quarantined, and answered"), refused
        return
    [arrival] = found.arrivals
    assert arrival.key == "k"
    assert (arrival.request.cmd == "event.track") == fate.startswith("an event")
    if data := re.search(r"with `(.*)` as its data", fate):
        assert arrival.request.data == msgspec.json.decode(data[1])
    assert (arrival.request.client is None) == fate.startswith("an event")
