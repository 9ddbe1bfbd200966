"""How many of the records read one batch takes, to the byte and to its window's end."""

from __future__ import annotations

import pytest

from tidemill_event_source.decisions.batches import MAX_EVENT_BYTES, TimeWindow, Tumbling, envelope_size
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.records import Waiting
from tidemill_event_source.decisions.sequencer import Invoke, Sequencer

STREAM = "arn:aws:kinesis:us-east-1:111122223333:stream/requests"


def waiting(number: int, size: int = 2, arrived: float = 0.0) -> Waiting:
    return Waiting(f"{number}", f"{number - 1}", "k", arrived, arrived, b"x" * size)


def first_batch(sequencer: Sequencer, now: float = 1.0) -> Invoke:
    action = sequencer.next(now, ended=False)
    assert isinstance(action, Invoke)
    return action


@pytest.mark.parametrize(("spare", "taken"), [(0, 2), (1, 2), (-1, 1)])
def test_an_event_is_full_to_the_byte(spare: int, taken: int) -> None:
    sequencer = Sequencer(MappingConfig(STREAM), "shard")
    room = MAX_EVENT_BYTES - envelope_size(None) - 1 - spare
    sequencer.take([waiting(1, room - 1000), waiting(2, 1000)])
    batch = first_batch(sequencer).batch
    assert len(batch.records) == taken
    if taken == 2:
        assert len(batch.event) == MAX_EVENT_BYTES - spare


@pytest.mark.parametrize(("spare", "taken"), [(0, 2), (1, 2), (-1, 1)])
def test_an_event_of_a_tumbling_window_is_full_to_the_byte_too(spare: int, taken: int) -> None:
    sequencer = Sequencer(MappingConfig(STREAM, tumbling_window=60), "shard")
    around = envelope_size(Tumbling("shard", STREAM, TimeWindow(0, 60), b"{}", final=False, terminated_early=False))
    sequencer.take([waiting(1, MAX_EVENT_BYTES - around - 1 - spare - 1000), waiting(2, 1000)])
    batch = first_batch(sequencer).batch
    assert len(batch.records) == taken
    if taken == 2:
        assert len(batch.event) == MAX_EVENT_BYTES - spare


@pytest.mark.parametrize("reads", [[2, 1, 1], [1, 1, 2], [1, 3], [4], [3, 1]])
def test_it_matters_not_in_how_many_reads_the_records_came(reads: list[int]) -> None:
    by_count = Sequencer(MappingConfig(STREAM, batch_size=3), "shard")
    by_bytes = Sequencer(MappingConfig(STREAM), "shard")
    begun = 0
    for count in reads:
        by_count.take([waiting(number) for number in range(begun, begun + count)])
        by_bytes.take([waiting(number, MAX_EVENT_BYTES // 4 + 1) for number in range(begun, begun + count)])
        begun += count
    for sequencer in (by_count, by_bytes):
        assert not sequencer.wants_more
        assert [one.sequence for one in first_batch(sequencer).batch.records] == ["0", "1", "2"]


def test_one_that_is_larger_than_an_event_goes_alone() -> None:
    sequencer = Sequencer(MappingConfig(STREAM), "shard")
    sequencer.take([waiting(1, MAX_EVENT_BYTES), waiting(2)])
    assert [one.sequence for one in first_batch(sequencer).batch.records] == ["1"]


def test_a_batch_ends_with_its_tumbling_window_though_more_was_read() -> None:
    sequencer = Sequencer(MappingConfig(STREAM, tumbling_window=60), "shard")
    sequencer.take([waiting(1, arrived=0.0), waiting(2, arrived=59.9), waiting(3, arrived=60.0)])
    assert [one.sequence for one in first_batch(sequencer, 100.0).batch.records] == ["1", "2"]


def test_what_is_gathered_and_not_yet_sent_is_not_done() -> None:
    sequencer = Sequencer(MappingConfig(STREAM, window=5), "shard")
    assert sequencer.first is None
    sequencer.take([waiting(7), waiting(8)])
    assert sequencer.next(1.0, ended=False) is None, "its window has not passed"
    assert sequencer.first == waiting(7)


def test_an_events_limit_is_that_of_an_invocation() -> None:
    """ "Invocation payload (request and response): 6 MB each": https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html."""
    assert MAX_EVENT_BYTES == 6_291_456
