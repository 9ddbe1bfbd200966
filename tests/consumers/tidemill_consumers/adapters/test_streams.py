"""When Kinesis is asked which stream it is: rarely, and always when it may be another."""

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from tests.described import STREAM_ARN, Described
from tidemill_consumers.adapters.streams import GAP_SECONDS, KEPT_SECONDS, Streams
from tidemill_consumers.codec.events import EventRecord
from tidemill_consumers.core.streams import life_of
from tidemill_local.emulator import Emulator

Stub: TypeAlias = Callable[[str], tuple[Any, Stubber]]

NOW = 1_764_000_000.0
DATE = "Mon, 24 Nov 2025 16:00:00 GMT"
OTHER = STREAM_ARN.replace("requests", "others")


def streams(kinesis: Described) -> Streams:
    return Streams(cast("Any", kinesis), "requests")


def records(*times: float, arn: str = STREAM_ARN) -> list[EventRecord]:
    return [
        {
            "eventID": f"shardId-000000000000:{n}",
            "eventSourceARN": arn,
            "kinesis": {
                "partitionKey": "k",
                "sequenceNumber": str(n),
                "data": "",
                "approximateArrivalTimestamp": arrived,
            },
        }
        for n, arrived in enumerate(times)
    ]


def test_a_busy_stream_is_asked_for_once_a_minute() -> None:
    kinesis = Described()
    known = streams(kinesis)
    for second in range(int(KEPT_SECONDS) + 1):
        known.of(records(NOW + second, NOW + second + 0.9))
    assert kinesis.asked == [STREAM_ARN]
    known.of(records(NOW + KEPT_SECONDS + 1))
    assert kinesis.asked == [STREAM_ARN] * 2


def test_after_a_pause_it_may_be_another() -> None:
    kinesis = Described({"requests": NOW - 100})
    known = streams(kinesis)
    first = known.of(records(NOW)).named(NOW)
    assert known.of(records(NOW + GAP_SECONDS)).named(NOW + GAP_SECONDS) == first
    later = NOW + 2 * GAP_SECONDS + 0.1
    kinesis.created["requests"] = later - 1
    stream = known.of(records(later))
    assert kinesis.asked == [STREAM_ARN] * 2
    assert stream.named(later) == life_of(STREAM_ARN, later - 1).name
    # A batch of the former, which is delivered late, is still the former's.
    assert known.of(records(NOW + 1)).named(NOW + 1) == first == life_of(STREAM_ARN, NOW - 100).name
    assert len(kinesis.asked) == 2


def test_what_arrived_before_it_was_asked_is_certain() -> None:
    """A backlog of a day: nothing is asked while it is made up for."""
    kinesis = Described(date=DATE)
    known = streams(kinesis)
    for hour in range(24, 0, -1):
        known.of(records(NOW - hour * 3600.0))
    known.of(records(NOW + 9))
    assert kinesis.asked == [STREAM_ARN]


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_without_the_answer_s_time_the_batch_s_own_will_do(date: str | None) -> None:
    kinesis = Described(date=date)
    known = streams(kinesis)
    known.of(records(NOW, NOW + 100))
    known.of(records(NOW + 100 + GAP_SECONDS))
    assert kinesis.asked == [STREAM_ARN]


def test_each_stream_is_known_for_itself() -> None:
    kinesis = Described()
    known = streams(kinesis)
    for _ in range(3):
        one, other = known.of(records(NOW)), known.of(records(NOW, arn=OTHER))
        assert known.of(records(NOW, arn=f"{STREAM_ARN}/consumer/c:1")) is one
        assert (one.name, other.name) == ("requests", "others")
        assert one.named(NOW) != other.named(NOW)
    assert kinesis.asked == [STREAM_ARN, OTHER]


def test_nobody_guesses(stub: Stub) -> None:
    kinesis, answers = stub("kinesis")
    answers.add_client_error("describe_stream_summary", "LimitExceededException")
    with pytest.raises(ClientError, match="LimitExceeded"):
        Streams(kinesis, "requests").of(records(NOW))


def test_a_batch_without_records_asks_nothing() -> None:
    kinesis = Described()
    streams(kinesis).of([])
    assert kinesis.asked == []


def test_the_own_stream_is_asked_for_by_its_name_and_once() -> None:
    kinesis = Described({"requests": 7.0})
    known = streams(kinesis)
    assert known.own().lives == (life_of(STREAM_ARN, 7.0),)
    assert known.own() is known.own()
    assert kinesis.asked == ["requests"]


def test_kinesis_says_so(emulator: Emulator, stream: str) -> None:
    kinesis = emulator.client("kinesis")
    summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    life = life_of(summary["StreamARN"], summary["StreamCreationTimestamp"].timestamp())
    known = Streams(kinesis, stream)
    assert known.of(records(life.created, arn=summary["StreamARN"])).lives == known.own().lives == (life,)
