"""What an answer to PutRecords means: every kind of entry and of refusal, and what it says of "may be stored"."""

from typing import Any

import pytest

from tidemill.sending.answers import AGAIN, SHOWN, UNREADABLE, outcome, outcomes, refused
from tidemill.sending.records import THROTTLED, Acknowledged, Refused

STORED = {"ShardId": "shardId-000000000001", "SequenceNumber": "7"}


def response(status: Any, code: Any = "Whatever", message: Any = "said so") -> dict[str, Any]:
    return {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}


def test_an_entry_tells_where_its_record_is() -> None:
    assert outcome(STORED) == Acknowledged("shardId-000000000001", "7")
    assert outcome(STORED | {"ErrorCode": None, "ErrorMessage": None}) == Acknowledged("shardId-000000000001", "7")


@pytest.mark.parametrize("code", sorted(AGAIN))
def test_a_refused_entry_that_may_pass(code: str) -> None:
    found = outcome({"ErrorCode": code, "ErrorMessage": "m"})
    assert found == Refused(code, "m", again=True, lost=code not in THROTTLED)


@pytest.mark.parametrize("message", [None, 7, "", "m"])
def test_a_refused_entry_that_does_not_pass(message: Any) -> None:
    entry = {"ErrorCode": "KMSAccessDeniedException", "ErrorMessage": message}
    assert outcome(entry) == Refused("KMSAccessDeniedException", str(message or ""), again=False, lost=False)
    assert outcome({"ErrorCode": "Whatever"}) == Refused("Whatever", "", again=False, lost=False)


def test_an_entry_that_says_both_may_be_stored() -> None:
    assert outcome(STORED | {"ErrorCode": "Whatever"}) == Refused("Whatever", "", again=True, lost=True)


@pytest.mark.parametrize(
    "entry",
    [None, 7, "x", [], {}, {"ShardId": "s"}, {"SequenceNumber": "1"}, {"ErrorCode": 7}, {"ErrorCode": ["x"]}]
    + [{"ShardId": one, "SequenceNumber": "1"} for one in (None, "", 7, ["s"])]
    + [{"ShardId": "s", "SequenceNumber": one} for one in (None, "", 7, ["1"])],
)
def test_any_other_entry_may_be_stored(entry: Any) -> None:
    found = outcome(entry)
    assert isinstance(found, Refused)
    assert (found.code, found.again, found.lost) == (UNREADABLE, True, True)


def test_an_answer_has_an_entry_for_each_record() -> None:
    assert outcomes({"Records": [STORED, {"ErrorCode": "Whatever"}]}, 2) == [
        Acknowledged("shardId-000000000001", "7"),
        Refused("Whatever", "", again=False, lost=False),
    ]
    assert outcomes({"Records": []}, 0) == []


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (None, "a result that is none"),
        ({}, "a result without shard or sequence number"),
        ({"ErrorCode": 7}, "a result whose error code is none"),
    ],
)
def test_an_entry_that_cannot_be_read_says_what_is_missing(entry: Any, problem: str) -> None:
    assert outcome(entry) == Refused("MalformedResponse", problem, again=True, lost=True)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [({}, "an answer without records"), ({"Records": [STORED] * 3}, "3 results for 2 records")],
)
def test_an_answer_that_cannot_be_read_says_what_is_missing(answer: Any, problem: str) -> None:
    assert outcomes(answer, 2) == Refused("MalformedResponse", problem, again=True, lost=True)


@pytest.mark.parametrize(
    "answer",
    [None, 7, [], "", {}, {"Records": None}, {"Records": {}}, {"Records": (STORED,)}, {"Records": "x"}]
    + [{"Records": [STORED] * count} for count in (0, 2, 500)],
)
def test_any_other_answer_leaves_all_in_doubt(answer: Any) -> None:
    found = outcomes(answer, 1)
    assert isinstance(found, Refused)
    assert (found.code, found.again, found.lost) == (UNREADABLE, True, True)


@pytest.mark.parametrize(
    ("status", "again", "lost"),
    [
        *[(status, False, False) for status in (400, 403, 407, 409, 428, 430, 499, None, "500")],
        *[(status, True, True) for status in (408, 500, 501, 503, 599)],
        (429, True, False),
    ],
)
def test_a_refusal_by_its_status(status: Any, again: bool, lost: bool) -> None:
    assert refused(response(status)) == Refused("Whatever", "said so", again=again, lost=lost)


@pytest.mark.parametrize("code", sorted(AGAIN))
def test_a_refusal_that_may_pass(code: str) -> None:
    assert refused(response(400, code)) == Refused(code, "said so", again=True, lost=code not in THROTTLED)


@pytest.mark.parametrize("code", [None, "", "403", "302", 7, ["x"]])
def test_a_refusal_without_a_code_is_not_of_kinesis(code: Any) -> None:
    found = refused(response(403, code, "<html>" + "x" * 1_000))
    assert (found.code, found.again, found.lost) == (UNREADABLE, True, True)
    assert found.message.startswith("status 403, and no error of Kinesis: <html>")
    assert len(found.message) == len("status 403, and no error of Kinesis: ") + 200


@pytest.mark.parametrize("strange", [{}, {"Error": None}, {"Error": "x"}, {"Error": {}, "ResponseMetadata": None}])
def test_a_refusal_of_another_form_leaves_all_in_doubt(strange: dict[str, Any]) -> None:
    found = refused(strange)
    assert (found.code, found.again, found.lost) == (UNREADABLE, True, True)


def test_a_refusal_may_have_no_message() -> None:
    assert refused(response(400, message=None)).message == ""
    assert refused(response(300, code=None, message=None)).message == "status 300, and no error of Kinesis"


@pytest.mark.parametrize(
    ("response", "status"), [({}, None), ({"Error": None}, None), ({"ResponseMetadata": {"HTTPStatusCode": 502}}, 502)]
)
def test_a_refusal_without_an_error_says_its_status_alone(response: dict[str, Any], status: int | None) -> None:
    said = f"status {status}, and no error of Kinesis"
    assert refused(response) == Refused("MalformedResponse", said, again=True, lost=True)


def test_the_codes_that_mean_something() -> None:
    too_fast = {"ProvisionedThroughputExceededException", "KMSThrottlingException"}
    too_fast |= {"ThrottlingException", "Throttling"}
    passing = {"InternalFailure", "InternalServerError", "LimitExceededException", "ServiceUnavailable"}
    assert too_fast == THROTTLED
    assert too_fast | passing | {"RequestTimeout", "RequestTimeoutException"} == AGAIN
    assert (UNREADABLE, SHOWN) == ("MalformedResponse", 200)
