"""The entities' table: many at a call, each on condition of its version, and nothing claimed that was not saved."""

import json
import logging
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.stub import ANY, Stubber
from msgspec.structs import replace

from tidemill.contract.request import Json, Reply, Request
from tidemill_consumers.adapters import entities as module
from tidemill_consumers.adapters.entities import READS_OF_UNPROCESSED, Entities, Room, Unloadable
from tidemill_consumers.codec.items import to_item
from tidemill_consumers.core.batch import Emitted, Entity, Mark, Position, Write
from tidemill_consumers.core.emits import kept_bytes
from tidemill_consumers.core.fitting import MAX_RECENT_BYTES, MAX_WRITER_BYTES
from tidemill_consumers.core.folding.budget import MAX_OUTCOME_BYTES
from tidemill_consumers.core.folding.writers import ENTRY_BYTES, MAX_REDRIVEN, entry
from tidemill_consumers.core.item_limits import MAX_BYTES, MAX_DEPTH, MAX_NAME_BYTES, unstorable
from tidemill_consumers.core.outcomes import kept
from tidemill_consumers.core.streams import NAME_CHARACTERS
from tidemill_local.emulator import Emulator

Stub: TypeAlias = Callable[[str], tuple[Any, Stubber]]
Clients: TypeAlias = Callable[[str], Any]

STREAM = "_" * NAME_CHARACTERS
SEQUENCE = 49590338271490256608559692538361571095921575989136588898


@pytest.fixture
def entities(emulator: Emulator, table: str) -> Entities:
    return Entities(emulator.client("dynamodb"), table)


def entity(key: str, version: int = 1, value: Json = None) -> Entity:
    """One of which everything depends on its version."""
    return Entity(
        key,
        version,
        {"v": version, "value": value},
        {"shard": Mark(Position(SEQUENCE + version, version), 1000.5 + version, Position(SEQUENCE, 0))},
        entry("w", version, 2**16 - version),
        {f"i{version}": kept(f"i{version}", Reply(f"i{version}", "rejected", error="no"))},
    )


def write(becomes: Entity, expects: int | None = None) -> Write:
    expected = becomes.version - 1 if expects is None else expects
    return Write(becomes.key, expected, becomes, Position(1, 0), (), (), None)


def test_a_place_is_in_attributes_of_the_item_until_the_document_has_none(
    entities: Entities, emulator: Emulator, table: str
) -> None:
    def place() -> set[str]:
        item = emulator.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": "k"}})["Item"]
        return {f"{name}={item[name]['S']}" for name in ("cell", "geohash") if name in item}

    assert entities.save([write(Entity("k", 1, {"geohash": "u33dc1v0zzzz"}))]) == {}
    assert place() == {"cell=u3", "geohash=u33dc1v0zzzz"}
    assert entities.save([write(Entity("k", 2, {"geohash": "9q8yyk8yt"}))]) == {}
    assert place() == {"cell=9q", "geohash=9q8yyk8yt"}
    assert entities.save([replace(write(Entity("k", 3, {"deleted": True})), leaves_place=True)]) == {}
    assert place() == set()
    assert entities.load(["k"])["k"].document == {"deleted": True}


def test_a_new_entity_is_inserted(entities: Entities) -> None:
    new = entity("k")
    assert entities.save([write(new)]) == {}
    assert entities.load(["k"]) == {"k": new}


def test_an_entity_that_is_there_is_updated_as_a_whole(entities: Entities) -> None:
    entities.save([write(entity("k", 1)), write(entity("other", 1))])
    assert entities.save([write(entity("k", 2))]) == {}
    assert entities.load(["k", "other"]) == {"k": entity("k", 2), "other": entity("other", 1)}


def test_what_is_not_there_is_left_out(entities: Entities) -> None:
    entities.save([write(entity("k"))])
    assert set(entities.load(["k", "nobody", "k"])) == {"k"}


