"""The date of an answer: read as HTTP writes it, and of AWS alone."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from time import tzset
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.aws.answer_date import date_of, seconds_of

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
OF_AWS: dict[str, Any] = {"HTTPHeaders": {"date": DATE}, "RequestId": "7"}


def test_an_answer_of_aws_tells_when_it_was_given() -> None:
    assert date_of({"Records": [], "ResponseMetadata": OF_AWS}) == 784111777.0


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"ResponseMetadata": None},
        {"ResponseMetadata": OF_AWS | {"RequestId": ""}},
        {"ResponseMetadata": {"HTTPHeaders": {"date": DATE}}},
        {"ResponseMetadata": OF_AWS | {"HTTPHeaders": {}}},
        {"ResponseMetadata": OF_AWS | {"HTTPHeaders": None}},
        {"ResponseMetadata": OF_AWS | {"HTTPHeaders": {"date": "now"}}},
    ],
)
def test_another_answer_tells_nothing(answer: object) -> None:
    assert date_of(answer) is None


@given(st.datetimes(datetime(1971, 1, 1), datetime(2999, 1, 1)))  # noqa: DTZ001 - made aware below
def test_a_date_is_read_as_it_is_written(time: datetime) -> None:
    time = time.replace(microsecond=0, tzinfo=UTC)
    assert seconds_of(format_datetime(time, usegmt=True)) == time.timestamp()


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Pacific/Auckland")
        tzset()
        yield
    tzset()


@pytest.mark.usefixtures("far_away")
def test_a_date_is_greenwichs_wherever_it_is_read() -> None:
    assert seconds_of(DATE) == 784111777.0


@pytest.mark.parametrize(
    "date",
    [
        None,
        7,
        b"Sun, 06 Nov 1994 08:49:37 GMT",
        "",
        "yesterday",
        "1764360000",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37 GMT, Mon, 07 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "2026-11-29T08:49:37Z",
    ],
)
def test_what_is_no_date_tells_nothing(date: object) -> None:
    assert seconds_of(date) is None
