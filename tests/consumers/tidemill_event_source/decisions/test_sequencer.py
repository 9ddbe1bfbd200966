"""What holds whatever arrives and whatever fails, and the corners that only AWS's documentation tells of."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidemill_event_source.decisions.attempts import backoff
from tidemill_event_source.decisions.batches import MAX_EVENT_BYTES, MAX_STATE_BYTES, Batch, InvocationResponse
from tidemill_event_source.decisions.checkpoint import sequencer_of
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.failures import Failure
from tidemill_event_source.decisions.pattern import parse_pattern
from tidemill_event_source.decisions.records import Waiting
from tidemill_event_source.decisions.shard import readable
from tidemill_event_source.decisions.simulation import FIRST_SEQUENCE, Arrival, Simulation
from tidemill_event_source.decisions.tumbling_windows import IDLE_WINDOW_SECONDS

STREAM = "arn:aws:kinesis:us-east-1:111122223333:stream/requests"
SHARD = "shardId-000000000000"
BEGIN = 1_764_000_000.0

Answer = Callable[[Batch], InvocationResponse]


@dataclass
class Invoked:
    begin: float
    end: float
    batch: Batch
    response: InvocationResponse

    @property
    def numbers(self) -> list[int]:
        return [number(one) for one in self.batch.records]


@dataclass
class Seen:
    invoked: list[Invoked] = field(default_factory=list)
    given_up: list[tuple[str, list[int]]] = field(default_factory=list)

    @property
    def batches(self) -> list[list[int]]:
        return [one.numbers for one in self.invoked]


def number(record: Waiting) -> int:
    return int(record.sequence) - FIRST_SEQUENCE


def run(
    config: MappingConfig,
    arrivals: Iterable[Arrival],
    answer: Answer = lambda _: InvocationResponse(),
    *,
    takes: Callable[[int], float] = lambda _: 0.0,
    until: float = 1e9,
) -> Seen:
    seen = Seen()

    def function(batch: Batch, now: float) -> tuple[InvocationResponse, float]:
        seconds = takes(len(seen.invoked))
        seen.invoked.append(Invoked(now - BEGIN, now - BEGIN + seconds, batch, answer(batch)))
        return seen.invoked[-1].response, seconds

    def discarded(failure: Failure, shard: str, now: float) -> None:
        seen.given_up.append((failure.condition, [number(one) for one in failure.records]))

    Simulation(config, {SHARD: arrivals}, function, discarded=discarded, begin=BEGIN).run(BEGIN + until)
    return seen


def puts(*keys: str, at: float = 0.0, data: bytes = b"{}") -> list[Arrival]:
    return [Arrival(BEGIN + at, key, data) for key in keys]


def failing(when: Callable[[list[int]], bool]) -> Answer:
    return lambda batch: InvocationResponse(error="Unhandled" if when([number(one) for one in batch.records]) else None)


def reporting(*numbers: int) -> Answer:
    """Reports those of its records that are among the numbers."""

    def answer(batch: Batch) -> InvocationResponse:
        failed = [{"itemIdentifier": one.sequence} for one in batch.records if number(one) in numbers]
        return InvocationResponse(json.dumps({"batchItemFailures": failed}).encode())

    return answer


# ── Whatever arrives ─────────────────────────────────────────────────────────────────────────────────────────

gaps = st.sampled_from([0.0, 0.0, 0.01, 0.3, 0.999, 1.0, 1.7, 8.0])
sizes = st.sampled_from([0, 1, 200, 200, 25_000, 700_000, 1_048_000])


def traffic(sizes: st.SearchStrategy[int]) -> st.SearchStrategy[list[Arrival]]:
    """Records that arrive after a gap each."""

    def arrivals(steps: list[tuple[float, str, int]]) -> list[Arrival]:
        times = accumulate((gap for gap, _, _ in steps), initial=BEGIN)
        return [Arrival(at, key, bytes(size)) for at, (_, key, size) in zip(times, steps, strict=False)]

    return st.lists(st.tuples(gaps, st.sampled_from("abcdefgh"), sizes), min_size=1, max_size=40).map(arrivals)


def size(records: Sequence[Waiting]) -> int:
    return len(Batch(records).event)


@settings(max_examples=150, deadline=None)
@given(
    traffic(sizes),
    st.integers(1, 12),
    st.sampled_from([0, 1, 2, 5]),
    st.integers(1, 4),
    st.lists(st.sampled_from([0.0, 0.2, 1.0, 3.0]), min_size=1, max_size=5),
)
# So much in a row is rare by chance: batches that are full by the event's bytes.
@example([Arrival(BEGIN, "a", bytes(1_048_000)) for _ in range(11)], 12, 5, 1, [0.2])
@example([Arrival(BEGIN + n, "ab"[n % 2], bytes(1_048_000)) for n in range(14)], 12, 5, 2, [3.0, 0.0])
def test_a_batch_goes_when_it_is_full_or_its_window_has_passed_and_not_before_or_after(
    arrivals: list[Arrival], batch_size: int, window: int, factor: int, durations: list[float]
) -> None:
    config = MappingConfig(STREAM, batch_size=batch_size, window=window, parallelization_factor=factor)
    seen = run(config, arrivals, takes=lambda nth: durations[nth % len(durations)])
    by_sequencer: dict[int, list[Invoked]] = defaultdict(list)
    for one in seen.invoked:
        by_sequencer[sequencer_of(one.batch.records[0].key, factor)].append(one)
    assert sorted(n for one in seen.invoked for n in one.numbers) == list(range(len(arrivals)))
    for invoked in by_sequencer.values():
        dealt = [record for one in invoked for record in one.batch.records]
        assert [number(one) for one in dealt] == sorted(number(one) for one in dealt), "in order"
        assert len({sequencer_of(one.key, factor) for one in dealt}) == 1, "a key's records are in one sequencer"
        free, place = 0.0, 0
        for one in invoked:
            records = one.batch.records
            place += len(records)
            following = dealt[place] if place < len(dealt) else None
            assert len(records) <= batch_size
            assert len(records) == 1 or size(records) <= MAX_EVENT_BYTES
            full_at = records[-1].read - BEGIN if len(records) == batch_size else float("inf")
            if following and size([*records, following]) > MAX_EVENT_BYTES:
                full_at = min(full_at, following.read - BEGIN)
            due = records[0].read - BEGIN + window
            assert one.begin == pytest.approx(max(free, min(due, full_at)), abs=1e-6)
            if full_at == float("inf") and following:
                assert following.read - BEGIN >= one.begin - 1e-6, "all that had been read went with it"
            free = one.end


@settings(max_examples=150, deadline=None)
@given(
    traffic(st.just(1)),
    st.integers(1, 8),
    st.sampled_from([-1, 0, 2]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 3),
    st.integers(0, 2**32),
)
def test_whatever_fails_each_record_is_done_or_given_up_once_and_a_key_s_in_order(
    arrivals: list[Arrival], batch_size: int, retries: int, bisect: bool, partial: bool, factor: int, seed: int
) -> None:
    random = Random(seed)
    config = MappingConfig(
        STREAM,
        batch_size=batch_size,
        parallelization_factor=factor,
        maximum_retry_attempts=retries,
        bisect_batch_on_function_error=bisect,
        report_batch_item_failures=partial,
    )
    ends: list[tuple[str, int]] = []

    def answer(batch: Batch) -> InvocationResponse:
        fate = random.random()
        done = len(batch.records)
        response = InvocationResponse()
        if fate < 0.2:
            response, done = InvocationResponse(error="Unhandled"), 0
        elif fate < 0.3:
            response, done = InvocationResponse(invoked=False), 0
        elif fate < 0.6 and partial:
            done = random.randrange(len(batch.records))
            report = {"batchItemFailures": [{"itemIdentifier": one.sequence} for one in batch.records[done:]]}
            response = InvocationResponse(json.dumps(report).encode())
        ends.extend((one.key, number(one)) for one in batch.records[:done])
        return response

    def function(batch: Batch, now: float) -> tuple[InvocationResponse, float]:
        return answer(batch), random.choice([0.0, 0.5])

    def discarded(failure: Failure, shard: str, now: float) -> None:
        ends.extend((one.key, number(one)) for one in failure.records)

    Simulation(config, {SHARD: arrivals}, function, discarded=discarded, begin=BEGIN).run()
    assert sorted(n for _, n in ends) == list(range(len(arrivals)))
    for key in "abcdefgh":
        of_key = [n for one, n in ends if one == key]
        assert of_key == sorted(of_key)


# ── Failures ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_of_several_failed_identifiers_the_lowest_is_the_checkpoint() -> None:
    """ "If the batchItemFailures array contains multiple items, Lambda uses the record with the lowest sequence
    number as the checkpoint. Lambda then retries all records starting from that checkpoint." """
    config = MappingConfig(STREAM, report_batch_item_failures=True, maximum_retry_attempts=0)
    seen = run(config, puts(*"aaaaa"), reporting(4, 2, 3))
    assert seen.batches == [[0, 1, 2, 3, 4], [2, 3, 4]]
    assert seen.given_up == [("RetryAttemptsExhausted", [2, 3, 4])]


