"""Outcomes as text: what is told again is what was told."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill.request import Reply
from tidemill_consumers.core.outcomes import id_of, kept, outcome_bytes, reply_of
from values import storable_texts, storable_values

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


@given(storable_texts)
def test_one_that_is_not_known_any_more_keeps_its_id(request_id: str) -> None:
    outcome = kept(request_id, None)
    assert (id_of(outcome), reply_of(outcome)) == (request_id, None)


def test_what_is_empty_takes_no_room() -> None:
    assert kept("i", Reply("i", "accepted")) == '["i","accepted"]'
    assert kept("i", Reply("i", "accepted", {"left": 1})) == '["i","accepted",{"left":1}]'
    assert kept("i", Reply("i", "rejected", error="no")) == '["i","rejected",null,"no"]'
