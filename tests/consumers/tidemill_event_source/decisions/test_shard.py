"""One shard's decisions by value: when it is read, what a restart takes up again, and what it skips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidemill_event_source.decisions.batches import BatchResult, InvocationResponse, TimeWindow
from tidemill_event_source.decisions.checkpoint import Checkpoint, Start, sequencer_of
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.pattern import parse_pattern
from tidemill_event_source.decisions.sequencer import Discard, Invoke
from tidemill_event_source.decisions.shard import BEHIND_SECONDS, POLL_SECONDS, Deliver, Read, Shard
from tidemill_event_source.shard_reader import READ_LIMIT, Page, StreamRecord

STREAM = "arn:aws:kinesis:us-east-1:111122223333:stream/requests"
SHARD = "shardId-000000000000"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOW = NOON.timestamp() + 1
DONE = InvocationResponse()
BEGINNING = Checkpoint(Start("TRIM_HORIZON"))
FIRST = next(key for key in "abcdefgh" if sequencer_of(key, 2) == 0)
SECOND = next(key for key in "abcdefgh" if sequencer_of(key, 2) == 1)
"""Keys of the first and of the second sequencer where there are two."""


def shard(checkpoint: Checkpoint = BEGINNING, **options: Any) -> Shard:
    def render(one: StreamRecord) -> bytes:
        return b"{}"

    return Shard(MappingConfig(STREAM, **options), SHARD, checkpoint, render)


def record(sequence: int, key: str = FIRST, data: bytes = b"{}") -> StreamRecord:
    return StreamRecord(SHARD, str(sequence), key, data, NOON)


def page(*records: StreamRecord, behind: int = 0, ended: bool = False) -> Page:
    return Page(records, behind, ended)


def read(one: Shard, *records: StreamRecord, now: float = NOW) -> None:
    """Reads at `now` and not before."""
    todo = one.next(now)
    assert todo == Read()
    one.took(page(*records), now)


def invokes(one: Shard, now: float = NOW) -> dict[int, Invoke]:
    """By sequencer, what is to be invoked now."""
    found: dict[int, Invoke] = {}
    while isinstance(todo := one.next(now), Deliver):
        assert isinstance(todo.action, Invoke)
        found[todo.sequencer] = todo.action
    return found


def sequences(batches: dict[int, Invoke]) -> dict[int, list[str]]:
    return {number: [one.sequence for one in action.batch.records] for number, action in batches.items()}


def answer(one: Shard, number: int, action: Invoke, response: InvocationResponse = DONE) -> None:
    one.answered(number, action.batch.records, response, NOW)


def gives_up(one: Shard, number: int, action: Invoke) -> None:
    """Fails a batch that is not tried again, and has it discarded."""
    answer(one, number, action, InvocationResponse(error="Unhandled"))
    todo = one.next(NOW)
    assert isinstance(todo, Deliver)
    assert isinstance(todo.action, Discard)
    assert todo.sequencer == number
    one.discarded(number, todo.action.failure.records)


# ── Numbers


def numbers(one: Shard) -> tuple[int, int, float | None]:
    return one.waiting, one.handled, one.oldest


def test_a_shard_counts_what_is_done_and_since_when_the_first_of_the_others_waits() -> None:
    one = shard(parallelization_factor=2, maximum_retry_attempts=0)
    assert numbers(one) == (0, 0, None)
    late = StreamRecord(SHARD, "4", FIRST, b"{}", NOON + timedelta(seconds=0.5))
    read(one, record(1, SECOND), record(2, SECOND), record(3, FIRST), late)
    assert numbers(one) == (4, 0, NOON.timestamp())
    batches = invokes(one)
    gives_up(one, 1, batches[1])
    assert numbers(one) == (2, 2, NOON.timestamp())
    answer(one, 0, batches[0])
    assert numbers(one) == (0, 4, None)


# ── Restarts


def test_what_was_discarded_is_not_delivered_again_after_a_restart() -> None:
    """The first sequencer's record is in flight, so that the shard is read again from before it."""
    options: dict[str, Any] = {"parallelization_factor": 2, "maximum_retry_attempts": 0}
    before = shard(**options)
    read(before, record(1, FIRST), record(2, SECOND), record(3, SECOND))
    batches = invokes(before)
    assert sequences(batches) == {0: ["1"], 1: ["2", "3"]}
    gives_up(before, 1, batches[1])
    assert before.checkpoint == Checkpoint(Start("TRIM_HORIZON"), after=None, done=(None, "3"))

    after = shard(before.checkpoint, **options)
    read(after, record(1, FIRST), record(2, SECOND), record(3, SECOND), record(4, SECOND))
    assert sequences(invokes(after)) == {0: ["1"], 1: ["4"]}


