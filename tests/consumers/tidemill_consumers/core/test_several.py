"""Several streams that feed one entity: whose outcomes they are, what room each leaves the others, what has to go."""

from __future__ import annotations

import pytest

from tidemill.contract.request import Reply, Request, encode
from tidemill_consumers.core.batch import Emitted, Entity, Mark, Position
from tidemill_consumers.core.outcomes import kept
from tidemill_consumers.core.several import (
    displaced,
    has_other_streams,
    room_beside_others,
    streams_of_all,
    with_streams,
)

FOLLOWING = Request(id="f", cmd="c", key="k", data={})


def marks(**arrived: float) -> dict[str, Mark]:
    """A mark of shard 0 of each stream."""
    return {f"{name}/0": Mark(Position(1, 0), at, Position(1, 0)) for name, at in arrived.items()}


def outcome(name: str, streams: str | None) -> str:
    return kept(name, Reply(name, "rejected", error="no"), streams)


@pytest.mark.parametrize(
    ("shards", "found"),
    [
        ([], False),
        (["a/0"], False),
        (["b/0"], True),
        (["a/1"], False),
        (["a/0", "a/1"], False),
        (["a/0", "b/0"], True),
        (["direct"], True),
    ],
)
def test_another_stream_has_changed_an_entity_if_it_has_a_mark_of_it(shards: list[str], found: bool) -> None:
    mark = Mark(Position(1, 0), 1.0, Position(1, 0))
    assert has_other_streams(Entity("k", marks=dict.fromkeys(shards, mark)), "a/0") is found


def test_outcomes_from_when_there_was_one_stream_are_of_the_other_that_was_seen_last() -> None:
    recent = {"i": outcome("i", None), "j": outcome("j", "d")}
    entity = Entity("k", 3, {"n": 1}, marks(a=9.0, z=2.0, c=5.0), recent=recent)
    named = with_streams(entity, "a/0")
    assert named.recent == {"i": outcome("i", "c"), "j": outcome("j", "d")}
    assert (named.version, named.document, named.marks) == (3, {"n": 1}, entity.marks)


def test_a_write_has_the_room_that_other_streams_outcomes_and_emits_leave() -> None:
    """72 KiB, less twice what one request may emit: the last may go so far beyond."""
    assert room_beside_others(Entity("k"), "a/0") == 40_960
    recent = {name: outcome(name, names) for name, names in {"1": "a", "2": "b", "3": "a b", "4": "b"}.items()}
    of_others = sum(1 + len(recent[name]) for name in "234")
    assert room_beside_others(Entity("k", recent=recent), "a/0") == 40_960 - of_others
    emits = tuple(Emitted(shard, Position(1, 0), (FOLLOWING,)) for shard in ("a/0", "a/1", "b/0", "c/0"))
    size = len("b/0") + 72 + 4 + len(encode(FOLLOWING))
    assert room_beside_others(Entity("k", recent=recent, emits=emits), "a/0") == 40_960 - of_others - 2 * size


@pytest.mark.parametrize(
    ("most", "left"),
    [
        (1, ["gone2", "shared2", "b", "c", "bc"]),
        (2, ["own2", "gone2", "shared1", "shared2", "b", "c", "bc"]),
        (9, ["own1", "own2", "gone2", "shared1", "shared2", "b", "c", "bc"]),
    ],
)
def test_a_stream_displaces_its_own_and_the_shared_ones_and_no_others(most: int, left: list[str]) -> None:
    """Outcomes of a stream that has no mark any more, such as `gone`, are of nobody who asks for them."""
    streams = {"own1": "a", "shared1": "a b", "b": "b", "own2": "a", "gone2": "gone", "c": "c", "bc": "b c"}
    recent = {name: outcome(name, names) for name, names in {**streams, "shared2": "a c gone"}.items()}
    found = displaced(recent, "a/0", marks(a=1.0, b=1.0, c=1.0), most)
    assert found == [(name, recent[name]) for name in left]


def test_the_streams_of_some_outcomes() -> None:
    recent = {"i": outcome("i", "a b"), "j": outcome("j", "b c"), "u": outcome("u", None), "z": outcome("z", "z")}
    assert streams_of_all(recent, ["i", "j", "u"]) == {"a", "b", "c"}
    assert streams_of_all(recent, []) == frozenset()
