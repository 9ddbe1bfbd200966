"""The quick client against the usual one: the same bytes' worth goes out, the same answers and errors come back."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias
from zlib import crc32

import msgspec
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from tidemill.aws import fast_json
from tidemill.aws.fast_json import BATCHES, PUTS, use_msgspec_json
from tidemill_consumers.adapters.entities import Entities
from tidemill_consumers.codec.items import to_item
from tidemill_consumers.core.batch import Entity, Position, Write
from tidemill_consumers.metering.capacity import Meter, Usage
from tidemill_local.clients import EmulatorSession
from tidemill_local.emulator import Emulator

Answer: TypeAlias = tuple[int, bytes, dict[str, str]]
Wire: TypeAlias = Callable[..., tuple[Any, list[Any]]]

CONFIG = Config(parameter_validation=False, retries={"mode": "standard"})
TEXTS = ["", "plain", "a 'quote', a \"double\" and a ?", "\x00\x1f\N{WATER WAVE}", "null", '"B"', "a\\b\n"]
ATTRIBUTES: list[dict[str, Any]] = [
    *({"S": text} for text in TEXTS),
    {"N": "-1.5"},
    {"BOOL": False},
    {"NULL": True},
    {"L": [{"S": "a"}, {"M": {"b": {"N": "1"}}}]},
    {"M": {"B": {"S": "a name, not a type"}, "null": {"L": []}}},
    {"SS": ["a", "b"]},
    {"B": b"\x00\xff"},
    {"BS": [b"a", b"b"]},
]


def stored(entity: Entity) -> Any:
    """Its item as JSON has it."""
    return msgspec.json.decode(msgspec.json.encode(to_item(entity)))


class Body:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


@pytest.fixture
def quick(session: EmulatorSession) -> Iterator[Any]:
    client = use_msgspec_json(session.client("dynamodb", config=CONFIG), BATCHES)
    yield client
    client.close()


@pytest.fixture
def wire(session: EmulatorSession, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """A quick client that gets these answers, one after another, and the requests that it sends."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)
    made: list[Any] = []

    def make(*answers: Answer) -> tuple[Any, list[Any]]:
        client: Any = use_msgspec_json(session.client("dynamodb", config=CONFIG), BATCHES)
        made.append(client)
        sent: list[Any] = []
        left = iter(answers)

        def send(request: Any, **_: Any) -> AWSResponse:
            sent.append(request)
            status, body, headers = next(left)
            return AWSResponse(request.url, status, headers, Body(body))  # type: ignore[arg-type] # all that is asked of it

        client.meta.events.register("before-send.dynamodb", send)
        return client, sent

    yield make
    for client in made:
        client.close()


def good(answer: Any, **headers: str) -> Answer:
    return 200, json.dumps(answer).encode(), {"content-type": "application/x-amz-json-1.0", **headers}


def bad(status: int, code: str) -> Answer:
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "because"}).encode()
    return status, body, {"content-type": "application/x-amz-json-1.0"}


def without_metadata(answer: Any) -> Any:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


# ── On the platform ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=str)
def test_items_read_as_the_usual_client_reads_them(
    emulator: Emulator, quick: Any, table: str, attribute: dict[str, Any]
) -> None:
    usual = emulator.client("dynamodb")
    usual.put_item(TableName=table, Item={"pk": {"S": "k"}, "value": attribute})
    asked = {table: {"Keys": [{"pk": {"S": key}} for key in ("k", "nobody")], "ConsistentRead": True}}
    found = quick.batch_get_item(RequestItems=asked)
    value = found["Responses"][table][0]["value"]
    if "B" in attribute:
        assert value == {"B": b64encode(attribute["B"]).decode()}, "but for binary values, which stay texts"
    else:
        assert value == attribute
        assert without_metadata(found) == without_metadata(usual.batch_get_item(RequestItems=asked))
    assert found["ResponseMetadata"]["HTTPStatusCode"] == 200


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=str)
def test_statements_write_as_the_usual_client_writes_them(
    emulator: Emulator, quick: Any, table: str, attribute: dict[str, Any]
) -> None:
    insert = f"INSERT INTO \"{table}\" VALUE {{'pk': ?, 'value': ?}}"
    statement = {"Statement": insert, "Parameters": [{"S": "k"}, attribute]}
    assert "Error" not in quick.batch_execute_statement(Statements=[statement])["Responses"][0]
    stored = emulator.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": "k"}}, ConsistentRead=True)
    assert stored["Item"]["value"] == attribute


