"""Redriving: what is found, in which steps it is put back, and that nothing is moved before it is on the stream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tidemill.contract.request import Request, encode
from tidemill_consumers.adapters.quarantine import MOST_BYTES, Kept, Quarantine, body, object_key
from tidemill_consumers.core.batch import Arrival, Position, Quarantined, Unreadable
from tidemill_consumers.core.folding.depth import why_looped
from tidemill_consumers.core.folding.fold import WHY_UNTOLD
from tidemill_consumers.operations.redrive import (
    DONE_PREFIX,
    HELD_BACK,
    IN_DOUBT,
    MAY_BE_REPEAT,
    MAY_LOOP,
    Found,
    Objects,
    Redriven,
    Wait,
    Wanted,
    oldest_first,
    redrive,
    steps,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill_local.emulator import Emulator

DAY = 86_400.0
NOON = 1_764_072_000.0  # 2025-11-25, UTC


def poison(number: int, *, key: str = "k", reason: str = "unknown command x", arrived: float = NOON) -> Quarantined:
    request = Request(id=f"i{number}", cmd="x", key=key, client="c", writer="w", counter=number, data={})
    return Quarantined(Arrival("s", Position(number, 0), arrived, key, request, encode(request)), reason)


def of_stage(number: int) -> Quarantined:
    request = Request(id=f"i{number}", cmd="x", key="k", writer="stage/g/x", counter=number, data={})
    return Quarantined(Arrival("s", Position(number, 0), NOON, "k", request, encode(request)), "the rule raised")


def rubbish(number: int) -> Quarantined:
    at = Unreadable("s", Position(number, 0), NOON, "k", b"\xff", "not UTF-8")
    return Quarantined(at, at.reason)


def untold(number: int) -> Quarantined:
    return poison(number, reason=WHY_UNTOLD)


class Stream:
    """Takes requests; refuses those whose ids it is told."""

    def __init__(self, refused: str = "") -> None:
        self.refused = refused
        self.put_ids: list[str] = []

    def put(self, request: Request) -> Wait:
        self.put_ids.append(request.id)
        return lambda: "refused" if request.id == self.refused else None


@pytest.fixture
def store(emulator: Emulator, bucket: str) -> Callable[..., Objects]:
    """Quarantines; the objects as an operator sees them."""

    def make(*every: Quarantined) -> Objects:
        assert Quarantine(emulator.client("s3"), bucket).store(every) == ()
        return Objects(emulator.client("s3"), bucket)

    return make


@pytest.fixture
def lying(emulator: Emulator, bucket: str) -> Callable[[], list[str]]:
    def look() -> list[str]:
        return [one["Key"] for one in emulator.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]

    return look


def found_in(objects: Objects, wanted: Wanted | None = None) -> list[Found]:
    return oldest_first(one for one in objects.find(wanted or Wanted()) if one)


def ids(found: list[Found]) -> list[str | None]:
    return [one.kept.id if one.kept else None for one in found]


def test_all_is_found_oldest_first(store: Callable[..., Objects]) -> None:
    objects = store(poison(10), poison(9), poison(1, arrived=NOON + DAY), poison(2, arrived=NOON - DAY))
    found = found_in(objects)
    assert ids(found) == ["i2", "i9", "i10", "i1"]
    assert {one.problem for one in found} == {None}
    assert found[1].object_key == object_key(poison(9))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(reason="raised"), ["i3"]),
        (Wanted(key="other"), ["i2"]),
        (Wanted(since=NOON), ["i2", "i3"]),
        (Wanted(until=NOON), ["i1"]),
        (Wanted(since=NOON + 1, until=NOON + DAY), []),
        (Wanted(since=NOON, until=NOON + DAY), ["i2"]),
    ],
)
def test_only_what_is_wanted_is_found(store: Callable[..., Objects], wanted: Wanted, expected: list[str]) -> None:
    objects = store(
        poison(1, arrived=NOON - DAY),
        poison(2, key="other"),
        poison(3, reason="the rule raised KeyError: 'x'", arrived=NOON + DAY),
    )
    assert ids(found_in(objects, wanted)) == expected


def test_what_cannot_be_redriven_is_found_with_the_reason(
    store: Callable[..., Objects], emulator: Emulator, bucket: str
) -> None:
    objects = store(rubbish(1))
    emulator.client("s3").put_object(Bucket=bucket, Key="quarantine/notes.txt", Body=b"mine")
    notes, bytes_ = found_in(objects)
    assert notes.kept is None
    assert "not an object of the quarantine" in (notes.problem or "")
    assert bytes_.problem == "no request: not UTF-8"
    assert ids(found_in(objects, Wanted(reason="UTF-8"))) == [None]


def test_what_the_stage_wrote_is_not_put_back(store: Callable[..., Objects]) -> None:
    """Its next window has the amount too; on the clients' stream nobody would believe it, or it would count as one."""
    (found,) = found_in(store(of_stage(1)))
    assert found.problem == "of the analytics stage: the next window of its key has the same amount too"


