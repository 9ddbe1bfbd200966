"""The newest objects of a quarantine, while it grows and shrinks; and that a look lists no more than it needs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from tidemill.contract.request import Request, encode
from tidemill_consumers.adapters.quarantine import Quarantine, object_key
from tidemill_consumers.core.batch import Arrival, Position, Quarantined
from tidemill_consumers.operations import newest
from tidemill_consumers.operations.newest import Newest
from tidemill_consumers.operations.redrive import Objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidemill_local.emulator import Emulator

DAY = 86_400.0
NOON = 1_764_072_000.0  # 2025-11-25, UTC
BUCKET = "newest"


def poison(number: int, shard: str = "a1/shardId-0", arrived: float = NOON) -> Quarantined:
    request = Request(id=f"i{number}", cmd="x", key="k", client="c", writer="w", counter=number, data={})
    at = Arrival(shard, Position(10**55 + number, 0), arrived, "k", request, encode(request))
    return Quarantined(at, "unknown command x")


@pytest.fixture
def s3(emulator: Emulator) -> Iterator[Any]:
    client = emulator.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield client
    for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    client.delete_bucket(Bucket=BUCKET)


class Listed:
    """A client that remembers what was listed, in pages of three."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3
        self.keys: list[str] = []
        self.calls = 0

    def list_objects_v2(self, **asked: Any) -> Any:
        asked = {name: value for name, value in asked.items() if value is not None}
        page = self._s3.list_objects_v2(**asked, MaxKeys=3)
        self.calls += 1
        self.keys += [one["Key"] for one in page.get("Contents", ())]
        return page


def ids(look: Newest) -> list[str | None]:
    return sorted([one.kept.id if one.kept else None for one in look.look()], key=str)


def stored(s3: Any, *every: Quarantined) -> None:
    Quarantine(s3, BUCKET).store(every)


def test_the_last_of_each_shard_of_the_last_days_are_found(s3: Any) -> None:
    look = Newest(s3, BUCKET, Objects(s3, BUCKET), count=3)
    assert look.look() == []
    stored(s3, *[poison(number, arrived=NOON - DAY) for number in range(5)])
    assert ids(look) == ["i2", "i3", "i4"]
    stored(s3, poison(7, "a1/shardId-1"), poison(8, "shardId-old"))
    assert len(ids(look)) == 3
    stored(s3, poison(9))
    assert set(ids(look)) == {"i7", "i8", "i9"}, "a day that has enough of them is the last that is looked at"


class Timed(Listed):
    """A client of a bucket in which each object was stored later by its number, in seconds."""

    def list_objects_v2(self, **asked: Any) -> Any:
        page = super().list_objects_v2(**asked)
        for one in page.get("Contents", ()):
            number = int(one["Key"].rpartition("/")[2].partition("-")[0]) - 10**55
            one["LastModified"] = datetime.fromtimestamp(NOON + number, UTC)
        return page


def test_of_several_shards_those_that_were_stored_last_are_found_the_newest_first(s3: Any) -> None:
    stored(s3, *[poison(number, "a1/shardId-1" if number % 3 else "a1/shardId-2") for number in range(9)])
    look = Newest(Timed(s3), BUCKET, Objects(s3, BUCKET), count=4)  # type: ignore[arg-type]
    assert [one.kept.id if one.kept else None for one in look.look()] == ["i8", "i7", "i6", "i5"]


def test_what_was_listed_is_not_listed_again(s3: Any) -> None:
    listed = Listed(s3)
    look = Newest(listed, BUCKET, Objects(s3, BUCKET), count=2)  # type: ignore[arg-type]
    stored(s3, *[poison(number) for number in range(10)])
    assert ids(look) == ["i8", "i9"]
    assert len(listed.keys) == 10 + 3, "three to know that there is no folder"
    listed.keys.clear()
    stored(s3, poison(10))
    assert ids(look) == ["i10", "i9"]
    assert len(listed.keys) == 3 + 3


def test_what_is_gone_makes_room_for_older_ones(s3: Any) -> None:
    look = Newest(s3, BUCKET, Objects(s3, BUCKET), count=2)
    stored(s3, *[poison(number) for number in range(4)])
    assert ids(look) == ["i2", "i3"]
    Objects(s3, BUCKET).move(object_key(poison(3)))
    assert ids(look) == ["i1", "i2"]
    for number in range(3):
        Objects(s3, BUCKET).move(object_key(poison(number)))
    assert ids(look) == []


def test_a_look_makes_a_bounded_number_of_calls(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest, "MOST_CALLS", 5)
    listed = Listed(s3)
    stored(s3, *[poison(number) for number in range(30)])
    look = Newest(listed, BUCKET, Objects(s3, BUCKET), count=2)  # type: ignore[arg-type]
    look.look()
    assert listed.calls == 5
    for _ in range(40):
        found = ids(look)
    assert found == ["i28", "i29"], "later looks go on behind what the first has listed"