def test_one_wrong_identifier_among_right_ones_fails_the_whole_batch() -> None:
    config = MappingConfig(STREAM, report_batch_item_failures=True, maximum_retry_attempts=0)
    right = {"itemIdentifier": str(FIRST_SEQUENCE + 1)}
    said = json.dumps({"batchItemFailures": [right, {"itemIdentifier": ""}]}).encode()
    seen = run(config, puts(*"aaa"), lambda _: InvocationResponse(said))
    assert seen.given_up == [("RetryAttemptsExhausted", [0, 1, 2])]


def test_a_report_is_not_looked_at_unless_it_was_asked_for() -> None:
    """ "These responses will not be processed by Lambda unless the ReportBatchItemFailures feature is explicitly
    turned on." """
    assert run(MappingConfig(STREAM), puts(*"aaa"), reporting(1)).batches == [[0, 1, 2]]


def test_a_failing_batch_is_halved_the_first_half_first_without_using_up_retries() -> None:
    """ "Splitting a batch does not count towards the retry quota." """
    config = MappingConfig(STREAM, bisect_batch_on_function_error=True, maximum_retry_attempts=1)
    seen = run(config, puts(*"aaaaa"), failing(lambda numbers: 3 in numbers))
    assert seen.batches == [[0, 1, 2, 3, 4], [0, 1, 2], [3, 4], [3], [3], [4]]
    assert seen.given_up == [("RetryAttemptsExhausted", [3])]