def test_hostile_objects_stay_with_the_reason_and_the_others_are_put_back(
    store: Callable[..., Objects], emulator: Emulator, bucket: str, lying: Callable[[], list[str]]
) -> None:
    objects = store(poison(1))
    whole = body_of(emulator, bucket)
    hostile = {
        "huge": b'{"reason": "' + b"x" * MOST_BYTES + b'"}',
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
        "list": b"[]",
        "key": json.dumps(json.loads(whole) | {"key": 7}).encode(),
        "sequence": json.dumps(json.loads(whole) | {"sequence": "1e9"}).encode(),
        "payload": json.dumps(json.loads(whole) | {"payload": "/////w=="}).encode(),
    }
    for name, stored in hostile.items():
        emulator.client("s3").put_object(Bucket=bucket, Key=f"quarantine/dt=2026-01-01/{name}", Body=stored)
    found = found_in(objects)
    problems = {one.object_key.rpartition("/")[2]: one.problem for one in found if one.problem}
    assert problems.keys() == hostile.keys()
    assert problems["huge"] == "not an object of the quarantine: it has more than 16 MiB"
    assert [one.outcome for one in redrive(objects, found, Stream().put)] == ["redriven"]
    assert {one.rpartition("/")[2] for one in lying() if one.startswith("quarantine/")} == hostile.keys()


@pytest.mark.parametrize("arrived", [1e300, -1.0, 253_402_300_800.0])
def test_an_object_that_arrived_at_no_time_is_found_with_the_reason(
    store: Callable[..., Objects], emulator: Emulator, bucket: str, arrived: float
) -> None:
    objects = store(poison(1))
    body = json.loads(body_of(emulator, bucket)) | {"arrived": arrived}
    emulator.client("s3").put_object(Bucket=bucket, Key="quarantine/dt=2026-01-01/hostile", Body=json.dumps(body))
    problems = [one.problem for one in found_in(objects)]
    assert sorted(problem or "" for problem in problems) == [
        "",
        "not an object of the quarantine: it arrived at no time",
    ]


def test_an_object_that_was_replaced_since_it_was_found_stays_and_the_others_go(
    store: Callable[..., Objects], emulator: Emulator, bucket: str
) -> None:
    objects = store(poison(1, key="a"), poison(2, key="b"))
    found = found_in(objects)
    emulator.client("s3").put_object(Bucket=bucket, Key=found[0].object_key, Body=b"[" * 100_000)
    became = {one.object_key: one.outcome for one in redrive(objects, found, Stream().put)}
    assert became == {found[0].object_key: "failed", found[1].object_key: "redriven"}


def body_of(emulator: Emulator, bucket: str) -> bytes:
    """The bucket's only object."""
    s3 = emulator.client("s3")
    (entry,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    body: bytes = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
    return body


def test_a_records_parts_are_found_by_each_of_them_and_counted(store: Callable[..., Objects]) -> None:
    wrong = [Unreadable("s", Position(7, n), NOON, f"k{n}", b"\xff", f"reason {n}") for n in range(5)]
    objects = store(*[Quarantined(one, one.reason) for one in wrong])
    (found,) = found_in(objects, Wanted(reason="reason 4", key="k4"))
    assert (found.count, found.problem) == (
        5,
        "no request: 5 parts that are no requests: reason 0; reason 1; reason 2; …",
    )
    assert found_in(objects, Wanted(reason="reason 4", key="k3")) == [], "both of one part"
    assert found_in(objects, Wanted(reason="reason 5")) == []


def test_what_is_put_back_is_moved_and_the_rest_stays(
    store: Callable[..., Objects], lying: Callable[[], list[str]]
) -> None:
    objects = store(poison(1), poison(2), rubbish(3))
    stream = Stream(refused="i2")
    done = list(redrive(objects, found_in(objects), stream.put))
    assert stream.put_ids == ["i1", "i2"]
    assert sorted(done, key=lambda one: one.object_key) == [
        Redriven(object_key(poison(1)), "redriven"),
        Redriven(object_key(poison(2)), "failed", "refused"),
    ]
    moved = DONE_PREFIX + object_key(poison(1)).removeprefix("quarantine/")
    assert set(lying()) == {moved, object_key(poison(2)), object_key(rubbish(3))}
    assert objects.read(moved) == body(poison(1))


def test_what_somebody_else_put_back_meanwhile_is_left_alone(
    store: Callable[..., Objects], lying: Callable[[], list[str]]
) -> None:
    objects = store(poison(1), poison(2))
    found = found_in(objects)
    objects.move(found[0].object_key)
    stream = Stream()
    outcomes = {one.object_key: one.outcome for one in redrive(objects, found, stream.put)}
    assert outcomes == {object_key(poison(1)): "gone", object_key(poison(2)): "redriven"}
    assert stream.put_ids == ["i2"]
    assert len(lying()) == 2


def test_moving_twice_changes_nothing(store: Callable[..., Objects], lying: Callable[[], list[str]]) -> None:
    objects = store(poison(1))
    objects.move(object_key(poison(1)))
    objects.move(object_key(poison(1)))
    assert lying() == [DONE_PREFIX + object_key(poison(1)).removeprefix("quarantine/")]


@pytest.fixture
def unmovable(new_client: Callable[[str], Any], bucket: str) -> Objects:
    """The bucket as an operator sees it who may read only."""
    s3 = new_client("s3")

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "CopyObject")

    s3.meta.events.register("before-call.s3.CopyObject", refuse)
    return Objects(s3, bucket)


