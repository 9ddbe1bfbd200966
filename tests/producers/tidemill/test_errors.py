"""What users read of a failure, and what they may catch."""

from __future__ import annotations

import re

import pytest
from botocore import exceptions

from tidemill.errors import (
    REMEDIES,
    SETTINGS,
    GivenUp,
    Left,
    Misconfigured,
    NotAccepted,
    OutcomeUnknown,
    StillPending,
    failure,
    unanswered,
)
from tidemill.sending.records import Refused


@pytest.mark.parametrize(("lost", "kind"), [(True, OutcomeUnknown), (False, NotAccepted)])
def test_what_may_be_stored_is_unknown_and_the_rest_is_not_accepted(lost: bool, kind: type[GivenUp]) -> None:
    found = failure(Refused("InternalFailure", "sorry", again=False, lost=lost))
    assert type(found) is kind
    assert (str(found), found.code) == ("InternalFailure: sorry", "InternalFailure")


@pytest.mark.parametrize("code", REMEDIES)
def test_a_remedy_stands_behind_what_happened(code: str) -> None:
    assert str(failure(Refused(code, "why", again=False))) == f"{code}: why ({REMEDIES[code]})"


OWN = {"Closed", "Dropped", "Expired", "MalformedResponse"}


@pytest.mark.parametrize("code", REMEDIES)
def test_a_remedys_code_is_one_that_occurs(code: str) -> None:
    """The service's, an exception of botocore's, or the SDK's own."""
    assert code in OWN or hasattr(exceptions, code) or re.fullmatch(r"[A-Z]\w+Exception", code)


def test_each_code_of_its_own_has_a_remedy() -> None:
    assert REMEDIES.keys() >= OWN


def test_what_is_pending_is_counted_and_is_a_time_out() -> None:
    pending = StillPending(3)
    assert (str(pending), pending.pending) == ("3 requests are not acknowledged yet", 3)
    assert str(StillPending(2, "answered")) == "2 requests are not answered yet"
    assert isinstance(pending, TimeoutError)


NOT_STORED = "the request is not answered yet: it is not on the stream yet, and the log says if that fails"
STORED = (
    "the request is on the stream and not answered yet: its batch may still be filling, or its function fail, which "
    "that one's log says"
)
UNHEARD = (
    ". Nor has any other reply been heard: perhaps the queue is not subscribed to the topic of replies, its policy does"
    " not let the topic send, or the subscription's filter is for another client; tidemill.reply_queue makes one that"
    " hears"
)


@pytest.mark.parametrize(
    ("is_stored", "hears", "said"),
    [
        (False, False, NOT_STORED),
        (False, True, NOT_STORED),
        (True, True, f"{STORED}. Other replies are heard"),
        (True, False, STORED + UNHEARD),
    ],
)
def test_what_is_not_answered_names_the_likely_causes(is_stored: bool, hears: bool, said: str) -> None:
    pending = StillPending(1, why=unanswered(is_stored=is_stored, hears=hears))
    assert (str(pending), pending.pending, pending.left) == (said, 1, None)


def test_settings_that_make_no_sense_have_a_remedy_that_names_both_places() -> None:
    assert "AWS_*" in SETTINGS
    assert "~/.aws/config" in SETTINGS


def test_a_setting_that_cannot_work_names_itself_and_the_remedy() -> None:
    problem = Misconfigured("region", "there is none", "set AWS_REGION")
    assert (str(problem), problem.field) == ("region: there is none; set AWS_REGION", "region")


@pytest.mark.parametrize(
    ("kept", "then"),
    [
        (0, "raise close_timeout, or give the producer a spool that keeps them for the next"),
        (2, "2 of them stay in the spool for the next producer"),
        (3, "they stay in the spool for the next producer"),
    ],
)
def test_what_is_left_at_the_end_is_told_with_what_becomes_of_it(kept: int, then: str) -> None:
    left = Left(3, 1, kept)
    assert str(left) == (
        "3 requests were not acknowledged when the producer was to end: "
        f"2 were not sent, 1 may be on the stream; {then}"
    )
    pending = StillPending(3, left=left)
    assert (str(pending), pending.pending, pending.left) == (str(left), 3, left)