def test_a_failed_invocation_is_halved_whatever_reports_are_asked_for() -> None:
    """ "If the invocation fails and BisectBatchOnFunctionError is turned on, the batch is bisected regardless of
    your ReportBatchItemFailures setting." """
    config = MappingConfig(
        STREAM, bisect_batch_on_function_error=True, report_batch_item_failures=True, maximum_retry_attempts=0
    )
    seen = run(config, puts(*"aaaa"), failing(lambda numbers: len(numbers) > 1))
    assert seen.batches == [[0, 1, 2, 3], [0, 1], [0], [1], [2, 3], [2], [3]]


def test_with_both_the_batch_is_cut_at_the_returned_number_and_the_rest_alone_is_tried_again() -> None:
    """ "When a partial batch success response is received and both BisectBatchOnFunctionError and
    ReportBatchItemFailures are turned on, the batch is bisected at the returned sequence number, and Lambda
    retries only the remaining records." """
    config = MappingConfig(
        STREAM, bisect_batch_on_function_error=True, report_batch_item_failures=True, maximum_retry_attempts=0
    )
    seen = run(config, puts(*"aaaaaa"), reporting(2))
    assert seen.batches == [[0, 1, 2, 3, 4, 5], [2, 3, 4, 5]]
    assert seen.given_up == [("RetryAttemptsExhausted", [2, 3, 4, 5])]


def test_a_failing_batch_is_tried_again_as_it_was_and_blocks_the_shard() -> None:
    tries: list[int] = []

    def third_time(batch: Batch) -> InvocationResponse:
        tries.append(len(batch.records))
        return InvocationResponse(error="Unhandled" if len(tries) < 3 else None)

    seen = run(MappingConfig(STREAM, batch_size=10), puts(*"aa") + puts(*"aaa", at=0.1), third_time)
    assert seen.batches == [[0, 1], [0, 1], [0, 1], [2, 3, 4]]


def test_throttles_and_service_errors_do_not_count_as_retries() -> None:
    """ "If the function is throttled, or the Lambda service returns an error without invoking the function,
    Lambda retries … without counting towards the retry quota." """
    responses = iter([InvocationResponse(invoked=False)] * 5 + [InvocationResponse(error="Unhandled")] * 2)
    config = MappingConfig(STREAM, maximum_retry_attempts=1)
    seen = run(config, puts("a"), lambda _: next(responses))
    assert len(seen.invoked) == 7
    assert seen.given_up == [("RetryAttemptsExhausted", [0])]