def test_a_statement_that_fails_tells_so_and_no_other(emulator: Emulator, quick: Any, table: str) -> None:
    entities = Entities(quick, table)
    writes = [Write(key, 0, Entity(key, 1, {"a": None}), Position(1, 0), (), (), None) for key in "ab"]
    assert entities.save(writes[:1]) == {}
    assert entities.save(writes) == {"a": None}
    assert entities.load("abc") == {write.key: write.new_entity for write in writes}


def test_records_are_stored_as_the_usual_client_stores_them(emulator: Emulator, session: EmulatorSession) -> None:
    usual = emulator.client("kinesis")
    usual.create_stream(StreamName="puts", ShardCount=1)
    usual.get_waiter("stream_exists").wait(StreamName="puts", WaiterConfig={"Delay": 0})
    kinesis = use_msgspec_json(session.client("kinesis", config=CONFIG), PUTS)
    records: list[Any] = [
        {"Data": b"\x00\xff", "PartitionKey": 'a "key" \N{WATER WAVE}'},
        {"Data": b"null", "PartitionKey": "b", "ExplicitHashKey": "1"},
    ]
    answers = [client.put_records(StreamName="puts", Records=records) for client in (usual, kinesis)]
    kinesis.close()
    (shard,) = usual.list_shards(StreamName="puts")["Shards"]
    start = usual.get_shard_iterator(StreamName="puts", ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    found = usual.get_records(ShardIterator=start)["Records"]
    assert [one["SequenceNumber"] for one in found] == [
        one["SequenceNumber"] for answer in answers for one in answer["Records"]
    ]
    assert [(one["Data"], one["PartitionKey"]) for one in found] == 2 * [
        (one["Data"], one["PartitionKey"]) for one in records
    ]


def test_an_error_is_the_usual_one(emulator: Emulator, quick: Any) -> None:
    asked = {"nowhere": {"Keys": [{"pk": {"S": "k"}}]}}
    with pytest.raises(ClientError) as usual:
        emulator.client("dynamodb").batch_get_item(RequestItems=asked)
    with pytest.raises(quick.exceptions.ResourceNotFoundException) as found:
        quick.batch_get_item(RequestItems=asked)
    assert str(found.value) == str(usual.value)


def test_other_calls_are_left_alone(emulator: Emulator, quick: Any, table: str) -> None:
    quick.put_item(TableName=table, Item={"pk": {"S": "k"}, "value": {"B": b"\xff"}})
    assert quick.get_item(TableName=table, Key={"pk": {"S": "k"}})["Item"]["value"] == {"B": b"\xff"}


def test_a_meter_finds_the_parameters_whole(session: EmulatorSession, table: str) -> None:
    used: list[Usage] = []
    for client in (session.client("dynamodb"), use_msgspec_json(session.client("dynamodb", config=CONFIG), BATCHES)):
        meter = Meter(client.meta.events)
        entities = Entities(client, table)
        key = f"k{len(used)}"
        entities.save([Write(key, 0, Entity(key, 1, {"text": "x" * 5000}), Position(1, 0), (), (), None)])
        entities.load([key, "nobody"])
        used.append(meter.take())
        client.close()
    assert used[0] == used[1]
    assert used[0].read_units == 3


# ── Over a wire of the test's own ────────────────────────────────────────────────────────────────────────────


def test_what_is_sent_is_the_parameters_signed(wire: Wire) -> None:
    client, sent = wire(good({"Responses": {}}), good({"Responses": []}))
    asked = {"t": {"Keys": [{"pk": {"S": "ключ"}}], "ConsistentRead": True}}
    client.batch_get_item(RequestItems=asked)
    statements = [{"Statement": "…", "Parameters": [{"S": "k"}, *stored(Entity("k", 3, {"a": [1.5]})).values()]}]
    client.batch_execute_statement(Statements=statements, ReturnConsumedCapacity="TOTAL")
    assert json.loads(sent[0].body) == {"RequestItems": asked}
    assert json.loads(sent[1].body) == {"Statements": statements, "ReturnConsumedCapacity": "TOTAL"}
    for request in sent:
        assert b"AWS4-HMAC-SHA256" in request.headers["Authorization"]
        assert request.headers["Content-Length"] == str(len(request.body))


def test_what_is_unprocessed_is_read_again(wire: Wire) -> None:
    items = [stored(Entity(key, 1, {"a": 1})) for key in "ab"]
    left = {"t": {"Keys": [{"pk": {"S": "b"}}], "ConsistentRead": True}}
    client, sent = wire(
        good({"Responses": {"t": items[:1]}, "UnprocessedKeys": left}),
        good({"Responses": {"t": items[1:]}, "UnprocessedKeys": {}}),
    )
    assert set(Entities(client, "t").load("ab")) == {"a", "b"}
    assert json.loads(sent[1].body) == {"RequestItems": left}


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(bad(400, "ProvisionedThroughputExceededException"), id="throttled"),
        pytest.param(bad(400, "ThrottlingException"), id="too many calls"),
        pytest.param(bad(500, "InternalServerError"), id="internal error"),
        pytest.param((503, b"", {}), id="no answer at all"),
        pytest.param(good({"Responses": {"t": []}}, **{"x-amz-crc32": "1"}), id="damaged"),
        pytest.param((200, b'{"Respon', {"x-amz-crc32": "1"}), id="damaged beyond reading"),
    ],
)
def test_a_call_is_made_again_with_the_same_bytes(wire: Wire, first: Answer) -> None:
    second = good({"Responses": {"t": [stored(Entity("k", 1, {}))]}})
    client, sent = wire(first, (*second[:2], {"x-amz-crc32": str(crc32(second[1]))}))
    assert set(Entities(client, "t").load(["k"])) == {"k"}
    assert sent[0].body == sent[1].body != b"{}"


