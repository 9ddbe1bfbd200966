"""Which stream a record stands on: names that tell, and marks from before there were any."""

import re

import msgspec
import pytest

from tests.described import STREAM_ARN
from tidemill.contract.request import Request
from tidemill_consumers.core.batch import Emitted, Entity, Mark, Position
from tidemill_consumers.core.streams import (
    NAME_CHARACTERS,
    Life,
    Stream,
    adopted,
    is_alone,
    life_of,
    shard_of,
    stream_arn,
)

ALONE = "shardId-000000000000"
OWN = Stream(STREAM_ARN, (life_of(STREAM_ARN, 1000.0),))
NAMED = shard_of(OWN.lives[0].name, ALONE)


def mark(sequence: int, arrived: float) -> Mark:
    return Mark(Position(sequence, 3), arrived, Position(sequence - 1, 0))


def test_a_name_tells_the_arn_and_the_creation_and_nothing_else() -> None:
    changes = [("", ""), ("requests", "requests2"), ("us-east-1", "us-east-2"), ("0:stream", "1:stream")]
    arns = [STREAM_ARN.replace(old, new) if old else STREAM_ARN for old, new in changes]
    names = [life_of(arn, created).name for arn in arns for created in (1000.0, 1000.001, 2000.0)]
    assert len(set(names)) == 12
    assert all(re.fullmatch(rf"[A-Za-z0-9_-]{{{NAME_CHARACTERS}}}", name) for name in names)
    assert life_of(STREAM_ARN, 1000.0).name == "Pj1143-Qen5", "marks that are stored have it"


def test_a_record_stands_on_the_stream_that_was_there_when_it_arrived() -> None:
    stream = OWN.with_life(2000.0).with_life(1500.0).with_life(2000.0)
    assert [life.created for life in stream.lives] == [2000.0, 1500.0, 1000.0]
    first, second, third = (life_of(STREAM_ARN, created).name for created in (1000.0, 1500.0, 2000.0))
    assert [stream.named(at) for at in (1000.0, 1499.9, 1500.0, 1999.9, 2000.0, 9e9)] == [
        first,
        first,
        second,
        second,
        third,
        third,
    ]


def test_a_record_that_is_older_than_any_known_stream_stands_on_none_of_them() -> None:
    stream = OWN.with_life(2000.0)
    assert stream.named(999.9) not in {life.name for life in stream.lives}
    assert stream.named(999.9) == OWN.named(1.0) == "t-rwb0OuIli", "marks that are stored have it"


def test_a_consumer_of_its_own_reads_the_same_stream() -> None:
    """Lambda names either in its event: https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-create.html."""
    assert stream_arn(f"{STREAM_ARN}/consumer/apply:1545084650") == STREAM_ARN
    assert stream_arn(STREAM_ARN) == STREAM_ARN
    assert OWN.name == "requests"


# ── Marks from before ────────────────────────────────────────────────────────────────────────────────────────


def test_only_a_shard_s_id_stands_alone() -> None:
    assert is_alone(ALONE)
    assert not is_alone(NAMED)
    assert not is_alone("direct")


def test_a_mark_that_names_no_stream_is_the_own_stream_s_if_it_is_not_older() -> None:
    gone, direct = mark(7, 999.9), mark(8, 1500.0)
    entity = Entity("k", 3, marks={ALONE: mark(5, 1000.0), "shardId-000000000001": gone, "direct": direct})
    assert adopted(entity, OWN) == Entity(
        "k", 3, marks={NAMED: mark(5, 1000.0), "shardId-000000000001": gone, "direct": direct}
    )


def test_an_entity_whose_marks_are_all_older_stays_as_it_is() -> None:
    entity = Entity("k", marks={ALONE: mark(5, 999.0)})
    assert adopted(entity, OWN) is entity


@pytest.mark.parametrize(("alone", "named"), [(4, 5), (6, 5)])
def test_of_two_marks_of_a_shard_the_further_holds(alone: int, named: int) -> None:
    entity = Entity("k", marks={ALONE: mark(alone, 1500.0), NAMED: mark(named, 1500.0)})
    assert adopted(entity, OWN).marks == {NAMED: mark(max(alone, named), 1500.0)}


def test_what_was_emitted_goes_with_its_mark() -> None:
    emits = (
        Emitted(ALONE, Position(5, 0), (Request(id="e", cmd="c", key="k", data={}),)),
        Emitted("direct", Position(6, 0), ()),
    )
    entity = Entity("k", marks={ALONE: mark(5, 1000.0)}, emits=emits)
    assert adopted(entity, OWN).emits == (emits[0]._replace(shard=NAMED), emits[1])


def test_the_latest_stream_of_the_name_counts() -> None:
    later = Stream(STREAM_ARN, (Life(2000.0, "later"), *OWN.lives))
    entity = Entity("k", marks={ALONE: mark(5, 1500.0)})
    assert adopted(entity, later) is entity
    late = msgspec.structs.replace(entity, marks={ALONE: mark(5, 2500.0)})
    assert set(adopted(late, later).marks) == {shard_of("later", ALONE)}