def test_retries_wait_twice_as_long_each_time_up_to_a_minute() -> None:
    waits = [backoff(failures) for failures in (1, 2, 3, 9, 10_000)]
    assert waits == [0.25, 0.5, 1.0, 60.0, 60.0]
    seen = run(MappingConfig(STREAM, maximum_retry_attempts=3), puts("a"), failing(lambda _: True))
    assert [one.begin for one in seen.invoked] == pytest.approx([0, 0.25, 0.75, 1.75])


def test_what_becomes_too_old_while_its_batch_fails_is_given_up_and_the_rest_goes_on() -> None:
    config = MappingConfig(STREAM, maximum_record_age=60, window=10)
    seen = run(config, puts("a", at=0) + puts("a", at=9), failing(lambda numbers: 0 in numbers))
    assert seen.given_up == [("RecordAgeExceeded", [0])]
    assert seen.batches[-1] == [1]


def test_an_answer_nested_beyond_reading_is_a_failure() -> None:
    config = MappingConfig(STREAM, report_batch_item_failures=True, maximum_retry_attempts=0)
    seen = run(config, puts("a"), lambda _: InvocationResponse(b"[" * 100_000 + b"]" * 100_000))
    assert seen.given_up == [("RetryAttemptsExhausted", [0])]


# ── Parallel batches ─────────────────────────────────────────────────────────────────────────────────────────


def test_with_a_factor_batches_of_other_keys_go_while_one_key_s_batch_is_busy() -> None:
    """ "Lambda can process up to 10 batches in each shard simultaneously … Lambda still ensures in-order
    processing at the partition-key level." """
    config = MappingConfig(STREAM, batch_size=2, parallelization_factor=2)
    seen = run(config, puts("a", "d", "a", "d", "a", "d"), takes=lambda _: 5.0)
    assert {sequencer_of("a", 2), sequencer_of("d", 2)} == {0, 1}
    of_a = [one for one in seen.invoked if 0 in one.numbers or 4 in one.numbers]
    assert [one.numbers for one in of_a] == [[0, 2], [4]]
    assert of_a[1].begin >= of_a[0].end
    first, second = sorted(seen.invoked, key=lambda one: one.begin)[:2]
    assert first.begin == second.begin


# ── Tumbling windows ─────────────────────────────────────────────────────────────────────────────────────────


def counting(batch: Batch) -> InvocationResponse:
    event = json.loads(batch.event)
    state = {"count": event["state"].get("count", 0) + len(event["Records"])}
    return InvocationResponse(json.dumps({"state": state}).encode())


def told(seen: Seen) -> list[tuple[int, dict[str, Any], bool, str]]:
    """Each event's number of records, state, whether it is final, and its window's start."""
    events = [json.loads(one.batch.event) for one in seen.invoked]
    return [
        (len(one["Records"]), one["state"], one["isFinalInvokeForWindow"], one["window"]["start"][11:])
        for one in events
    ]


def test_a_tumbling_window_carries_its_state_and_ends_with_a_final_invocation() -> None:
    """ "At the end of the window, the flag isFinalInvokeForWindow is set to true to indicate that this is the
    final state and that it's ready for processing. After processing, the window completes … and then the state
    is dropped." """
    config = MappingConfig(STREAM, batch_size=2, tumbling_window=60)
    assert BEGIN % 60 == 0
    seen = run(config, puts(*"aaa", at=5) + puts("a", at=65), counting, until=300)
    assert told(seen) == [
        (2, {}, False, "16:00:00Z"),
        (1, {"count": 2}, False, "16:00:00Z"),
        (0, {"count": 3}, True, "16:00:00Z"),
        (1, {}, False, "16:01:00Z"),
        (0, {"count": 1}, True, "16:01:00Z"),
    ]
    assert seen.invoked[-1].begin == pytest.approx(120 + IDLE_WINDOW_SECONDS)


def test_a_tumbling_window_s_event_says_which_shard_and_window_it_is() -> None:
    seen = run(MappingConfig(STREAM, tumbling_window=120), puts("a"), counting)
    event = json.loads(seen.invoked[0].batch.event)
    assert {name: value for name, value in event.items() if name != "Records"} == {
        "window": {"start": "2025-11-24T16:00:00Z", "end": "2025-11-24T16:02:00Z"},
        "state": {},
        "shardId": SHARD,
        "eventSourceARN": STREAM,
        "isFinalInvokeForWindow": False,
        "isWindowTerminatedEarly": False,
    }


