"""From Lambda's event to arrivals: whatever the bytes are, nothing raises and nothing is dropped."""

import gzip
import json
from base64 import b64encode
from hashlib import md5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.described import STREAM_ARN
from tidemill.contract.aggregation import MAGIC, UserRecord, pack
from tidemill.contract.attempts import marked, marked_key
from tidemill.contract.request import MAX_KEY_CHARACTERS, MAX_REQUEST_BYTES, TRACK, Json, Request, encode
from tidemill_consumers.codec.events import EventRecord, Intake, intake
from tidemill_consumers.core.batch import Arrival, Asker, Position, Unreadable, with_request
from tidemill_consumers.core.streams import Stream, life_of
from tidemill_load.workloads.hostile import HostileRecord, hostile_records

ID = "shardId-000000000006"
STREAM = Stream(STREAM_ARN, (life_of(STREAM_ARN, 1545000000.0),))
SHARD = f"{STREAM.lives[0].name}/{ID}"
SEQUENCE = 49590338271490256608559692538361571095921575989136588898


def record(data: bytes, key: str = "k", sequence: int = SEQUENCE, arrived: float = 1545084650.987) -> EventRecord:
    return {
        "eventID": f"{ID}:{sequence}",
        "eventSourceARN": STREAM_ARN,
        "kinesis": {
            "partitionKey": key,
            "sequenceNumber": str(sequence),
            "data": b64encode(data).decode(),
            "approximateArrivalTimestamp": arrived,
        },
    }


def read(*records: EventRecord) -> Intake:
    return intake({"Records": list(records)}, STREAM)


def arrival(data: bytes, key: str = "k") -> Arrival:
    batch = read(record(data, key))
    assert batch.unreadable == ()
    (found,) = batch.arrivals
    return found


def unreadable(data: bytes, key: str = "k") -> Unreadable:
    batch = read(record(data, key))
    assert batch.arrivals == ()
    (found,) = batch.unreadable
    return found


def request(n: int = 1, key: str | None = "k") -> Request:
    return Request(id=f"i{n}", cmd="content.view", key=key, client="c", writer="w", counter=n, at=7, data={"n": n})


def test_a_request_arrives_with_its_place_in_the_stream() -> None:
    payload = encode(request())
    place = Position(SEQUENCE, 0)
    assert arrival(payload) == Arrival(SHARD, place, 1545084650.987, "k", request(), payload, None, "requests")


def test_lambdas_own_example_arrives_as_text() -> None:
    batch = intake(
        json.loads("""{"Records": [{
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": "1",
                "sequenceNumber": "49590338271490256608559692538361571095921575989136588898",
                "data": "SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==",
                "approximateArrivalTimestamp": 1545084650.987
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": "shardId-000000000006:49590338271490256608559692538361571095921575989136588898",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-role",
            "awsRegion": "us-east-2",
            "eventSourceARN": "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream"
        }]}"""),
        STREAM,
    )
    place = f"{SHARD}-{SEQUENCE}-0"
    told = Request(id=place, cmd=TRACK, key="1", data={"text": "Hello, this is a test."})
    (found,) = batch.arrivals
    at, text = Position(SEQUENCE, 0), b"Hello, this is a test."
    assert found == with_request(Arrival(SHARD, at, 1545084650.987, "1", told, text, None, "requests"), told)
    assert found.encoded == encode(told)


def test_an_aggregates_requests_arrive_one_by_one_in_their_order_under_their_own_keys() -> None:
    payloads = [encode(request(n, key=f"k{n % 2}")) for n in range(4)]
    aggregate = pack(UserRecord(f"k{n % 2}", payload) for n, payload in enumerate(payloads))
    batch = read(record(aggregate, key="a lane"))
    assert [one.position for one in batch.arrivals] == [Position(SEQUENCE, sub) for sub in range(4)]
    assert [one.key for one in batch.arrivals] == ["k0", "k1", "k0", "k1"]
    assert [one.payload for one in batch.arrivals] == payloads
    assert [one.request for one in batch.arrivals] == [request(n, key=f"k{n % 2}") for n in range(4)]


def test_what_is_unreadable_in_an_aggregate_leaves_the_places_of_the_others() -> None:
    aggregate = pack([UserRecord("k", encode(request(1))), UserRecord("k", b"\xff"), UserRecord("k", b"text")])
    batch = read(record(aggregate))
    assert [(one.position.sub, one.request.cmd) for one in batch.arrivals] == [(0, "content.view"), (2, TRACK)]
    assert [(one.position.sub, one.payload) for one in batch.unreadable] == [(1, b"\xff")]