def test_what_cannot_be_moved_is_told(store: Callable[..., Objects], unmovable: Objects) -> None:
    (done,) = redrive(unmovable, found_in(store(poison(1))), Stream().put)
    assert (done.outcome, done.object_key) == ("failed", object_key(poison(1)))
    assert "it is on the stream, but cannot be moved" in (done.problem or "")


def test_while_nothing_can_be_moved_no_more_of_a_key_is_put_back_than_its_entity_knows(
    store: Callable[..., Objects], unmovable: Objects
) -> None:
    hot = [poison(number) for number in range(2 * IN_DOUBT + 6)]
    found = found_in(store(*hot, poison(998, key="other"), poison(999, key="another")))
    stream = Stream()
    done = list(redrive(unmovable, found, stream.put))
    assert stream.put_ids == [f"i{number}" for number in range(IN_DOUBT)] + ["i998", "i999"]
    assert sorted(one.object_key for one in done) == sorted(one.object_key for one in found), "each is told of"
    assert {one.outcome for one in done} == {"failed"}
    held_back = [one.object_key for one in done if one.problem == HELD_BACK]
    assert held_back == [object_key(one) for one in hot[IN_DOUBT:]]

    again = Stream()
    list(redrive(unmovable, found, again.put))
    assert again.put_ids == stream.put_ids, "the next run begins with the same, which its entity knows"


def test_once_a_request_may_not_be_on_the_stream_those_of_its_key_behind_it_wait(store: Callable[..., Objects]) -> None:
    found = found_in(store(*[poison(number) for number in range(IN_DOUBT + 1)], poison(999, key="other")))
    stream = Stream(refused="i5")
    done = {one.object_key: one for one in redrive(store(), found, stream.put)}
    assert stream.put_ids == [*[f"i{number}" for number in range(IN_DOUBT)], "i999"]
    assert done[object_key(poison(IN_DOUBT))].problem == HELD_BACK
    assert sum(one.outcome == "redriven" for one in done.values()) == IN_DOUBT


def test_a_bucket_that_is_not_there_is_an_error(emulator: Emulator) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        list(Objects(emulator.client("s3"), "nowhere").find(Wanted()))


def test_few_of_a_key_are_in_doubt_at_a_time() -> None:
    def found(number: int, key: str) -> Found:
        return Found(f"{number}", Kept("r", "i", "c", key, "s", "1", 0, 0.0, b""), None)

    every = [found(number, "hot" if number % 2 else f"k{number}") for number in range(400)]
    made = list(steps(every))
    assert [one for step in made for one in step] == every
    assert max(sum(one.kept is not None and one.kept.key == "hot" for one in step) for step in made) == IN_DOUBT
    assert [len(step) for step in steps(every, most=150, of_a_key=1000)] == [150, 150, 100]
    assert list(steps([])) == []


def test_what_cannot_be_told_from_a_repeat_stays_unless_it_is_asked_for(store: Callable[..., Objects]) -> None:
    objects = store(poison(1), untold(2))
    found = oldest_first(one for one in objects.find(Wanted()) if one)
    assert [one.problem for one in found] == [None, MAY_BE_REPEAT]
    stream = Stream()
    assert [one.outcome for one in redrive(objects, found, stream.put)] == ["redriven"]
    asked_for = [one for one in objects.find(Wanted(untold=True)) if one]
    assert [one.problem for one in asked_for] == [None]
    assert [one.outcome for one in redrive(objects, asked_for, stream.put)] == ["redriven"]
    assert stream.put_ids == ["i1", "i2"]


def test_what_looped_stays_unless_it_is_asked_for(store: Callable[..., Objects]) -> None:
    objects = store(poison(1, reason=why_looped(17, 16)), untold(2))
    found = oldest_first(one for one in objects.find(Wanted()) if one)
    assert [one.problem for one in found] == [MAY_LOOP, MAY_BE_REPEAT]
    found = oldest_first(one for one in objects.find(Wanted(loops=True)) if one)
    assert [one.problem for one in found] == [None, MAY_BE_REPEAT]
    stream = Stream()
    assert [one.outcome for one in redrive(objects, found[:1], stream.put)] == ["redriven"]
    assert stream.put_ids == ["i1"]