def test_what_was_done_is_not_delivered_again_after_a_restart() -> None:
    before = shard(parallelization_factor=2)
    read(before, record(1, SECOND), record(2, FIRST), record(3, SECOND))
    batches = invokes(before)
    answer(before, 0, batches[0])
    assert before.checkpoint.after is None, "the first record is in flight"
    after = shard(before.checkpoint, parallelization_factor=2)
    read(after, record(1, SECOND), record(2, FIRST), record(3, SECOND))
    assert sequences(invokes(after)) == {1: ["1", "3"]}


def test_a_partly_done_batch_goes_on_behind_what_is_done() -> None:
    options: dict[str, Any] = {"parallelization_factor": 2, "report_batch_item_failures": True}
    before = shard(**options)
    read(before, record(1, FIRST), record(2, SECOND), record(3, SECOND))
    answer(before, 1, invokes(before)[1], InvocationResponse(b'{"batchItemFailures":[{"itemIdentifier":"3"}]}'))
    assert before.checkpoint.done == (None, "2")
    after = shard(before.checkpoint, **options)
    read(after, record(1, FIRST), record(2, SECOND), record(3, SECOND))
    assert sequences(invokes(after)) == {0: ["1"], 1: ["3"]}


def test_a_failed_batch_is_delivered_again_after_a_restart() -> None:
    before = shard(parallelization_factor=2)
    read(before, record(1, FIRST), record(2, SECOND))
    answer(before, 1, invokes(before)[1], InvocationResponse(error="Unhandled"))
    assert before.checkpoint.done == (None, None)
    after = shard(before.checkpoint, parallelization_factor=2)
    read(after, record(1, FIRST), record(2, SECOND))
    assert sequences(invokes(after)) == {0: ["1"], 1: ["2"]}


def test_sequence_numbers_are_compared_as_numbers() -> None:
    before = shard(parallelization_factor=2)
    read(before, record(9, FIRST), record(10, SECOND))
    answer(before, 1, invokes(before)[1])
    after = shard(before.checkpoint, parallelization_factor=2)
    read(after, record(9, FIRST), record(10, SECOND), record(100, SECOND))
    assert sequences(invokes(after)) == {0: ["9"], 1: ["100"]}
    assert after.checkpoint.after is None


@pytest.mark.parametrize("factor", [1, 3])
def test_another_factor_skips_what_the_former_had_done(factor: int) -> None:
    before = shard(parallelization_factor=2)
    read(before, record(1, FIRST), record(2, SECOND), record(3, SECOND))
    answer(before, 1, invokes(before)[1])
    after = shard(before.checkpoint, parallelization_factor=factor)
    read(after, record(1, FIRST), record(2, SECOND), record(3, SECOND), record(4, SECOND))
    delivered = [one for found in sequences(invokes(after)).values() for one in found]
    assert sorted(delivered) == ["1", "4"]
    assert after.checkpoint.earlier == (None, "3")


def test_what_another_factor_had_done_is_forgotten_once_all_is_done_up_to_there() -> None:
    earlier = Checkpoint(Start("TRIM_HORIZON"), after="1", done=(None, "3"))
    after = shard(earlier)
    read(after, record(2, FIRST), record(3, SECOND), record(4, FIRST))
    assert after.checkpoint.earlier == (None, "3"), "a restart would read the third record again"
    answer(after, 0, invokes(after)[0])
    assert after.checkpoint == Checkpoint(Start("TRIM_HORIZON"), after="4", done=("4",))


def test_a_restart_with_the_same_factor_keeps_what_an_earlier_one_had_done() -> None:
    kept = Checkpoint(Start("TRIM_HORIZON"), after="1", done=("1",), earlier=(None, "3"))
    again = shard(kept)
    assert again.checkpoint == kept
    read(again, record(2, FIRST), record(3, SECOND))
    assert sequences(invokes(again)) == {0: ["2"]}


def test_all_done_the_checkpoint_is_the_last_record_read() -> None:
    one = shard()
    read(one, record(1), record(2))
    assert one.checkpoint.after is None
    assert (one.waiting, one.settled) == (2, False)
    answer(one, 0, invokes(one)[0])
    assert one.checkpoint == Checkpoint(Start("TRIM_HORIZON"), after="2", done=("2",))
    assert (one.waiting, one.settled, one.drained) == (0, True, False)


def test_what_another_factor_had_done_last_is_forgotten_with_it() -> None:
    after = shard(Checkpoint(Start("TRIM_HORIZON"), after="1", done=(None, "3")))
    read(after, record(2, FIRST), record(3, SECOND))
    assert after.checkpoint.earlier == (None, "3")
    answer(after, 0, invokes(after)[0])
    assert after.checkpoint == Checkpoint(Start("TRIM_HORIZON"), after="3", done=("2",))