def test_an_answer_without_state_is_a_failed_invocation() -> None:
    """ "If the response does not contain a state property, Lambda considers this a failed invocation." """
    config = MappingConfig(STREAM, tumbling_window=60, maximum_retry_attempts=2)
    seen = run(config, puts("a"), lambda _: InvocationResponse(b"{}"), until=30)
    assert seen.batches == [[0], [0], [0]]
    assert seen.given_up == [("RetryAttemptsExhausted", [0])]


def test_a_failed_try_leaves_the_state_as_it_was() -> None:
    tries: list[int] = []

    def second_time(batch: Batch) -> InvocationResponse:
        tries.append(1)
        return InvocationResponse(error="Unhandled") if len(tries) == 2 else counting(batch)

    seen = run(MappingConfig(STREAM, batch_size=1, tumbling_window=60), puts(*"aa"), second_time, until=30)
    assert [state for _, state, _, _ in told(seen)] == [{}, {"count": 1}, {"count": 1}]


def test_a_final_invocation_is_repeated_until_it_succeeds() -> None:
    """ "If the invocation is unsuccessful, your Lambda function suspends further processing until a successful
    invocation." """
    finals: list[int] = []

    def fifth_final(batch: Batch) -> InvocationResponse:
        if not batch.records:
            finals.append(1)
            if len(finals) < 5:
                return InvocationResponse(error="Unhandled")
        return counting(batch)

    config = MappingConfig(STREAM, tumbling_window=60, maximum_retry_attempts=0)
    seen = run(config, puts("a") + puts("a", at=61), fifth_final, until=100)
    assert [final for _, _, final, _ in told(seen)] == [False, True, True, True, True, True, False]


def test_a_state_of_more_than_1_mb_ends_the_window_early_and_it_goes_on_afresh() -> None:
    """ "Your state can be a maximum of 1 MB per shard. If it exceeds that size, Lambda terminates the window
    early." """

    def growing(batch: Batch) -> InvocationResponse:
        return InvocationResponse(
            json.dumps({"state": {"long": "x" * (MAX_STATE_BYTES if batch.records else 0)}}).encode()
        )

    seen = run(MappingConfig(STREAM, batch_size=1, tumbling_window=60), puts(*"aa"), growing, until=30)
    events = [json.loads(one.batch.event) for one in seen.invoked]
    assert [(len(one["Records"]), one["isFinalInvokeForWindow"], one["isWindowTerminatedEarly"]) for one in events] == [
        (1, False, False),
        (0, True, True),
        (1, False, False),
        (0, True, True),
    ]
    assert events[2]["state"] == {}


@pytest.mark.parametrize("letter", ["x", "é", "\N{WATER WAVE}", "\ud800"])
@pytest.mark.parametrize("over", [0, 1])
def test_a_state_is_as_large_as_its_utf_8(letter: str, over: int) -> None:
    def full(batch: Batch) -> InvocationResponse:
        size = 6 if letter == "\ud800" else len(letter.encode())
        count, rest = divmod(MAX_STATE_BYTES - 2 + over, size)
        return InvocationResponse(json.dumps({"state": letter * count + "y" * rest}).encode())

    seen = run(MappingConfig(STREAM, batch_size=1, tumbling_window=60), puts("a"), full, until=30)
    assert len(seen.invoked) == 1 + over, "one that is too large ends the window"


# ── Filters and shards ───────────────────────────────────────────────────────────────────────────────────────


def test_data_that_is_no_json_is_dropped_under_a_filter_for_data() -> None:
    """ "If incoming data is non-JSON and the filter pattern for data properties is valid JSON, Lambda drops the
    record." """
    config = MappingConfig(STREAM, filters=(parse_pattern({"data": {"a": [{"exists": True}]}}),))
    seen = run(config, puts("k", data=b"\xf3\x89\x9a\xc2") + puts("k", data=b"no") + puts("k", data=b'{"a":1}'))
    assert seen.batches == [[2]]


def test_children_are_read_when_their_parents_are_drained_or_gone() -> None:
    shards = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": ["gone"]}
    assert readable(shards, frozenset()) == ["a", "e"]
    assert readable(shards, frozenset("a")) == ["b", "c", "e"]
    assert readable(shards, frozenset("ab")) == ["c", "e"]
    assert readable(shards, frozenset("abce")) == ["d"]
