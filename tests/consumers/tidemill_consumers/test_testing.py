"""The face for applications' own tests: it does with a request what the apply function does."""

from typing import Any

import pytest

from tidemill import UnsendableRequest
from tidemill.contract.request import Request
from tidemill_consumers import Accepted, Aggregatable, Blob, Emit, Internal, Rejected, Rules, State, Verified, ref
from tidemill_consumers.testing import EndlessEmits, Outcome, Trial


def reserve(state: State, request: Request) -> Accepted | Rejected:
    stock = (state or {}).get("stock", 0)
    count = request.data.pop("count")
    if stock < count:
        return Rejected("sold out")
    emits = (Emit("user.notify", f"user/{request.client}", {"item": request.key}, request.client),)
    return Accepted({"stock": stock - count}, {"left": stock - count}, emits)


def notify(state: State, request: Request) -> Accepted:
    told = (state or {"told": []})["told"]
    return Accepted({"told": [*told, request.data["item"]]})


def again(state: State, request: Request) -> Accepted:
    return Accepted(state, emits=(Emit("again", request.key or ""),))


def double(state: State, request: Request) -> Accepted:
    return Accepted(state, emits=2 * (Emit("double", request.key or ""),))


def tell(state: State, request: Request) -> Accepted:
    return Accepted(state, emits=(Emit("pay", "account/1", client=request.client),))


def pay(state: State, request: Request) -> Accepted:
    return Accepted({"paid_by": request.client})


def draw(state: State, request: Request) -> Accepted:
    picture = Blob(request.data["picture"].encode(), "image/svg+xml")
    return Accepted({"picture": ref(picture)}, objects=(picture,))


RULES: Rules = {
    "draw": draw,
    "item.reserve": reserve,
    "user.notify": notify,
    "again": again,
    "double": double,
    "tell": tell,
    "pay": Verified(pay),
    "paid": Internal(pay),
    "bill": lambda state, request: Accepted(state, emits=(Emit("paid", "account/1", client=request.client),)),
    "number": lambda state, request: Accepted({"n": 1.0, "big": 2**70, "none": None, "list": [0.1]}),
}


@pytest.fixture
def shop() -> Trial:
    return Trial(RULES, {"item/42": {"stock": 1}})


def test_a_request_is_applied_answered_and_followed(shop: Trial) -> None:
    sold = shop.send("item.reserve", key="item/42", data={"count": 1}, client="ann", at=7)
    assert (sold.status, sold.data, sold.error, sold.traceback) == ("accepted", {"left": 0}, None, "")
    assert sold.request.data == {"count": 1}, "as it was before the rule took it apart"
    assert (sold.request.client, sold.request.at) == ("ann", 7)
    assert shop.document("item/42") == {"stock": 0}
    (emitted,) = sold.emits
    assert (emitted.cmd, emitted.key, emitted.data) == ("user.notify", "user/ann", {"item": "item/42"})
    assert shop.document("user/ann") == {"told": ["item/42"]}
    assert [one.request.id for one in shop.outcomes] == [sold.request.id, emitted.id]


def test_data_may_be_as_large_as_a_producer_uploads() -> None:
    def keep(state: State, request: Request) -> Accepted:
        return Accepted({"size": len(request.data["text"]), "ref": str(request.ref)})

    trial = Trial({"keep": keep})
    kept = trial.send("keep", key="k", data={"text": "x" * 1_000_000}, client="ann")
    assert (kept.status, len(kept.request.data["text"])) == ("accepted", 1_000_000)
    assert trial.document("k") == {"size": 1_000_000, "ref": "None"}
    for data, client in [({"text": "x" * 6_000_000}, "ann"), ({"text": "x" * 1_000_000}, None)]:
        with pytest.raises(UnsendableRequest):
            trial.send("keep", key="k", data=data, client=client)


def test_a_rejection_changes_nothing(shop: Trial) -> None:
    assert shop.send("item.reserve", key="item/42", data={"count": 2}).error == "sold out"
    assert shop.document("item/42") == {"stock": 1}
    assert shop.document("item/43") is None
    assert shop.quarantined == []


def test_what_no_rule_can_take_is_told_with_its_line(shop: Trial) -> None:
    found = shop.send("item.reserve", key="item/42")
    line = reserve.__code__.co_firstlineno + 2
    assert (found.status, shop.quarantined) == ("quarantined", [found])
    assert (
        found.error
        == f"the rule raised KeyError: 'count' (tests/consumers/tidemill_consumers/test_testing.py:{line}, in reserve)"
    )
    assert found.traceback.splitlines()[1:] == [
        f'  File "{__file__}", line {line}, in reserve',
        '    count = request.data.pop("count")',
    ]
    assert shop.send("item.resrve", key="item/42").error == "unknown command item.resrve"


def test_an_id_that_comes_again_has_the_outcome_of_its_own_request(shop: Trial) -> None:
    refused = shop.send("item.reserve", key="item/42", data={"count": 2}, id="one")
    taken = shop.send("number", key="item/42", id="one")
    assert (refused.status, taken.status) == ("rejected", "accepted")


