"""What becomes of requests with claim checks, by what lies there; by values."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tidemill.contract.claim_check import claim_check
from tidemill.contract.request import ClaimCheck, Request, encode
from tidemill_consumers.codec.uploads import redeemed, wanted
from tidemill_consumers.core.batch import Accepted, Arrival, Entity, Position, Proof, State, Write, fresh
from tidemill_consumers.core.folding.writers import checksum
from tidemill_consumers.core.plan import plan

DATA = {"rows": list(range(40)), "title": "Ebb"}
BODY = msgspec.json.encode(DATA)
REF = claim_check("ann", BODY)
GONE = "its upload is not there"


def arrival(n: int, ref: ClaimCheck | None = REF, key: str = "k", **changes: Any) -> Arrival:
    request = Request(id=f"i{n}", cmd="keep", key=key, client="ann", writer="w", counter=n, data={}, ref=ref)
    request = msgspec.structs.replace(request, **changes)
    return Arrival("s/0", Position(n, 0), float(n), key, request, encode(request), stream="requests")


def keep(state: State, request: Request) -> Accepted:
    """Keeps what it is given, and changes it."""
    seen = msgspec.to_builtins(request.data)
    request.data.clear()
    return Accepted({"seen": [*(state or {"seen": []})["seen"], seen], "ref": str(request.ref)}, {"n": len(seen)})


def planned(arrivals: Any, entity: Entity | None = None) -> Write:
    (write,) = plan(list(arrivals), {"k": entity} if entity else {}, {"keep": keep}, 86_400.0).writes
    return write


def test_a_rule_gets_the_data_and_no_ref() -> None:
    plain = arrival(2, ref=None, data={"a": 1})
    able, failed = redeemed([arrival(1), plain], {REF: BODY})
    assert not failed
    assert able[1] is plain
    write = planned(able)
    assert write.new_entity is not None
    assert write.new_entity.document == {"seen": [DATA, {"a": 1}], "ref": "None"}
    assert [one.reply.data for one in write.receipts] == [{"n": 2}, {"n": 1}]
    assert not write.quarantine


def test_it_can_be_planned_again_after_a_rule_has_changed_it() -> None:
    (able,), _ = redeemed([arrival(1)], {REF: BODY})
    planned([able])
    assert able.request.data == {}
    again = fresh(able)
    assert (again.request.data, again.request.ref) == (DATA, None)
    assert again.payload == arrival(1).payload


@pytest.mark.parametrize(
    ("one", "found", "reason"),
    [
        (arrival(1), {REF: GONE}, GONE),
        (arrival(1), {REF: BODY[:-1] + b"]"}, "the upload is not what ref says: its SHA-256 is another"),
        (arrival(1, client="bob"), {}, f"its ref is no upload of its client: '{REF.object}'"),
        (arrival(1, data={"a": 1}), {}, "both data and ref: data is empty where ref says where it lies"),
        (arrival(1, client=None), {}, "a ref, but no client whose upload it could be"),
    ],
)
def test_what_cannot_be_honoured_is_quarantined_whole_and_others_go_on(
    one: Arrival, found: dict[ClaimCheck, bytes | str], reason: str
) -> None:
    later = arrival(2, ref=None, data={"a": 1})
    able, failed = redeemed([one, later], found)
    assert not failed
    write = planned(able)
    ((quarantined, why, _),) = [(kept.arrival, kept.reason, kept.trace) for kept in write.quarantine]
    assert isinstance(quarantined, Arrival)
    assert (quarantined.payload, why) == (one.payload, reason)
    assert write.new_entity is not None
    assert write.new_entity.document == {"seen": [{"a": 1}], "ref": "None"}
    answers = [(reply.reply.id, reply.reply.status) for reply in write.receipts]
    assert answers == [("i1", "quarantined")] * (one.request.client is not None) + [("i2", "accepted")]


def test_what_cannot_be_read_now_waits_with_the_later_ones_of_its_key() -> None:
    arrivals = [arrival(1, ref=None), arrival(2), arrival(3, ref=None), arrival(4, key="other"), arrival(5)]
    other = claim_check("ann", b"{}")
    arrivals[3] = arrival(4, ref=other, key="other")
    able, failed = redeemed(arrivals, {other: b"{}"})
    assert [one.position.sequence for one in able] == [1, 4]
    assert [one.sequence for one in failed] == [2]


def test_each_upload_is_wanted_once_and_none_that_is_of_no_use() -> None:
    forged = msgspec.structs.replace(arrival(4, ref=claim_check("ann", b"{}")), proof=Proof("forged"))
    stranger = arrival(3, client="bob")
    arrivals = [arrival(1), arrival(2), stranger, forged, arrival(5, ref=None)]
    assert wanted(arrivals) == [REF]
    able, failed = redeemed(arrivals, {REF: BODY})
    assert (len(able), able[3], failed) == (5, forged, [])


def test_a_repeat_is_known_though_its_upload_has_gone() -> None:
    (first,), _ = redeemed([arrival(1)], {REF: BODY})
    entity = planned([first]).new_entity
    again = msgspec.structs.replace(arrival(1), position=Position(9, 0), tried=0.5)
    (repeat,), _ = redeemed([again], {REF: GONE})
    assert checksum(repeat) == checksum(first)
    write = planned([repeat], entity)
    assert (write.repeated, write.quarantine) == (1, ())
    assert [one.reply.status for one in write.receipts] == ["accepted"]


def test_a_redelivery_is_known_though_its_upload_has_gone() -> None:
    (first,), _ = redeemed([arrival(1)], {REF: BODY})
    entity = planned([first]).new_entity
    (again,), _ = redeemed([arrival(1)], {REF: GONE})
    write = planned([again], entity)
    assert (write.redelivered, write.quarantine, write.new_entity) == (1, (), None)
    assert [one.reply.status for one in write.receipts] == ["accepted"]