def test_the_place_makes_the_id_of_what_has_none() -> None:
    aggregate = pack([UserRecord("k", b"same"), UserRecord("k", b"same")])
    batch = read(record(aggregate), record(b"same", sequence=SEQUENCE + 1))
    assert [one.request.id for one in batch.arrivals] == [
        f"{SHARD}-{SEQUENCE}-0",
        f"{SHARD}-{SEQUENCE}-1",
        f"{SHARD}-{SEQUENCE + 1}-0",
    ]


# ── Re-sends ─────────────────────────────────────────────────────────────────────────────────────────────────


def bare(one: Arrival) -> Arrival:
    return replace(one, tried=None)


def test_a_marked_aggregate_s_requests_are_all_re_sends_and_otherwise_as_at_first() -> None:
    data = pack([UserRecord("a", encode(request(1, "a"))), UserRecord("b", encode(request(2, "b")))])
    first, again = read(record(data, "lane-1")), read(record(data, marked_key("lane-1", 1545084600123)))
    assert [one.tried for one in first.arrivals] == [None, None]
    assert [one.tried for one in again.arrivals] == [1545084600.123, 1545084600.123]
    assert tuple(map(bare, again.arrivals)) == first.arrivals


def test_a_marked_plain_record_is_the_first_attempt_s_but_for_the_time() -> None:
    payload = encode(request())
    again = arrival(marked(payload, 1545084600123))
    assert again.tried == 1545084600.123
    assert bare(again) == arrival(payload)


def test_a_plain_record_s_key_is_no_mark() -> None:
    key = marked_key("k", 5)
    assert arrival(encode(request(key=key)), key).tried is None


def test_a_request_that_says_so_itself_is_a_re_send_with_the_first_attempt_s_encoding() -> None:
    payload = encode(request())
    for said in (payload.replace(b'"data"', b'"tried":5000,"data"'), payload[:-1] + b',"tried":5000}'):
        again = arrival(said)
        assert (again.tried, again.request, again.encoded) == (5.0, request(), payload)
        assert again.payload == said, "what is quarantined is what came"


def test_of_two_times_the_lower_counts() -> None:
    inner = encode(request()).replace(b'"data"', b'"tried":7000,"data"')
    assert arrival(marked(inner, 5000)).tried == 5.0
    assert arrival(marked(inner, 9000)).tried == 7.0
    aggregate = pack([UserRecord("k", inner), UserRecord("k", encode(request(2)))])
    (first, second) = read(record(aggregate, marked_key("lane-1", 8000))).arrivals
    assert (first.tried, second.tried) == (7.0, 8.0)


def test_nothing_known_of_the_first_attempt_is_a_re_send_too() -> None:
    assert arrival(marked(encode(request()), 0)).tried == 0.0


def test_the_largest_request_may_be_marked() -> None:
    large = Request(id="i", cmd="c", key="k", data={"x": ""})
    large.data["x"] = "x" * (MAX_REQUEST_BYTES - len(encode(large)))
    assert arrival(marked(encode(large), 5)).tried == 0.005
    assert unreadable(encode(large) + b" ").reason.startswith(f"{MAX_REQUEST_BYTES + 1} bytes")


def test_json_of_others_that_begins_like_a_mark_keeps_its_members() -> None:
    event = arrival(b'{"tried":5,"temperature":20}')
    assert (event.request.cmd, event.request.data, event.tried) == (TRACK, {"tried": 5, "temperature": 20}, None)


def test_a_marked_record_that_is_no_request_names_whom_to_answer() -> None:
    broken = marked(encode(request(key="other")), 5)
    assert unreadable(broken).asker == Asker("c", "i1")


@pytest.mark.parametrize("marks", [{}, {3: 5000}, {0: 1, 299: 2}])
def test_one_re_send_among_many_changes_no_other(marks: dict[int, int]) -> None:
    payloads = [encode(request(n)) for n in range(300)]
    said = [
        payload.replace(b'"data"', b'"tried":%d,"data"' % marks[n]) if n in marks else payload
        for n, payload in enumerate(payloads)
    ]
    first, again = (read(record(pack([UserRecord("k", one) for one in each]))) for each in (payloads, said))
    assert [one.tried for one in again.arrivals] == [marks[n] / 1000 if n in marks else None for n in range(300)]
    assert [one.encoded for one in again.arrivals] == [one.encoded for one in first.arrivals]
    assert [one.request for one in again.arrivals] == [one.request for one in first.arrivals]