def test_it_is_settled_when_each_of_its_sequencers_is() -> None:
    one = shard(parallelization_factor=2)
    assert (one.shard_id, one.settled) == (SHARD, True)
    one.next(NOW)
    one.took(page(record(1, FIRST), record(2, SECOND), ended=True), NOW)
    batches = invokes(one)
    for number, is_last in ((1, False), (0, True)):
        assert (one.settled, one.drained, one.checkpoint.drained) == (False, False, False)
        answer(one, number, batches[number])
        assert (one.settled, one.drained, one.checkpoint.drained) == (is_last, is_last, is_last)


def test_a_restart_goes_on_with_the_window_that_was_open_and_its_state() -> None:
    before = shard(tumbling_window=60)
    read(before, record(1))
    answer(before, 0, invokes(before)[0], InvocationResponse(b'{"state":{"n":1}}'))
    window = TimeWindow(int(NOON.timestamp()), int(NOON.timestamp()) + 60)
    kept = Checkpoint(Start("TRIM_HORIZON"), after="1", done=("1",), window=window, state='{"n":1}')
    assert before.checkpoint == kept
    after = shard(kept, tumbling_window=60)
    read(after, record(2))
    tumbling = invokes(after)[0].batch.tumbling
    assert tumbling is not None
    assert (tumbling.window, tumbling.state) == (window, b'{"n":1}')


def test_the_checkpoint_stands_before_the_first_record_that_is_not_done() -> None:
    one = shard(batch_size=1)
    read(one, record(5), record(7))
    answer(one, 0, invokes(one)[0])
    assert one.checkpoint.after == "5"
    assert shard(one.checkpoint, batch_size=1).checkpoint.after == "5"


# ── Reading


def test_it_is_read_once_a_second_and_five_times_while_it_is_behind() -> None:
    one = shard()
    assert one.wake() == -math.inf
    assert one.next(NOW) == Read(READ_LIMIT)
    assert (one.next(NOW), one.wake()) == (None, math.inf), "one read at a time"
    one.took(page(behind=0), NOW)
    assert (one.next(NOW + 0.999 * POLL_SECONDS), one.wake()) == (None, NOW + POLL_SECONDS)
    assert one.next(NOW + POLL_SECONDS) == Read()
    one.took(page(behind=1), NOW)
    assert (one.next(NOW + 0.999 * BEHIND_SECONDS), one.wake()) == (None, NOW + BEHIND_SECONDS)
    assert one.next(NOW + BEHIND_SECONDS) == Read()


def test_a_failed_read_is_tried_again_a_second_later() -> None:
    one = shard()
    one.next(NOW)
    one.read_failed(NOW)
    assert (one.next(NOW + 0.999), one.wake()) == (None, NOW + POLL_SECONDS)
    read(one, record(1), now=NOW + POLL_SECONDS)


def test_a_shard_that_has_ended_is_read_no_more_and_drained_when_all_is_done() -> None:
    one = shard()
    one.next(NOW)
    one.took(page(record(1), ended=True), NOW)
    (action,) = invokes(one).values()
    assert (one.drained, one.checkpoint.drained) == (False, False)
    answer(one, 0, action)
    assert one.next(NOW + 1000) is None
    assert one.wake() == math.inf
    assert (one.drained, one.checkpoint.drained, one.checkpoint.after) == (True, True, "1")


def test_it_does_not_read_what_it_cannot_hold() -> None:
    """A busy sequencer whose next batch is whole needs no more; while another one has room, there is a bound."""
    one = shard(batch_size=2)
    read(one, record(1), record(2), record(3), record(4))
    invokes(one)
    assert one.next(NOW + 10) is None, "two are in flight and two are the next batch"

    two = shard(batch_size=2, parallelization_factor=2)
    most = READ_LIMIT + 4
    read(two, *(record(number) for number in range(most - 1)))
    invokes(two)
    assert two.next(NOW + 10) == Read()
    two.took(page(record(most)), NOW + 10)
    assert two.waiting == most
    assert two.next(NOW + 20) is None


# ── Filters


def filters(*documents: Any) -> dict[str, Any]:
    return {"filters": tuple(parse_pattern({"data": document}) for document in documents)}


def test_any_filter_lets_a_record_through_and_the_others_count_as_read() -> None:
    one = shard(**filters({"a": [1]}, {"b": [2]}))
    contents: Sequence[bytes] = (b'{"a":1}', b'{"b":2}', b'{"a":2}')
    read(one, *(record(number, data=data) for number, data in enumerate(contents, 1)))
    batches = invokes(one)
    assert sequences(batches) == {0: ["1", "2"]}
    assert one.filtered == 1
    assert one.answered(0, batches[0].batch.records, InvocationResponse(error="Unhandled"), NOW) is None
    batches = invokes(one, NOW + 1)
    assert one.answered(0, batches[0].batch.records, DONE, NOW) == BatchResult(2)
    assert one.checkpoint.after == "3"


def test_without_a_filter_none_is_counted() -> None:
    one = shard()
    read(one, record(1))
    assert one.filtered == 0