def test_nothing_costs_no_call(stub: Stub) -> None:
    entities = Entities(stub("dynamodb")[0], "entities")
    assert entities.load([]) == {}
    assert entities.save([]) == {}
    assert entities.write_calls == 0


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a 'quote', a \"double\" and a ?",
        "\x00\N{WATER WAVE}",
        None,
        True,
        [],
        {},
        {"": {"a.b": [[{"deep": [None, False, ""]}]]}},
        0,
        -1,
        10**37 + 1,
        0.1,
        -1.5e-7,
        1.7976931348623157e100,
    ],
)
def test_documents_survive_the_table(entities: Entities, value: Json) -> None:
    entities.save([write(entity("k", value=value))])
    found = entities.load(["k"])["k"].document
    assert found == {"v": 1, "value": value}
    assert type(found["value"]) is type(value)


def nested(levels: int) -> Json:
    return json.loads("[" * levels + "]" * levels)


def test_what_is_storable_is_stored(entities: Entities) -> None:
    """The deepest and the longest; what makes an item large comes next."""
    document = {"v": nested(MAX_DEPTH - 1), "x" * MAX_NAME_BYTES: [int("9" * 38), 99 * 10**124, 1e-130]}
    assert unstorable(document) is None
    new = Entity("k", 1, document)
    assert entities.save([write(new)]) == {}
    assert entities.load(["k"]) == {"k": new}