# ── Batches ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_batch_keeps_the_streams_order_and_counts_kinesis_records() -> None:
    aggregate = pack([UserRecord("k", encode(request(1))), UserRecord("k", encode(request(2)))])
    batch = read(
        record(aggregate, sequence=9), record(b"\xff", sequence=10), record(encode(request(3)), sequence=11, arrived=5)
    )
    assert batch.records == 3
    assert [one.position for one in batch.arrivals] == [Position(9, 0), Position(9, 1), Position(11, 0)]
    assert [one.position for one in batch.unreadable] == [Position(10, 0)]
    assert batch.arrivals[2].arrived == 5


def test_a_corrupt_aggregate_is_unreadable_as_a_whole() -> None:
    data = bytearray(pack([UserRecord("k", encode(request()))]))
    data[10] ^= 1
    found = unreadable(bytes(data), key="a lane")
    assert found == Unreadable(
        SHARD,
        Position(SEQUENCE, 0),
        1545084650.987,
        "a lane",
        bytes(data),
        "corrupt aggregate: the MD5 does not match",
        None,
        "requests",
    )


def test_a_request_without_a_key_takes_the_partition_key() -> None:
    assert arrival(encode(request(key=None)), key="p").request == request(key="p")
    (found,) = read(record(pack([UserRecord("p", encode(request(key=None)))]), key="a lane")).arrivals
    assert (found.key, found.request) == ("p", request(key="p"))


def test_a_request_sent_under_another_key_is_unreadable() -> None:
    found = unreadable(encode(request(key="mine")), key="yours")
    assert found.reason == "misrouted: its key is 'mine', its partition key 'yours'"
    assert found.key == "yours"


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
def test_a_request_may_be_indented_and_end_in_newlines(indent: int | None, end: bytes) -> None:
    fields = {"v": 1, "id": "a", "cmd": "b", "key": "k", "data": {"c": [1, 2]}}
    found = arrival(json.dumps(fields, indent=indent).encode() + end)
    assert found.request == Request(id="a", cmd="b", key="k", data={"c": [1, 2]})


@pytest.mark.parametrize(
    ("payload", "data"),
    [
        (b'{"name": "pageView", "n": 1}', {"name": "pageView", "n": 1}),
        (b"{}", {}),
        (b"[1, 2]", {"value": [1, 2]}),
        (b'"session started"', {"value": "session started"}),
        (b"12.5", {"value": 12.5}),
        (b"null", {"value": None}),
        (b"caf\xc3\xa9 at nine", {"text": "café at nine"}),
        (b" ", {"text": " "}),
        (b"NaN", {"text": "NaN"}),
        (b'"unterminated', {"text": '"unterminated'}),
        (b"1" * 5000, {"text": "1" * 5000}),
    ],
)
def test_what_is_no_request_and_claims_to_be_none_becomes_an_event(payload: bytes, data: Json) -> None:
    found = arrival(payload)
    assert found.request == Request(id=f"{SHARD}-{SEQUENCE}-0", cmd=TRACK, key="k", data=data)
    assert found.payload == payload


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "truncated"),
        (b"\xff\xfe", "malformed"),
        (gzip.compress(b'{"messageType":"DATA_MESSAGE"}', mtime=0), "compressed with gzip"),
        (b'{"v":1,"id":"a","cmd":"b","da', "truncated"),
        (b'{"v":1,"cmd":"b","data":{}}', "missing required field `id`"),
        (b'{"v":1,"id":"a","cmd":7,"data":{}}', "Expected `str`"),
        (b'{"v":2,"id":"a","cmd":"b","data":{}}', "Invalid value 2"),
        (b'{"v":1,"id":"a","cmd":"","data":{}}', "length >= 1"),
        (b'{"v":1,"id":"a","cmd":"b","n":-1,"data":{}}', ">= 0"),
        (b'{"v":1,"id":"a","cmd":"b","data":{},"cmd":"c"}', "twice"),
        (b'{"v":1,"id":"a","cmd":"b","data":{"x":NaN}}', "malformed"),
        (b'{"v":1,"id":"a","cmd":"b","data":{"x":1e999}}', "out of range"),
        (b'{"v":1,"id":"a","cmd":"b","data":{"x":"\\ud800"}}', "truncated"),
        (b'{"v":1,"id":"a","cmd":"b","data":{"x":' + b"[" * 40 + b"]" * 40 + b"}}", "nested deeper than 32"),
        (b"[" * 100_000, "deeper|Expected"),
        (b'{"a":1,"a":2}', "missing required field"),
        (b"[1,", "array"),
        (b"{" + b" " * MAX_REQUEST_BYTES + b"}", "262146 bytes"),
        (b"x" * (MAX_REQUEST_BYTES + 1), "262145 bytes"),
    ],
)
def test_what_means_to_be_a_request_and_is_none_is_unreadable(payload: bytes, reason: str) -> None:
    found = unreadable(payload)
    assert found.payload == payload
    with pytest.raises(ValueError, match=reason):
        raise ValueError(found.reason)


