"""What an environment remembers: the latest that fit, each handed out once. And what a recall reads all the same."""

from collections.abc import Callable
from typing import Any

import pytest

from tidemill.contract.request import Reply, Request
from tidemill_consumers.adapters.entities import Entities
from tidemill_consumers.codec.entity_cache import EntityCache
from tidemill_consumers.core.batch import Emitted, Entity, Mark, Position, Write
from tidemill_consumers.core.outcomes import kept
from tidemill_local.emulator import Emulator

PLENTY = 10**6
ROOM_OF_THREE = 3 * 1_600
"""`small` takes about 1,500 bytes."""


def small(key: str, version: int = 1) -> Entity:
    return Entity(key, version, {"v": "x" * 1_000})


def test_what_is_kept_is_handed_out_once() -> None:
    remembered = EntityCache(PLENTY)
    remembered.keep([small("a"), small("b")])
    assert remembered.take(["b", "c"]) == {"b": small("b")}
    assert remembered.take(["a", "b"]) == {"a": small("a")}


def test_the_oldest_go_where_there_is_no_room() -> None:
    remembered = EntityCache(ROOM_OF_THREE)
    remembered.keep([small("a"), small("b"), small("c")])
    remembered.keep(remembered.take(["a"]).values())
    remembered.keep([small("d")])
    assert list(remembered.take("abcd")) == ["a", "c", "d"]


def test_an_entity_that_is_kept_again_takes_its_room_once() -> None:
    remembered = EntityCache(ROOM_OF_THREE)
    for version in range(20):
        remembered.keep([small("a", version), small("b", version), small("c", version)])
    assert remembered.take("abc") == {key: small(key, 19) for key in "abc"}
    remembered.keep([small("a"), small("b"), small("c")])
    assert len(remembered.take("abc")) == 3


SHARD, PLACE = "shardId-000000000000", Position(10**55, 0)


@pytest.mark.parametrize(
    "large",
    [
        Entity("a", 1, {"v": "x" * 20_000}),
        Entity("a", 1, marks={f"shard {n}": Mark(PLACE, 1.0, PLACE) for n in range(100)}),
        Entity("a", 1, writers=b"w" * 16_000),
        Entity(
            "a", 1, recent={f"id {n}": kept(f"id {n}", Reply("", "rejected", error="x" * 1_000)) for n in range(20)}
        ),
        Entity("a", 1, emits=(Emitted(SHARD, PLACE, (Request(id="i", cmd="c", key="k", data={"v": "x" * 16_000}),)),)),
    ],
    ids=["document", "marks", "writers", "outcomes", "emits"],
)
def test_whatever_makes_an_entity_large_counts(large: Entity) -> None:
    remembered = EntityCache(10_000)
    remembered.keep([small("b"), large])
    assert remembered.take("ab") == {}
    remembered.keep([small("c"), small("d")])
    assert list(remembered.take("cd")) == ["c", "d"]


def test_the_sizes_of_documents_are_taken_as_they_are_given() -> None:
    remembered = EntityCache(ROOM_OF_THREE)
    remembered.keep([small("a"), small("b"), small("c")], [10, 0, 20_000])
    assert remembered.take("abc") == {}
    remembered.keep([small("a"), small("b"), small("c"), small("d")], [10, 10])
    assert list(remembered.take("abcd")) == ["a", "b", "c", "d"]


# ── Recalling ────────────────────────────────────────────────────────────────────────────────────────────────


class Environment:
    """An environment's entities, and the keys that it read."""

    def __init__(self, dynamodb: Any, table: str, samples: int) -> None:
        self.read: list[str] = []
        dynamodb.meta.events.register("provide-client-params.dynamodb.BatchGetItem", self._note)
        self.entities = Entities(dynamodb, table, map, EntityCache(PLENTY, samples))
        self._table = table

    def _note(self, params: dict[str, Any], **_: object) -> None:
        self.read += [key["pk"]["S"] for key in params["RequestItems"][self._table]["Keys"]]

    def save(self, *entities: Entity) -> dict[str, str | None]:
        return self.entities.save(
            [Write(one.key, one.version - 1, one, Position(1, 0), (), (), None) for one in entities]
        )


@pytest.fixture
def environment(new_client: Callable[[str], Any], table: str) -> Callable[[int], Environment]:
    return lambda samples: Environment(new_client("dynamodb"), table, samples)


def test_what_was_saved_is_not_read(environment: Callable[[int], Environment]) -> None:
    one = environment(0)
    one.save(small("a"), small("b"))
    found, unread, _ = one.entities.recall(["a", "c", "a", "b"])
    assert found == {"a": small("a"), "b": small("b")}
    assert (unread, one.read) == ({"a", "b"}, ["c"])


def test_what_was_recalled_is_read_the_next_time_unless_it_is_saved(environment: Callable[[int], Environment]) -> None:
    one = environment(0)
    one.save(small("a"), small("b"))
    one.entities.recall("ab")
    one.save(small("b", 2))
    assert one.entities.recall("ab") == ({"a": small("a"), "b": small("b", 2)}, {"b"}, set())
    assert one.read == ["a"]


def test_what_was_not_saved_is_not_remembered(environment: Callable[[int], Environment]) -> None:
    one, other = environment(0), environment(0)
    other.save(small("a"))
    assert one.save(small("a"), small("b")) == {"a": None}
    assert one.entities.recall("ab")[1] == {"b"}


def test_the_first_are_read_all_the_same(environment: Callable[[int], Environment]) -> None:
    one = environment(2)
    one.save(*map(small, "abcd"))
    found, unread, _ = one.entities.recall("dcba")
    assert found == {key: small(key) for key in "abcd"}
    assert (unread, one.read) == ({"a", "b"}, ["d", "c"])


def test_when_another_has_changed_one_of_those_all_are_read(environment: Callable[[int], Environment]) -> None:
    one, other = environment(1), environment(0)
    one.save(*map(small, "abcd"))
    other.entities.load("a")
    other.save(small("a", 2), small("b", 2))
    found, unread, _ = one.entities.recall("abc")
    assert found == {"a": small("a", 2), "b": small("b", 2), "c": small("c")}
    assert (unread, one.read) == (set(), ["a", "b", "c"])
    one.read.clear()
    assert one.entities.recall("d") == ({"d": small("d")}, set(), set())
    assert one.read == ["d"], "all is forgotten"


def test_when_one_of_those_is_gone_all_are_read(
    environment: Callable[[int], Environment], emulator: Emulator, table: str
) -> None:
    one = environment(1)
    one.save(*map(small, "ab"))
    emulator.client("dynamodb").delete_item(TableName=table, Key={"pk": {"S": "a"}})
    assert one.entities.recall("ab") == ({"b": small("b")}, set(), set())


def test_without_a_memory_all_are_read(emulator: Emulator, table: str) -> None:
    entities = Entities(emulator.client("dynamodb"), table)
    entities.save([Write("a", 0, small("a"), Position(1, 0), (), (), None)])
    assert entities.recall("ab") == ({"a": small("a")}, set(), set())
