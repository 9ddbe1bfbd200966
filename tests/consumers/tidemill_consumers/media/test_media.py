"""The media-sharing application's rules. Values only."""

import pytest

from tidemill.contract.request import Document, Request
from tidemill_consumers.core.batch import Accepted, Emit, Rejected, State
from tidemill_consumers.media import RULES
from tidemill_consumers.testing import Trial


def decide(cmd: str, state: State, data: Document, key: str = "content/1") -> Accepted | Rejected:
    return RULES[cmd](state, Request(id="i", cmd=cmd, key=key, client="me", data=data))


def test_content_lives_and_dies() -> None:
    state: State = None
    for cmd, data in [
        ("content.view", {}),
        ("content.publish", {"title": "A"}),
        ("content.like", {}),
        ("content.view", {}),
        ("content.update", {"title": "B"}),
    ]:
        outcome = decide(cmd, state, data)
        assert isinstance(outcome, Accepted)
        state = outcome.state
    assert state == {"title": "B", "owner": "me", "views": 2, "likes": 1}
    outcome = decide("content.delete", state, {})
    assert isinstance(outcome, Accepted)
    for cmd in ("content.view", "content.like", "content.publish", "content.update", "content.delete"):
        assert isinstance(decide(cmd, outcome.state, {"title": "C"}), Rejected), cmd


@pytest.mark.parametrize(("cmd", "counter"), [("content.view", "views"), ("content.like", "likes")])
def test_views_and_likes_may_come_as_amounts(cmd: str, counter: str) -> None:
    media = Trial(RULES)
    for _ in range(3):
        assert media.send(cmd, key="content/1", data={"stars": 5}).status == "accepted"
    media.add(cmd, 4, key="content/1")
    assert media.document("content/1") == {counter: 7}
    gone = Trial(RULES, {"content/1": {"deleted": True}})
    assert (gone.add(cmd, 4, key="content/1").error, gone.document("content/1")) == (
        "it was deleted",
        {"deleted": True},
    )


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"name": "R2D2", "email": "a@b.org"}, "user/a@b.org"),
        ({"name": "   ", "email": "a@b.org"}, "user/a@b.org"),
        ({"name": "Ann", "email": "a@b"}, "user/a@b"),
        ({"name": "Ann", "email": "no address"}, "user/no address"),
        ({"name": "Ann", "email": "a@b.org"}, "user/somebody@else.org"),
        ({"name": "Ann"}, "user/a@b.org"),
        ({"name": 7, "email": "a@b.org"}, "user/a@b.org"),
    ],
)
def test_a_user_who_is_not_valid_is_rejected(data: Document, key: str) -> None:
    assert isinstance(decide("user.create", None, data, key), Rejected)


def test_an_address_makes_one_user() -> None:
    ann = {"name": "Ann Lee", "email": "Ann@B.org"}
    created = decide("user.create", None, ann, "user/ann@b.org")
    assert isinstance(created, Accepted)
    assert isinstance(decide("user.create", created.state, ann, "user/ann@b.org"), Rejected)


def test_whoever_deletes_content_has_it_counted_to_its_owner() -> None:
    published = decide("content.publish", None, {"title": "A"})
    assert isinstance(published, Accepted)
    deleted = decide("content.delete", published.state, {})
    assert isinstance(deleted, Accepted)
    assert deleted.emits == (Emit("user.deleted_content", "user/me", {"content": "content/1"}),)
    counted = decide("user.deleted_content", {"deleted_contents": 1}, {"content": "content/1"}, "user/me")
    assert counted == Accepted({"deleted_contents": 2})


@pytest.mark.parametrize("owner", [None, "x" * 252])
def test_content_whose_owner_has_no_key_is_deleted_all_the_same(owner: str | None) -> None:
    assert decide("content.delete", {"title": "A", "owner": owner}, {}) == Accepted({"deleted": True})


def test_signing_up_and_a_deleted_content_may_come_in_either_order() -> None:
    ann = {"name": "Ann Lee", "email": "ann@b.org"}
    ends = []
    for order in (["user.create", "user.deleted_content"], ["user.deleted_content", "user.create"]):
        state: State = None
        for cmd in order:
            outcome = decide(cmd, state, ann, "user/ann@b.org")
            assert isinstance(outcome, Accepted)
            state = outcome.state
        ends.append(state)
    assert ends == [{"name": "Ann Lee", "email": "ann@b.org", "deleted_contents": 1}] * 2