def test_nobody_elses_hands_are_on_a_document() -> None:
    given: dict[str, Any] = {"list": [1]}
    shop = Trial(RULES, {"k": given})
    given["list"].append(2)
    found = shop.document("k")
    assert found == {"list": [1]}
    found["list"].append(3)
    assert shop.document("k") == {"list": [1]}


@pytest.mark.parametrize(
    ("verified", "status"),
    [(True, "accepted"), (False, "quarantined")],
)
def test_a_verified_rule_wants_a_proven_client(shop: Trial, verified: bool, status: str) -> None:
    assert shop.send("pay", key="account/1", client="ann", verified=verified).status == status
    shop.send("tell", key="k", client="ann", verified=verified)
    assert shop.outcomes[-1].request.cmd == "pay"
    assert shop.outcomes[-1].status == status, "and so it goes through what is emitted"
    assert shop.outcomes[-1].request.sig is None


def test_an_internal_rule_takes_what_is_emitted_and_no_client(shop: Trial) -> None:
    for verified in (False, True):
        assert shop.send("paid", key="account/1", client="ann", verified=verified).status == "quarantined"
    assert shop.send("paid", key="account/1", client="ann", internal=True).status == "accepted"
    shop.send("bill", key="k", client="ann")
    assert (shop.outcomes[-1].request.cmd, shop.outcomes[-1].status) == ("paid", "accepted")


def test_rules_that_emit_without_end_are_told_so(shop: Trial) -> None:
    with pytest.raises(EndlessEmits, match="double sets off more than 1000 requests"):
        shop.send("double", key="k")


def test_emits_that_loop_end_in_the_quarantine_at_the_limit() -> None:
    shop = Trial(RULES, emit_depth=3)
    shop.send("again", key="k")
    assert [one.status for one in shop.outcomes] == [*4 * ["accepted"], "quarantined"]
    assert (shop.outcomes[-1].request.depth, shop.outcomes[-1].error) == (
        4,
        "emits loop: depth 4, and 3 is the most: 4 emits led to it, one by one",
    )


def test_what_the_producer_refuses_is_refused(shop: Trial) -> None:
    with pytest.raises(UnsendableRequest, match=r"data\.when"):
        shop.send("number", key="n", data={"when": {1}})
    assert shop.outcomes == []


@pytest.mark.parametrize(
    ("rules", "documents", "problem"),
    [
        ({"a.b": 5}, {}, r"RULES\['a\.b'\] is int"),
        (RULES, {"k": {"x": {1}}}, "the document of k cannot be stored: set is not JSON"),
    ],
)
def test_what_cannot_be_tried_is_refused(rules: Any, documents: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Trial(rules, documents)


def test_the_names_are_documented() -> None:
    for one in (Trial, Trial.send, Trial.document, Outcome, Accepted, Emit, Rejected, Verified):
        assert one.__doc__


def test_objects_are_found_by_the_names_that_documents_have(shop: Trial) -> None:
    picture = Blob(b"<svg/>", "image/svg+xml")
    assert shop.send("draw", key="item/42", data={"picture": "<svg/>"}).objects == (picture,)
    document = shop.document("item/42")
    assert document is not None
    assert shop.objects[document["picture"]["object"]] == picture
    assert shop.send("number", key="item/42").objects == ()
    assert list(shop.objects.values()) == [picture]


def test_what_the_stage_brings_is_added_as_single_requests_are() -> None:
    def stocked(state: State, amount: int) -> Accepted | Rejected:
        stock = (state or {"stock": 0})["stock"] + amount
        return Rejected("full") if stock > 10 else Accepted({"stock": stock}, emits=(Emit("told", "owner"),))

    rules: Rules = {
        "stock": Aggregatable(stocked, sum="count"),
        "told": lambda state, request: Accepted({"told": True}),
    }
    shop = Trial(rules)
    assert shop.send("stock", key="item/1", data={"count": 2}).status == "accepted"
    brought = shop.add("stock", 5, key="item/1")
    assert (brought.status, brought.error, [one.cmd for one in brought.emits]) == ("accepted", None, ["told"])
    assert (shop.document("item/1"), shop.document("owner")) == ({"stock": 7}, {"told": True})
    refused = shop.add("stock", 4, key="item/1")
    assert (refused.status, refused.error) == ("rejected", "full")
    assert shop.add("stock", 3, key="item/1").status == "accepted"
    assert shop.send("stock", key="item/1", data={"count": "x"}).status == "rejected"
    with pytest.raises(ValueError, match="told is not in Aggregatable"):
        shop.add("told", 1, key="owner")
    with pytest.raises(ValueError, match="-1: requests never come to less than 0"):
        shop.add("stock", -1, key="item/1")


def test_an_amount_that_makes_a_rule_raise_is_quarantined() -> None:
    def careless(state: State, amount: int) -> Accepted:
        raise ValueError(f"{amount}")

    lost = Trial({"stock": Aggregatable(careless)}).add("stock", 5, key="item/1")
    assert lost.status == "quarantined"
    assert lost.error is not None
    assert lost.error.startswith("the rule raised ValueError: 5 (")
