"""The media-sharing application's rules. Values only."""

import pytest

from tidemill.request import Document, Request
from tidemill_consumers.core.batch import Accepted, Rejected, State
from tidemill_consumers.rules import RULES


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
