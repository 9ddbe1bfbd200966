"""The table of forgotten writers, on the local platform."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from tidemill.contract.request import Request, encode
from tidemill_consumers.adapters import forgotten as module
from tidemill_consumers.adapters.forgotten import ForgottenWriters
from tidemill_consumers.core.batch import Arrival, Entity, Mark, Position, Write
from tidemill_consumers.core.folding.writers import entry, forgotten
from tidemill_local.emulator import Emulator

HORIZON = 3_600.0
MARK = Mark(Position(5, 0), 9_000.0, Position(5, 0))


@pytest.fixture
def dynamodb(emulator: Emulator) -> Any:
    return emulator.client("dynamodb")


@pytest.fixture
def writers(dynamodb: Any, forgotten_table: str) -> ForgottenWriters:
    return ForgottenWriters(dynamodb, forgotten_table, HORIZON, lambda: 9_500.0)


def write(key: str, *names: str, until: float = 9_000.0, shard: str = "s/0", counter: int = 3) -> Write:
    gone = forgotten(shard, key, b"".join([entry(name, counter, 1) for name in names]))
    entity = Entity(key, 1, forgotten=until)
    return Write(key, 0, entity, Position(1, 0), (), (), None, forgotten=gone)


def resent(key: str, writer: str, tried: float = 8_500.0, counter: int = 3) -> Arrival:
    request = Request(id=f"{writer}", cmd="c", key=key, writer=writer, counter=counter, data={})
    return Arrival("s/0", Position(60, 0), 9_500.0, key, request, encode(request), tried=tried)


def said(writers: ForgottenWriters, *arrivals: Arrival, marks: str = "s/0") -> list[str]:
    entities = {one.key: Entity(one.key, 1, {}, {marks: MARK}, forgotten=9_000.0) for one in arrivals}
    judged, failed = writers.judge(arrivals, entities)
    assert failed == set()
    return [one.found for one in judged]


def test_what_is_put_there_is_found_by_key_writer_and_counter(writers: ForgottenWriters) -> None:
    assert writers.keep([write("a", "w", "v"), write("b", "w")]) == set()
    every = [resent("a", "w"), resent("a", "v"), resent("b", "w"), resent("b", "v"), resent("a", "w", counter=4)]
    assert said(writers, *every) == ["applied"] * 3 + ["absent"] * 2


def test_an_earlier_shard_s_is_found_by_its_mark(writers: ForgottenWriters) -> None:
    writers.keep([write("a", "w", shard="s/parent")])
    assert said(writers, resent("a", "w"), marks="s/parent") == ["applied"]
    assert said(writers, resent("a", "w"), marks="s/another") == ["absent"]


def test_an_item_goes_by_the_latest_arrival_that_its_entities_have_forgotten(
    writers: ForgottenWriters, dynamodb: Any, forgotten_table: str
) -> None:
    writers.keep([write("a", "w", until=8_500.0), write("b", "w", until=8_600.001)])
    (item,) = dynamodb.scan(TableName=forgotten_table)["Items"]
    time, _, name = item["sk"]["S"].partition("-")
    assert (item["pk"]["S"], len(name)) == ("s/0", 16)
    assert int(time) in (8_600_001, 8_600_002), "rounded up"
    assert int(item["expires"]["N"]) == 9_500 + HORIZON + 86_400, "of a function that lags"
    assert said(writers, resent("a", "w", tried=8_600.0)) == ["applied"]


def test_another_round_s_are_beside_those_of_the_first(writers: ForgottenWriters) -> None:
    """A key that was planned again after a conflict must not overwrite the others of its batch."""
    writers.keep([write("a", "w"), write("b", "w")])
    writers.keep([write("b", "w", "v")])
    assert said(writers, resent("a", "w"), resent("b", "v")) == ["applied", "applied"]


def test_much_is_put_in_several_items_and_read_in_several_pages(
    writers: ForgottenWriters, monkeypatch: pytest.MonkeyPatch, dynamodb: Any, forgotten_table: str
) -> None:
    monkeypatch.setattr(module, "WRITERS_PER_ITEM", 3)
    assert writers.keep([write("a", *[f"w{n}" for n in range(5)]), write("b", "w", "v")]) == set()
    assert len(dynamodb.scan(TableName=forgotten_table)["Items"]) == 3
    asked = [*[resent("a", f"w{n}") for n in range(6)], resent("b", "v")]
    assert said(writers, *asked) == ["applied"] * 5 + ["absent", "applied"]


class Pages:
    """DynamoDB's answers to Query, one item a page."""

    def __init__(self, *times: float) -> None:
        gone = forgotten("s/0", "a", entry("w", 3, 1))
        self.items = [
            {
                "sk": {"S": f"{int(time * 1000):015}-{n}"},
                "digests": {"B": gone.digests},
                "counters": {"B": gone.counters},
            }
            for n, time in enumerate(times)
        ]
        self.asked: list[dict[str, Any]] = []

    def query(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        place = asked.get("ExclusiveStartKey", {"sk": 0})["sk"]
        more = {"LastEvaluatedKey": {"sk": place + 1}} if place + 1 < len(self.items) else {}
        return {"Items": self.items[place : place + 1], **more}


def test_it_reads_the_latest_first_consistently_and_to_the_end() -> None:
    pages: Any = Pages(9_000.0, 8_900.0, 8_800.0)
    assert said(ForgottenWriters(pages, "t", HORIZON), resent("a", "v")) == ["absent"]
    assert len(pages.asked) == 3
    assert {(one["ConsistentRead"], one["ScanIndexForward"]) for one in pages.asked} == {(True, False)}
    assert pages.asked[0]["ExpressionAttributeValues"] == {":shard": {"S": "s/0"}, ":since": {"S": "000000008500000"}}


@pytest.mark.parametrize(("limit", "value"), [("MAX_PAGES", 2), ("MAX_READ_BYTES", 20)])
def test_more_than_a_delivery_can_read_is_unknown(limit: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, limit, value)
    pages: Any = Pages(9_000.0, 8_900.0, 8_800.0)
    every = [resent("a", "v"), resent("a", "w"), resent("a", "v", tried=8_950.0)]
    assert said(ForgottenWriters(pages, "t", HORIZON), *every) == ["unknown", "applied", "absent"]
    assert len(pages.asked) == 2


def test_what_re_sends_need_keeps_no_first_attempt_from_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAGES", 1)
    pages: Any = Pages(9_400.0, 9_300.0)
    first = replace(resent("b", "v"), tried=None)
    mark = Mark(Position(1, 0), 9_000.0, Position(1, 0))
    entities = {
        "a": Entity("a", 1, {}, {"s/0": mark}, forgotten=9_000.0),
        "b": Entity("b", 1, {}, {"s/0": mark}, forgotten=9_000.0, awaited=9_000.0),
    }
    judged = ForgottenWriters(pages, "t", HORIZON).judge([resent("a", "v"), first], entities)
    assert [asked["ExpressionAttributeValues"][":shard"]["S"] for asked in pages.asked] == ["s/0", "s/0/awaited"]
    assert [one.found for one in judged.arrivals] == ["unknown", "unknown"]


def test_without_doubts_nothing_is_asked() -> None:
    nobody: Any = None
    batch = [resent("a", "w", tried=9_000.5)]
    entities = {"a": Entity("a", 1, forgotten=9_000.0)}
    assert ForgottenWriters(nobody, "t", HORIZON).judge(batch, entities) == (batch, set())


def test_a_key_that_cannot_be_asked_about_fails_and_the_others_go_on(dynamodb: Any) -> None:
    nowhere = ForgottenWriters(dynamodb, "nowhere", HORIZON)
    first = resent("b", "w", tried=9_000.5)
    entities = {key: Entity(key, 1, forgotten=9_000.0) for key in "ab"}
    assert nowhere.judge([resent("a", "w"), first], entities) == ([first], {"a"})


def test_what_cannot_be_put_there_fails_its_keys(dynamodb: Any) -> None:
    nowhere = ForgottenWriters(dynamodb, "nowhere", HORIZON)
    assert nowhere.keep([write("a", "w"), write("b", "w")]) == {"a", "b"}