def test_an_item_holds_as_much_of_everything_as_may_be(entities: Entities) -> None:
    wave = "\N{WATER WAVE}"
    emits = tuple(
        Emitted(
            f"{STREAM}/shardId-000000000000",
            Position(SEQUENCE, n),
            (Request(id="i", cmd="c", key="k", data={}),) * 7,
        )
        for n in range((MAX_RECENT_BYTES - MAX_OUTCOME_BYTES) // 400)
    )
    outcomes = [f"{n:03}" for n in range(MAX_OUTCOME_BYTES // 1024)]
    new = Entity(
        key=wave * 256,
        version=1,
        document={"v": "x" * (MAX_BYTES - 5)},
        marks={
            f"{STREAM}/shardId-{n:012}": Mark(Position(SEQUENCE, 9999), 1545084650.987, Position(SEQUENCE, 0))
            for n in range(100)
        },
        writers=b"w" * MAX_WRITER_BYTES,
        redriven=b"r" * MAX_REDRIVEN * ENTRY_BYTES,
        forgotten=1545084650.987,
        lost=1545084650.987,
        recent={name: kept(name, Reply(name, "rejected", error="x" * 1000)) for name in outcomes},
        emitted=10**9,
        emits=emits,
    )
    assert MAX_OUTCOME_BYTES + sum(map(kept_bytes, emits)) > MAX_RECENT_BYTES
    assert unstorable(new.document) is None
    assert entities.save([write(new)]) == {}
    assert entities.load([new.key]) == {new.key: new}


def test_a_conflict_reports_just_its_key(entities: Entities) -> None:
    entities.save([write(entity("there")), write(entity("ahead")), write(entity("same"))])
    entities.save([write(entity("ahead", 2, "theirs"))])
    failed = entities.save(
        [
            write(entity("new")),
            write(entity("there", 1, "mine")),
            write(entity("ahead", 2, "mine")),
            write(entity("gone", 2)),
            write(entity("same", 2)),
        ]
    )
    assert failed == dict.fromkeys(["there", "ahead", "gone"])
    assert entities.load(["new", "there", "ahead", "gone", "same"]) == {
        "new": entity("new"),
        "there": entity("there"),
        "ahead": entity("ahead", 2, "theirs"),
        "same": entity("same", 2),
    }


def test_25_entities_are_saved_a_call_and_100_loaded(entities: Entities) -> None:
    keys = [f"k{n}" for n in range(230)]
    assert entities.save([write(entity(key)) for key in keys]) == {}
    assert entities.write_calls == 10
    assert entities.load(iter(keys)) == {key: entity(key) for key in keys}


def test_a_call_that_fails_reports_its_keys_and_no_others(
    entities: Entities, table: str, new_client: Clients, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(params: dict[str, Any], **_: object) -> None:
        if b'"k30"' in params["body"]:
            raise EndpointConnectionError(endpoint_url="somewhere")

    client = new_client("dynamodb")
    client.meta.events.register("before-call.dynamodb.BatchExecuteStatement", refuse)
    keys = [f"k{n}" for n in range(60)]
    with caplog.at_level(logging.WARNING):
        failed = Entities(client, table).save([write(entity(key)) for key in keys])
    assert failed == dict.fromkeys(keys[25:50])
    assert set(entities.load(keys)) == set(keys) - failed.keys()
    assert "cannot save 25 entities, first 'k25'" in caplog.text


def test_a_call_that_is_refused_reports_all_its_keys(stub: Stub) -> None:
    dynamodb, answers = stub("dynamodb")
    answers.add_client_error("batch_execute_statement", "ThrottlingException")
    assert Entities(dynamodb, "entities").save([write(entity("a")), write(entity("b"))]) == {"a": None, "b": None}


def test_a_call_that_is_refused_for_a_statement_is_split_until_that_is_alone(stub: Stub) -> None:
    dynamodb, answers = stub("dynamodb")
    answers.add_client_error("batch_execute_statement", "ValidationException", "too large")
    answers.add_response("batch_execute_statement", {"Responses": [{}]})
    answers.add_client_error("batch_execute_statement", "ValidationException", "too large")
    answers.add_response("batch_execute_statement", {"Responses": [{}]})
    answers.add_client_error("batch_execute_statement", "ValidationException", "Item size has exceeded")
    failed = Entities(dynamodb, "entities").save([write(entity(key)) for key in "abc"])
    assert failed == {"c": "ValidationException: Item size has exceeded"}


def test_each_statement_has_an_error_of_its_own(stub: Stub) -> None:
    dynamodb, answers = stub("dynamodb")
    answers.add_response(
        "batch_execute_statement",
        {
            "Responses": [
                {"TableName": "entities"},
                {"Error": {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}},
                {"TableName": "entities"},
                {"Error": {"Code": "ProvisionedThroughputExceeded", "Message": "slow down"}},
            ]
        },
        {"Statements": ANY, "ReturnConsumedCapacity": "TOTAL"},
    )
    entities = Entities(dynamodb, "entities")
    assert entities.save([write(entity(key)) for key in "abcd"]) == {"b": None, "d": None}
    assert (entities.conflicts, entities.write_units) == (1, 0.0)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("ValidationError", "ValidationError: Item size to update has exceeded"),
        ("ItemCollectionSizeLimitExceeded", "ItemCollectionSizeLimitExceeded: Item size to update has exceeded"),
        ("ThrottlingError", None),
        ("ResourceNotFound", None),
        ("AccessDenied", None),
    ],
)
def test_a_statement_that_the_table_never_takes_is_told_and_logged(
    stub: Stub, caplog: pytest.LogCaptureFixture, code: str, why: str | None
) -> None:
    dynamodb, answers = stub("dynamodb")
    error = {"Code": code, "Message": "Item size to update has exceeded"}
    answers.add_response("batch_execute_statement", {"Responses": [{}, {"Error": error}, {"Error": error}, {}]})
    keys = ["a", "b\n" + "x" * 60, "c", "d"]
    with caplog.at_level(logging.WARNING):
        failed = Entities(dynamodb, "entities").save([write(entity(key, 7)) for key in keys])
    assert failed == {keys[1]: why, "c": why}
    shown = "b\\n" + "x" * 38
    (line,) = caplog.messages
    assert line == (
        f"cannot save 2 entities: {code}: Item size to update has exceeded; "
        f"the first is UPDATE of key '{shown}'…, version 7"
    )


def test_a_statement_changes_an_item_on_condition_of_its_version(stub: Stub) -> None:
    dynamodb, answers = stub("dynamodb")
    old, new = to_item(entity("old", 8)), to_item(entity("new"))
    rest = ["ver", "doc", "marks", "writers", "recent"]
    answers.add_response(
        "batch_execute_statement",
        {"Responses": [{}, {}], "ConsumedCapacity": [{"CapacityUnits": 1.0}, {"CapacityUnits": 3.0}]},
        {
            "ReturnConsumedCapacity": "TOTAL",
            "Statements": [
                {
                    "Statement": 'UPDATE "entities" SET ver = ? SET doc = ? SET marks = ? SET writers = ? '
                    "SET recent = ? WHERE pk = ? AND ver = ?",
                    "Parameters": [*(old[name] for name in rest), {"S": "old"}, {"N": "7"}],
                },
                {
                    "Statement": "INSERT INTO \"entities\" VALUE {'pk': ?, 'ver': ?, 'doc': ?, 'marks': ?, "
                    "'writers': ?, 'recent': ?}",
                    "Parameters": [{"S": "new"}, *(new[name] for name in rest)],
                },
            ],
        },
    )
    entities = Entities(dynamodb, "entities")
    assert entities.save([write(entity("old", 8)), write(entity("new"))]) == {}
    assert entities.write_units == 4.0


def asked(*keys: str) -> dict[str, Any]:
    return {"entities": {"Keys": [{"pk": {"S": key}} for key in keys], "ConsistentRead": True}}


def test_unprocessed_keys_are_asked_for_again(stub: Stub) -> None:
    dynamodb, answers = stub("dynamodb")
    answers.add_response(
        "batch_get_item",
        {"Responses": {"entities": [to_item(entity("a"))]}, "UnprocessedKeys": asked("b", "c")},
        {"RequestItems": asked("a", "b", "c")},
    )
    answers.add_response(
        "batch_get_item", {"Responses": {}, "UnprocessedKeys": asked("b", "c")}, {"RequestItems": asked("b", "c")}
    )
    answers.add_response(
        "batch_get_item",
        {"Responses": {"entities": [to_item(entity("c"))]}, "UnprocessedKeys": {}},
        {"RequestItems": asked("b", "c")},
    )
    assert Entities(dynamodb, "entities").load("abc") == {"a": entity("a"), "c": entity("c")}


def test_keys_that_stay_unprocessed_give_the_batch_back(stub: Stub) -> None:
    dynamodb, answers = stub("dynamodb")
    for _ in range(READS_OF_UNPROCESSED):
        answers.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": asked("a")})
    with pytest.raises(Unloadable, match="entities: items stay unprocessed"):
        Entities(dynamodb, "entities").load(["a"])


def test_reading_goes_on_as_long_as_keys_become_fewer(stub: Stub) -> None:
    """100 items of 400 KB are 40 MB, and an answer has 16 at most; a table that throttles gives fewer."""
    dynamodb, answers = stub("dynamodb")
    keys = [f"k{n}" for n in range(4 * READS_OF_UNPROCESSED)]
    for n, key in enumerate(keys, 1):
        rest = {"UnprocessedKeys": asked(*keys[n:])} if n < len(keys) else {}
        answers.add_response("batch_get_item", {"Responses": {"entities": [to_item(entity(key))]}, **rest})
    assert list(Entities(dynamodb, "entities").load(keys)) == keys


def test_a_read_that_is_refused_gives_the_batch_back(stub: Stub) -> None:
    dynamodb, answers = stub("dynamodb")
    answers.add_client_error("batch_get_item", "ProvisionedThroughputExceededException")
    with pytest.raises(ClientError, match="ProvisionedThroughputExceeded"):
        Entities(dynamodb, "entities").load(["a"])


# ── No more than memory holds ────────────────────────────────────────────────────────────────────────────────


def test_there_is_room_for_one_answer_and_for_what_is_expected_to_fit() -> None:
    room = Room(100)
    assert room.expects(1000), "nothing is known of their size"
    assert room.takes(50, 5)
    assert [room.expects(5), room.expects(6)] == [True, False]
    assert [room.takes(51, 1), room.takes(50, 1), room.takes(1, 1)] == [False, True, False]
    large = Room(100)
    assert large.takes(101, 1)
    assert [large.expects(0), large.takes(1, 1)] == [False, False]


def test_entities_that_are_large_together_are_recalled_one_after_another(
    entities: Entities, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEYS_PER_READ", 2)
    monkeypatch.setattr(module, "MAX_READ_BYTES", 25_000)
    entities.save([write(entity(f"k{n}", value="x" * 5_000)) for n in range(7)])
    wanted = {f"k{n}" for n in range(7)} | {"absent"}
    rounds = []
    while wanted:
        found, unread, left = entities.recall(sorted(wanted))
        assert unread == set()
        assert set(found) == wanted - left - {"absent"}
        rounds.append(len(found))
        wanted = left
    assert rounds == [3, 4]
    assert len(entities.load(f"k{n}" for n in range(7))) == 7