def test_one_that_stays_throttled_is_not_saved(wire: Wire) -> None:
    client, sent = wire(*[bad(400, "ThrottlingException")] * 3)
    assert Entities(client, "t").save([Write("k", 0, Entity("k", 1, {}), Position(1, 0), (), (), None)]) == {"k": None}
    assert len(sent) == 3


def test_an_error_within_is_not_overlooked_and_a_null_is_none(wire: Wire) -> None:
    failed = {"Error": {"Code": "ConditionalCheckFailed", "Message": "no"}}
    client, _ = wire(good({"Responses": [failed, {"Error": None, "TableName": "t"}]}))
    writes = [Write(key, 0, Entity(key, 1, {}), Position(1, 0), (), (), None) for key in "ab"]
    assert Entities(client, "t").save(writes) == {"a": None}


@pytest.mark.parametrize("body", [b"[]", b"7", b'{"Responses":', b"\xff"])
def test_other_bytes_are_botocores_to_judge(wire: Wire, session: EmulatorSession, body: bytes) -> None:
    client, _ = wire((200, body, {}))
    usual, _ = wire((200, body, {}))
    for operation in BATCHES:
        usual.meta.events.unregister(f"before-parse.dynamodb.{operation}", fast_json.on_before_parse)

    def outcome(of: Any) -> str:
        try:
            return str(without_metadata(of.batch_get_item(RequestItems={"t": {"Keys": []}})))
        except Exception as error:
            return repr(error)

    assert outcome(client) == outcome(usual)


def test_botocore_parses_where_it_does_not_ask(quick: Any, table: str) -> None:
    """As it would in a version without `before-parse`."""
    for operation in BATCHES:
        quick.meta.events.unregister(f"before-parse.dynamodb.{operation}", fast_json.on_before_parse)
    entities = Entities(quick, table)
    new = Entity("k", 1, {"a": [None, 1.5, "x"]})
    assert entities.save([Write("k", 0, new, Position(1, 0), (), (), None)]) == {}
    assert entities.save([Write("k", 0, new, Position(1, 0), (), (), None)]) == {"k": None}
    assert entities.load(["k"]) == {"k": new}


def test_a_null_within_a_text_is_no_reason_to_take_the_slow_way() -> None:
    """Each outcome of a rejected request has one."""
    text = json.dumps(["r1", "rejected", None, "no"], separators=(",", ":"))
    answer = {"Responses": {"t": [{"recent": {"L": [{"S": text}]}}]}}
    read: dict[str, Any] = {}
    fast_json.on_before_parse({"status_code": 200, "body": json.dumps(answer).encode()}, read)
    assert read == answer
    for member in (b'{"Responses":null}', b'{"Responses": null}'):
        left: dict[str, Any] = {}
        fast_json.on_before_parse({"status_code": 200, "body": member}, left)
        assert left == {}, "botocore leaves such members out"