@pytest.mark.parametrize(
    "payload",
    [
        encode(request(key="mine")),
        b'{"v":2,"cmd":"x","id":"i1","client":"c"}',
        b'{"v":1,"id":"i1","cmd":7,"client":"c","data":{}}',
        b'{"v":1,"id":"i1","cmd":"b","client":"c","data":{},"cmd":"c"}',
        b'{"v":1,"id":"i1","cmd":"b","client":"c","data":{"x":' + b"[" * 40 + b"]" * 40 + b"}}",
        b'{"id":"i1","client":"c","x":"' + b"x" * MAX_REQUEST_BYTES + b'"}',
    ],
    ids=["misrouted", "version", "type", "twice", "deep", "large"],
)
def test_what_is_none_and_names_a_client_tells_whom_to_answer(payload: bytes) -> None:
    assert unreadable(payload, key="yours").asker == Asker("c", "i1")


@pytest.mark.parametrize("key", ["", "k" * (MAX_KEY_CHARACTERS + 1)])
def test_a_request_under_a_key_that_no_item_can_have_tells_whom_to_answer(key: str) -> None:
    (found,) = read(record(pack([UserRecord(key, encode(request(key=None)))]), key="a lane")).unreadable
    assert found.asker == Asker("c", "i1")


@pytest.mark.parametrize(
    "payload",
    [
        b'{"v":9,"cmd":"x","id":"i1"}',
        b'{"v":9,"cmd":"x","client":"c"}',
        b'{"v":9,"cmd":"x","id":"i1","client":""}',
        b'{"v":9,"cmd":"x","id":"i1","client":"' + b"c" * 257 + b'"}',
        b'{"v":9,"cmd":"x","id":"' + b"i" * 129 + b'","client":"c"}',
        b'{"v":9,"cmd":"x","id":"i1","client":["c"]}',
        b'{"v":9,"cmd":"x","id":"i1","client":"c"',
        b'{"v":9,"cmd":"x","id":"i1","client":"\xff"}',
        b'{"cmd":"x","id":"i1","client":"c","x":' + b"[" * 100_000,
        b"\xff",
        b"",
    ],
)
def test_what_names_nobody_asks_for_no_answer(payload: bytes) -> None:
    assert unreadable(payload).asker is None


def test_a_reason_shows_as_much_of_keys_as_it_may() -> None:
    found = unreadable(encode(request(key="\x00" * 256)), key="\U000e0001" * 256)
    assert len(found.reason) < 250


@pytest.mark.parametrize("hostile", hostile_records(seed=1), ids=lambda hostile: hostile.name)
def test_hostile_records_meet_their_fate(hostile: HostileRecord) -> None:
    batch = read(record(hostile.data, hostile.partition_key))
    # That no rule knows the command is found out later.
    readable = hostile.fate == "accepted" or hostile.name == "unknown command"
    assert (len(batch.arrivals), len(batch.unreadable)) == ((1, 0) if readable else (0, 1))


@pytest.mark.parametrize("payload", [b"an event", encode(request(key=None))])
@pytest.mark.parametrize(
    ("key", "reason"), [("", "no key"), ("k" * (MAX_KEY_CHARACTERS + 1), "a key of 257 characters; 256 are the most")]
)
def test_a_key_that_no_item_can_have_is_unreadable(key: str, reason: str, payload: bytes) -> None:
    """Kinesis takes neither as a partition key, but does not look into aggregates."""
    batch = read(record(pack([UserRecord(key, payload)]), key="a lane"))
    assert batch.arrivals == ()
    assert [(one.key, one.payload, one.reason) for one in batch.unreadable] == [(key, payload, reason)]


def test_the_longest_key_is_a_key() -> None:
    key = "\N{WATER WAVE}" * MAX_KEY_CHARACTERS
    assert arrival(encode(request(key=key)), key).key == key


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_no_bytes_raise_or_are_dropped(payloads: list[bytes]) -> None:
    batch = read(*[record(payload, sequence=n) for n, payload in enumerate(payloads)])
    found: list[Arrival | Unreadable] = [*batch.arrivals, *batch.unreadable]
    assert {one.position.sequence: one.payload for one in found} == dict(enumerate(payloads))
    assert batch.records == len(payloads)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_no_aggregate_raises(body: bytes) -> None:
    assert len(read(record(MAGIC + body)).unreadable) == 1
    batch = read(record(MAGIC + body + md5(body).digest()))
    assert len(batch.arrivals) + len(batch.unreadable) >= 1
