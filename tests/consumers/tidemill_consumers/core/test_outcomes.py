"""Outcomes as text: what is told again is what was told."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.values import storable_texts, storable_values
from tidemill.contract.request import Reply
from tidemill_consumers.core.outcomes import (
    bytes_of_all,
    id_of,
    kept,
    of_stream,
    outcome_bytes,
    reply_of,
    streams_of,
    together,
)

replies = st.builds(
    Reply,
    storable_texts,
    st.sampled_from(["accepted", "rejected", "quarantined"]),
    storable_values,
    st.none() | storable_texts,
)


@settings(deadline=None)
@given(replies)
def test_an_outcome_comes_back_as_it_was(reply: Reply) -> None:
    outcome = kept(reply.id, reply)
    back = reply_of(outcome)
    assert back == reply
    assert repr(back) == repr(reply), "1.0 is not 1"
    assert id_of(outcome) == reply.id
    assert outcome_bytes(outcome) == 1 + len(outcome.encode())
    assert bytes_of_all([outcome, "é", ""]) == outcome_bytes(outcome) + 3 + 1


@given(storable_texts)
def test_one_that_is_not_known_any_more_keeps_its_id(request_id: str) -> None:
    outcome = kept(request_id, None)
    assert (id_of(outcome), reply_of(outcome)) == (request_id, None)


def test_what_is_empty_takes_no_room() -> None:
    assert kept("i", Reply("i", "accepted")) == '["i","accepted"]'
    assert kept("i", Reply("i", "accepted", {"left": 1})) == '["i","accepted",{"left":1}]'
    assert kept("i", Reply("i", "rejected", error="no")) == '["i","rejected",null,"no"]'


def test_an_outcome_names_its_stream_where_there_are_several() -> None:
    rejected = Reply("i", "rejected", error="no")
    assert kept("i", rejected, "b") == '["i","rejected",null,"no","b"]'
    assert kept("i", Reply("i", "accepted"), "b") == '["i","accepted",null,null,"b"]'
    assert kept("i", None, "b") == '["i",null,null,null,"b"]'
    assert [streams_of(kept("i", one, "b")) for one in (rejected, None)] == [{"b"}, {"b"}]
    assert [reply_of(kept("i", one, "b")) for one in (rejected, None)] == [rejected, None]
    assert [streams_of(kept("i", one)) for one in (rejected, None)] == [frozenset(), frozenset()]


def test_outcomes_that_name_no_stream_are_given_one() -> None:
    recent = {"i": kept("i", Reply("i", "rejected", error="no")), "u": kept("u", None), "v": kept("v", None, "a")}
    assert of_stream(recent, "b") == {
        "i": '["i","rejected",null,"no","b"]',
        "u": '["u",null,null,null,"b"]',
        "v": '["v",null,null,null,"a"]',
    }


def test_an_outcome_names_each_stream_that_its_request_came_by() -> None:
    assert together(None, "b") == "b"
    first = kept("i", None, together(None, "b"))
    assert streams_of(kept("i", None, together(first, "a"))) == {"a", "b"}
    assert streams_of(kept("i", None, together(first, "b"))) == {"b"}


def test_streams_are_told_of_long_outcomes_as_of_short_ones() -> None:
    for error in ("", "e" * 1000):
        text = kept("1", Reply("1", "rejected", error=error), "own other")
        assert streams_of(text) == {"own", "other"}
        assert streams_of(kept("1", Reply("1", "rejected", error=error))) == set()
