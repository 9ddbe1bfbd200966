"""When a sequencer has something to do, to the moment, and what it makes of what comes back. Values only."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import pytest

from tidemill_event_source.decisions.attempts import FIRST_BACKOFF, LONGEST_BACKOFF
from tidemill_event_source.decisions.batches import (
    MAX_STATE_BYTES,
    NO_STATE,
    Batch,
    BatchResult,
    InvocationResponse,
    TimeWindow,
)
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.records import Waiting
from tidemill_event_source.decisions.sequencer import Discard, Invoke, Sequencer
from tidemill_event_source.decisions.tumbling_windows import IDLE_WINDOW_SECONDS

STREAM = "arn:aws:kinesis:us-east-1:111122223333:stream/requests"
FAILED = InvocationResponse(error="Unhandled")


def waiting(number: int, arrived: float = 0.0, read: float = 0.0) -> Waiting:
    return Waiting(f"{number}", f"{number - 1}", "k", arrived, read, b"{}")


def sequencer(*records: Waiting, **options: Any) -> Sequencer:
    one = Sequencer(MappingConfig(STREAM, **options), "shard")
    one.take(records)
    return one


def invoked(one: Sequencer, now: float, ended: bool = False) -> Batch:
    action = one.next(now, ended)
    assert isinstance(action, Invoke)
    return action.batch


def discarded(one: Sequencer, now: float) -> Discard:
    action = one.next(now, ended=False)
    assert isinstance(action, Discard)
    return action


def numbers(batch: Batch) -> list[str]:
    return [record.sequence for record in batch.records]


def stateful(text: str = "{}") -> InvocationResponse:
    return InvocationResponse(f'{{"state":{text}}}'.encode())


def test_a_batch_goes_when_its_first_record_has_waited_for_the_window_or_it_is_full() -> None:
    one = sequencer(waiting(1, read=10.0), waiting(2, read=12.0), window=5, batch_size=3)
    assert one.wake(ended=False) == 15.0
    assert one.next(14.999, ended=False) is None
    assert one.wake(ended=True) == -inf, "nothing else will come"
    one.take([waiting(3, read=13.0)])
    assert one.wake(ended=False) == -inf
    assert numbers(invoked(one, 13.0)) == ["1", "2", "3"]
    assert (one.wake(ended=False), one.next(99.0, ended=False)) == (inf, None), "one thing at a time"
    assert one.answered(InvocationResponse(), 14.0) == BatchResult(3)
    assert (one.wake(ended=False), one.wake(ended=True), one.settled) == (inf, inf, True)


def test_when_the_shard_has_ended_what_was_gathered_goes_at_once() -> None:
    one = sequencer(waiting(1, read=10.0), window=5)
    assert one.next(10.0, ended=False) is None
    assert numbers(invoked(one, 10.0, ended=True)) == ["1"]


def test_what_arrived_a_little_earlier_than_the_one_before_it_is_in_its_window() -> None:
    one = sequencer(waiting(1, arrived=60.1), waiting(2, arrived=59.9), tumbling_window=60)
    assert numbers(invoked(one, 61.0)) == ["1", "2"]
    assert one.window == TimeWindow(60, 120)
    one.answered(stateful(), 61.0)
    one.take([waiting(3, arrived=59.8), waiting(4, arrived=60.2)])
    batch = invoked(one, 61.0)
    assert numbers(batch) == ["3", "4"]
    assert batch.tumbling is not None
    assert batch.tumbling.window == one.window == TimeWindow(60, 120)


def test_a_batch_that_is_halved_again_keeps_its_order() -> None:
    one = sequencer(*map(waiting, range(1, 9)), bisect_batch_on_function_error=True)
    seen, now = [], 0.0
    for fails in (True, True, True, False, False, False, False):
        batch = invoked(one, now)
        seen.append(numbers(batch))
        one.answered(FAILED if fails else InvocationResponse(), now)
        now += 10.0
    assert seen == [list("12345678"), list("1234"), list("12"), ["1"], ["2"], list("34"), list("5678")]
    assert one.settled


def test_a_failed_batch_goes_again_after_its_back_off_and_each_is_twice_as_long() -> None:
    one = sequencer(waiting(1))
    now = 0.0
    for wait in (0.25, 0.5, 1.0):
        assert numbers(invoked(one, now)) == ["1"]
        assert one.answered(FAILED, now) is None
        assert one.wake(ended=False) == now + wait
        assert one.next(now + 0.999 * wait, ended=False) is None
        now += wait
    invoked(one, now)
    assert one.answered(InvocationResponse(), now) == BatchResult(1)
    one.take([waiting(2)])
    invoked(one, now)
    one.answered(FAILED, now)
    assert one.wake(ended=False) == now + 0.25, "success begins the back-off anew"


def test_what_exhausts_its_retries_is_given_up_at_once_and_the_next_goes_at_once() -> None:
    one = sequencer(waiting(1), waiting(2), batch_size=1, maximum_retry_attempts=1)
    invoked(one, 0.0)
    one.answered(FAILED, 0.0)
    invoked(one, 0.25)
    one.answered(FAILED, 7.0)
    assert one.wake(ended=False) == 7.0
    failure = discarded(one, 7.0).failure
    assert (failure.condition, failure.invoke_count, failure.response) == ("RetryAttemptsExhausted", 2, FAILED)
    assert one.next(8.0, ended=False) is None, "the destination is to be told first"
    one.discarded()
    assert one.wake(ended=False) == -inf
    assert numbers(invoked(one, 7.0)) == ["2"]
    one.answered(FAILED, 7.0)
    assert one.wake(ended=False) == 7.25


def test_what_is_too_old_is_given_up_to_the_moment_before_its_back_off_is_over() -> None:
    one = sequencer(waiting(1, arrived=0.0), waiting(2, arrived=1.0), maximum_record_age=60)
    invoked(one, 59.9)
    one.answered(FAILED, 59.9)
    assert one.wake(ended=False) == 60.0
    assert one.next(59.999, ended=False) is None
    failure = discarded(one, 60.0).failure
    assert (failure.condition, failure.invoke_count, failure.response) == ("RecordAgeExceeded", 1, None)
    assert [record.sequence for record in failure.records] == ["1"]
    one.discarded()
    assert numbers(invoked(one, 60.0)) == ["2"]


def test_what_was_never_tried_and_is_too_old_counts_as_one_try() -> None:
    one = sequencer(waiting(1), maximum_record_age=60)
    failure = discarded(one, 100.0).failure
    assert (failure.condition, failure.invoke_count) == ("RecordAgeExceeded", 1)


def test_a_batch_that_reports_its_first_record_is_told_to_have_done_nothing() -> None:
    one = sequencer(waiting(1), waiting(2), report_batch_item_failures=True, maximum_retry_attempts=0)
    invoked(one, 0.0)
    assert one.answered(InvocationResponse(b'{"batchItemFailures":[{"itemIdentifier":"1"}]}'), 0.0) == BatchResult(0)
    assert one.records == 2
    assert discarded(one, 0.0).failure.condition == "RetryAttemptsExhausted"


def test_half_a_batch_leaves_the_rest_with_all_its_retries_before_it() -> None:
    one = sequencer(waiting(1), waiting(2), report_batch_item_failures=True, maximum_retry_attempts=1)
    second = InvocationResponse(b'{"batchItemFailures":[{"itemIdentifier":"2"}]}')
    invoked(one, 0.0)
    assert one.answered(second, 0.0) == BatchResult(1)
    assert (one.records, one.first) == (1, waiting(2))
    for now in (0.25, 10.0):
        assert numbers(invoked(one, now)) == ["2"]
        assert one.answered(second, now) == BatchResult(0)
    assert discarded(one, 10.0).failure.invoke_count == 2


def test_a_tumbling_window_closes_two_minutes_after_its_end_or_with_a_later_record() -> None:
    one = sequencer(waiting(1, arrived=61.0), tumbling_window=60)
    invoked(one, 61.0)
    assert one.answered(stateful('{"n":1}'), 61.0) == BatchResult(1, b'{"n":1}')
    assert (one.window, one.wake(ended=False), one.wake(ended=True)) == (TimeWindow(60, 120), 240.0, -inf)
    assert one.next(239.9, ended=False) is None
    one.take([waiting(2, arrived=119.9, read=130.0)])
    assert one.wake(ended=False) == 130.0
    assert numbers(invoked(one, 130.0)) == ["2"]
    one.answered(stateful('{"n":2}'), 130.0)
    one.take([waiting(3, arrived=120.0, read=131.0)])
    assert one.wake(ended=False) == -inf
    final = invoked(one, 131.0).tumbling
    assert one.first == waiting(3, arrived=120.0, read=131.0), "behind the window's end, which has no records"
    assert final is not None
    assert (final.final, final.terminated_early, final.state) == (True, False, b'{"n":2}')
    one.answered(stateful(), 131.0)
    assert (one.window, one.state) == (None, b"{}")
    assert numbers(invoked(one, 131.0)) == ["3"]
    assert one.window == TimeWindow(120, 180)


def test_an_idle_window_is_closed_to_the_moment() -> None:
    one = sequencer(waiting(1, arrived=61.0), tumbling_window=60)
    invoked(one, 61.0)
    one.answered(stateful(), 61.0)
    assert invoked(one, 240.0).records == ()
    assert (one.first, one.settled) == (None, False)
    one.answered(stateful(), 240.0)
    assert one.settled


def test_a_window_is_not_idle_while_a_record_of_it_waits_for_its_batch_to_fill() -> None:
    one = sequencer(waiting(1, arrived=61.0, read=61.0), tumbling_window=60, window=300)
    invoked(one, 361.0)
    one.answered(stateful(), 361.0)
    one.take([waiting(2, arrived=119.0, read=362.0)])
    assert one.wake(ended=False) == 662.0
    assert one.next(400.0, ended=False) is None
    assert numbers(invoked(one, 662.0)) == ["2"]


def test_a_window_closes_behind_its_last_record() -> None:
    one = sequencer(waiting(1, arrived=61.0), tumbling_window=60)
    invoked(one, 61.0)
    one.answered(stateful(), 61.0)
    one.take([waiting(2, arrived=100.0), waiting(3, arrived=121.0)])
    assert numbers(invoked(one, 121.0)) == ["2"]
    one.answered(stateful(), 121.0)
    assert invoked(one, 121.0).records == ()


def test_what_is_left_of_a_batch_goes_with_the_state_as_it_is_by_then() -> None:
    one = sequencer(*map(waiting, range(1, 4)), tumbling_window=60, report_batch_item_failures=True)
    first = invoked(one, 0.0)
    assert first.tumbling is not None
    assert first.tumbling.state == b"{}"
    report = b'{"state":{"n":1},"batchItemFailures":[{"itemIdentifier":"2"}]}'
    assert one.answered(InvocationResponse(report), 0.0) == BatchResult(1, b'{"n":1}')
    rest = invoked(one, 10.0)
    assert numbers(rest) == ["2", "3"]
    assert rest.tumbling == replace(first.tumbling, state=b'{"n":1}')


def test_a_window_that_ended_early_goes_on_with_a_fresh_state() -> None:
    one = sequencer(waiting(1, arrived=61.0), tumbling_window=60)
    invoked(one, 61.0)
    one.answered(stateful('"' + "x" * MAX_STATE_BYTES + '"'), 61.0)
    assert one.wake(ended=False) == -inf
    assert invoked(one, 61.0).records == ()
    one.answered(stateful('{"n":1}'), 61.0)
    assert (one.window, one.state, one.settled) == (TimeWindow(60, 120), b"{}", False)
    assert one.wake(ended=False) == 240.0, "it is closed once more"


def test_the_times_are_those_of_the_documentation() -> None:
    assert (FIRST_BACKOFF, LONGEST_BACKOFF, IDLE_WINDOW_SECONDS) == (0.25, 60.0, 120.0)
    assert MAX_STATE_BYTES == 1_048_576


@pytest.mark.parametrize("ended", [False, True])
def test_a_new_one_has_nothing_to_do(ended: bool) -> None:
    one = sequencer()
    assert (one.records, one.first, one.settled, one.wants_more) == (0, None, True, True)
    assert (one.wake(ended), one.next(1e9, ended)) == (inf, None)


def test_a_response_is_an_empty_answer_of_the_latest_version_unless_it_says_otherwise() -> None:
    assert InvocationResponse() == InvocationResponse(
        payload=b"", error=None, request_id="", executed_version="$LATEST", invoked=True
    )
    assert NO_STATE == b"{}"


def test_a_final_invocation_that_fails_is_not_given_up_however_old_or_often() -> None:
    one = sequencer(waiting(1, arrived=61.0), tumbling_window=60, maximum_record_age=60, maximum_retry_attempts=0)
    invoked(one, 61.0)
    one.answered(stateful('{"n":1}'), 61.0)
    for now, wait in ((240.0, 0.25), (1000.0, 0.5), (9000.0, 1.0)):
        batch = invoked(one, now)
        assert batch.records == ()
        assert batch.tumbling is not None
        assert batch.tumbling.state == b'{"n":1}'
        assert one.answered(FAILED, now) is None
        assert one.wake(ended=False) == now + wait


def test_what_becomes_too_old_in_one_half_of_a_batch_leaves_the_other_half() -> None:
    records = [waiting(n, arrived=at) for n, at in ((1, 0.0), (2, 1.0), (3, 2.0), (4, 3.0))]
    one = sequencer(*records, maximum_record_age=60, bisect_batch_on_function_error=True)
    invoked(one, 59.9)
    one.answered(FAILED, 59.9)
    assert one.wake(ended=False) == 60.0
    assert [record.sequence for record in discarded(one, 60.5).failure.records] == ["1"]
    one.discarded()
    assert one.records == 3
    for left in (["2"], ["3", "4"]):
        assert numbers(invoked(one, 60.5)) == left
        one.answered(InvocationResponse(), 60.5)
    assert one.settled
