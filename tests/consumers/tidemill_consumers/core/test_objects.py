"""Which objects a fold stores, how many it takes, and how many a plan does. Values only."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from tidemill.contract.places import object_name
from tidemill.contract.request import Request, encode
from tidemill_consumers.core.batch import Accepted, Arrival, Blob, Entity, Object, Plan, Position, State, Write, ref
from tidemill_consumers.core.calling.objects import MAX_OBJECT_BYTES as MAX_OF_REQUEST
from tidemill_consumers.core.folding.budget import MAX_OBJECT_BYTES
from tidemill_consumers.core.folding.objects import LEAST_WEIGHT, MOST_STORED, named_by, weight_of
from tidemill_consumers.core.plan import plan


def draw(state: State, request: Request) -> Accepted:
    """The document has the latest picture; the size of a picture is told, and its first byte is the request's."""
    blob = Blob(bytes([request.data["n"]]) + bytes(request.data.get("size", 1) - 1), "image/png")
    return Accepted({"picture": ref(blob)}, objects=(blob,))


def keep(state: State, request: Request) -> Accepted:
    """The document has all pictures so far."""
    blob = Blob(bytes([request.data["n"]]))
    return Accepted({"pictures": [*(state or {"pictures": []})["pictures"], ref(blob)]}, objects=(blob,))


def touch(state: State, request: Request) -> Accepted:
    return Accepted({**(state or {}), "touched": True})


def erase(state: State, request: Request) -> Accepted:
    return Accepted(None)


def name(state: State, request: Request) -> Accepted:
    return Accepted({"named": request.data["name"]})


RULES = {"draw": draw, "keep": keep, "touch": touch, "erase": erase, "name": name}


def arrival(place: int, cmd: str = "draw", key: str = "k", **data: object) -> Arrival:
    request = Request(id=f"r{place}", cmd=cmd, key=key, writer="w", counter=place, data={"n": place, **data})
    return Arrival("s", Position(place, 0), 1000.0 + place, key, request, encode(request))


def planned(*arrivals: Arrival, entity: Entity | None = None) -> Plan:
    return plan(arrivals, {"k": entity} if entity else {}, RULES, 86_400.0)


def fold(*arrivals: Arrival, entity: Entity | None = None) -> Write:
    (write,) = planned(*arrivals, entity=entity).writes
    return write


def stored(write: Write) -> list[bytes]:
    return [one.data for one in write.objects]


def name_of(data: bytes) -> str:
    return object_name(sha256(data).hexdigest())


def test_a_reference_tells_name_size_and_type() -> None:
    empty = "objects/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert ref(Blob(b"")) == {"object": empty, "bytes": 0, "type": "application/octet-stream"}
    assert ref(Blob(b"x" * 7, "image/png"))["bytes"] == 7
    assert ref(Blob(b"x", "image/png"))["type"] == "image/png"


def test_an_object_is_stored_under_the_hash_of_its_bytes_with_its_type() -> None:
    assert fold(arrival(1)).objects == (Object(name_of(b"\x01"), b"\x01", "image/png"),)


def test_only_what_the_last_document_names_is_stored() -> None:
    assert stored(fold(arrival(1), arrival(2), arrival(3))) == [b"\x03"]
    assert stored(fold(arrival(1), arrival(2), arrival(3, "erase"))) == []
    assert stored(fold(arrival(1, "keep"), arrival(2, "keep"))) == [b"\x01", b"\x02"]


def test_an_object_is_stored_that_a_later_request_of_the_batch_leaves_in_the_document() -> None:
    assert stored(fold(arrival(1), arrival(2, "touch"))) == [b"\x01"]


def test_what_an_earlier_batch_stored_is_not_stored_again() -> None:
    before = fold(arrival(1, "keep")).new_entity
    assert stored(fold(arrival(2, "keep"), entity=before)) == [b"\x02"]
    assert stored(fold(arrival(2, "touch"), entity=before)) == []


def test_equal_bytes_are_one_object() -> None:
    assert stored(fold(arrival(1, "keep"), arrival(2, "keep", n=1))) == [b"\x01"]


def test_a_name_that_was_taken_out_may_be_taken_back_in_the_same_batch() -> None:
    assert stored(fold(arrival(1), arrival(2), arrival(3, "name", name=name_of(b"\x01")))) == [b"\x01"]
    assert stored(fold(arrival(1), arrival(2, "name", name=f"see {name_of(bytes([1]))}!"))) == [b"\x01"]


def test_a_redelivery_stores_nothing() -> None:
    before = fold(arrival(1)).new_entity
    assert stored(fold(arrival(1), entity=before)) == []


def test_a_key_whose_objects_have_8_mib_waits() -> None:
    arrivals = [arrival(n, size=MAX_OF_REQUEST) for n in range(1, 11)]
    write = fold(*arrivals)
    assert write.stopped == Position(9, 0)
    assert [len(one.data) for one in write.objects] == [MAX_OF_REQUEST]
    rest = fold(*arrivals[8:], entity=write.new_entity)
    assert rest.stopped is None
    assert [one.data[0] for one in rest.objects] == [10]


def test_an_object_that_comes_again_counts_once() -> None:
    most = MAX_OBJECT_BYTES // MAX_OF_REQUEST
    assert fold(*[arrival(n, n=1, size=MAX_OF_REQUEST) for n in range(1, 2 * most)]).stopped is None


def test_a_plan_with_enough_objects_leaves_other_keys_for_the_next() -> None:
    most = MOST_STORED // MAX_OF_REQUEST
    made = planned(*[arrival(n, key=f"k{n}", size=MAX_OF_REQUEST) for n in range(1, most + 4)])
    assert len(made.writes) == most
    assert made.not_begun == {f"k{n}": Position(n, 0) for n in range(most + 1, most + 4)}


@pytest.mark.parametrize(
    ("sizes", "weight"), [([], 0), ([1], LEAST_WEIGHT), ([LEAST_WEIGHT + 1, 2], 2 * LEAST_WEIGHT + 1)]
)
def test_a_small_object_weighs_as_much_as_its_call_takes(sizes: list[int], weight: int) -> None:
    assert weight_of(Object("o", bytes(size), "t/t") for size in sizes) == weight


def test_a_document_names_an_object_by_key_and_in_depth_too() -> None:
    objects = {name_of(data): Object(name_of(data), data, "t/t") for data in (b"a", b"b", b"c")}
    document = {name_of(b"a"): [{"deep": [name_of(b"b")]}], "short": name_of(b"c")[:-1]}
    assert [one.data for one in named_by(document, objects)] == [b"a", b"b"]
    assert named_by(None, objects) == ()


@pytest.mark.parametrize(
    ("blob", "what"),
    [
        (Blob("text"), "a Blob's data must be bytes, not str"),  # type: ignore[arg-type]
        (Blob(bytearray(b"x")), "a Blob's data must be bytes, not bytearray"),  # type: ignore[arg-type]
        (b"text", "ref takes a Blob, not bytes"),
    ],
)
def test_a_reference_is_to_bytes_alone(blob: Any, what: str) -> None:
    with pytest.raises(TypeError, match=what):
        ref(blob)
