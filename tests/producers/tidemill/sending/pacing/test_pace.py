"""A shard's pace: its bucket, what it learns from periods, and what is evidence of chance."""

from __future__ import annotations

from math import inf

import pytest

from tidemill.sending.pacing.bucket import QUANTUM, SHARD_BYTES, SHARD_RECORDS, Bucket
from tidemill.sending.pacing.evidence import Before, Neighbours
from tidemill.sending.pacing.pace import (
    CUT,
    FIRST_SETTLING,
    LEAST,
    PERIOD,
    SETTLING,
    STEP,
    TOP,
    Pace,
)

# ---- the bucket


def test_a_bucket_holds_a_second_of_bytes_and_its_last_record_may_overdraw_it() -> None:
    bucket = Bucket()
    for _ in range(2):
        assert bucket.opens_at(0.0, 0.0) == 0.0
        bucket.take(SHARD_BYTES - 1, 0.0)
    assert bucket.debt == pytest.approx(1.0, abs=1e-5)
    opens_at = bucket.opens_at(0.0, 0.0)
    assert opens_at == pytest.approx(1.0 + QUANTUM, abs=1e-5)
    assert bucket.opens_at(opens_at - 0.001, 0.0) == opens_at
    assert bucket.opens_at(opens_at, 0.0) == opens_at


def test_a_bucket_holds_a_second_of_records() -> None:
    bucket = Bucket()
    for _ in range(SHARD_RECORDS):
        assert bucket.opens_at(0.0, 0.0) == 0.0
        bucket.take(1, 0.0)
    assert bucket.opens_at(0.0, 0.0) == pytest.approx(QUANTUM)


def test_what_may_be_used_in_advance_opens_it() -> None:
    bucket = Bucket()
    bucket.take(2 * SHARD_BYTES, 0.0)
    assert bucket.opens_at(0.0, 1.5) == 0.0
    assert bucket.opens_at(0.0, 0.5) == pytest.approx(0.5 + QUANTUM)


def test_a_bucket_fills_at_its_rate_and_saves_a_second_of_it() -> None:
    bucket = Bucket()
    bucket.rate = 0.5
    bucket.pause(0.0, 0.0)
    bucket.take(SHARD_BYTES // 2, 0.0)
    assert bucket.opens_at(0.0, 0.0) == pytest.approx((0.5 + QUANTUM) / 0.5)
    assert bucket.opens_at(100.0, 0.0) == 100.0
    assert bucket.debt == -0.5


def test_a_pause_drops_what_was_saved() -> None:
    bucket = Bucket()
    bucket.pause(0.0, 0.1)
    assert bucket.debt == pytest.approx(0.1)
    bucket.take(5 * SHARD_BYTES, 0.0)
    bucket.pause(0.0, 0.1)
    assert bucket.debt == 1.0


def test_a_pause_drops_the_records_that_were_saved() -> None:
    bucket = Bucket()
    bucket.pause(0.0, 0.1)
    assert bucket.opens_at(0.3, 0.0) == 0.3
    for _ in range(300):
        bucket.take(1, 0.3)
    assert bucket.opens_at(0.3, 0.0) > 0.3


def test_a_bucket_was_used_if_half_of_it_is_gone() -> None:
    bucket = Bucket()
    bucket.take(SHARD_BYTES // 2, 0.0)
    assert not bucket.was_used(0.0)
    bucket.take(1, 0.0)
    assert bucket.was_used(0.0)
    assert not bucket.was_used(0.1)


# ---- the pace


def test_the_figures_are_those_of_the_documentation() -> None:
    assert (SHARD_BYTES, SHARD_RECORDS, QUANTUM) == (1024 * 1024, 1_000, 0.1)
    assert (TOP, LEAST, STEP, CUT) == (0.98, 0.1, 0.08, 0.8)
    assert (FIRST_SETTLING, SETTLING, PERIOD) == (1.0, 0.2, 1.0)


def answers(pace: Pace, now: float, outcomes: str) -> None:
    """Notes an answer: `a` for an acknowledged entry, `r` for a refused one."""
    for outcome in outcomes:
        if outcome == "a":
            pace.acknowledged(now)
        else:
            pace.refused(now)


def limited(now: float = 0.0) -> tuple[Pace, float]:
    """A pace whose shard has refused a record, and when its first period begins."""
    pace = Pace()
    pace.refused(now)
    return pace, now + FIRST_SETTLING


def period(pace: Pace, since: float, *calls: str, is_short: bool = True) -> float:
    """A period with these answers. Returns when the next one begins."""
    if is_short:
        pace.bucket.take(10 * SHARD_BYTES, since)
        assert pace.opens_at(since) > since
    for number, outcomes in enumerate(calls):
        answers(pace, since + number * 0.01, outcomes)
    answers(pace, since + PERIOD, "a")  # ends it
    return since + PERIOD + SETTLING


def test_a_shard_that_never_refused_is_tried_in_doubling_steps() -> None:
    pace = Pace()
    pace.left(SHARD_BYTES, 0.0)
    assert pace.opens_at(0.0) == 0.0  # a little more is dared
    pace.left(SHARD_BYTES // 4, 0.0)
    assert pace.opens_at(0.0) > 0.0
    pace.acknowledged(0.0)
    assert pace.opens_at(0.0) == 0.0
    pace.left(SHARD_BYTES // 4, 0.0)
    assert pace.opens_at(0.0) > 0.0
    pace.acknowledged(0.0)
    for size in (1, 2, 4, 8):
        pace.left(size * SHARD_BYTES, 0.0)
        pace.acknowledged(0.0)
    pace.left(10_000 * SHARD_BYTES, 0.0)
    assert pace.opens_at(0.0) == 0.0  # it has no limits


def test_a_shard_without_limits_may_get_some() -> None:
    pace = Pace()
    for size in (1, 2, 4, 8, 16, 32):
        pace.left(size * SHARD_BYTES, 0.0)
        pace.acknowledged(0.0)
    pace.refused(0.0)
    assert pace.is_limited
    assert 0.0 < pace.opens_at(0.0) < 1.5


def test_a_refusal_sets_the_rate_to_a_little_less_than_the_documented_one() -> None:
    pace, _ = limited()
    assert (pace.bucket.rate, TOP) == (0.98, 0.98)


def test_the_first_refusal_of_a_producer_that_sends_little_holds_nothing() -> None:
    pace, _ = limited()
    assert pace.opens_at(0.0) == 0.0


def test_refusals_right_after_the_first_are_not_judged() -> None:
    pace, since = limited()
    answers(pace, since - 0.01, "r" * 100)
    period(pace, since, "a" * 20)
    assert pace.bucket.rate == TOP


def test_a_share_refused_cuts_the_rate_from_the_top_by_as_much() -> None:
    for refused, factor in ((1, 1.0), (2, CUT * 0.9), (6, CUT * 0.7), (16, 0.5)):
        pace, since = limited()
        period(pace, since, "a" * (20 - refused) + "r" * refused)
        assert pace.bucket.rate == pytest.approx(TOP * factor)


def test_further_cuts_are_the_same_at_every_rate_down_to_the_least() -> None:
    pace, since = limited()
    pace.bucket.rate = 0.5
    since = period(pace, since, "aaaa" + "r" * 20)
    assert pace.bucket.rate == pytest.approx(0.5 * CUT)
    pace.bucket.rate = LEAST
    period(pace, since, "aaaa" + "r" * 20)
    assert pace.bucket.rate == LEAST


def test_a_cut_drops_what_was_saved() -> None:
    pace, since = limited()
    assert pace.opens_at(since) == since
    since = period(pace, since, "a" * 10 + "r" * 10, is_short=False)
    assert pace.opens_at(since - SETTLING) > since - SETTLING


def test_a_period_without_refusals_raises_a_rate_that_was_too_low() -> None:
    pace, since = limited()
    pace.bucket.rate = 0.5
    since = period(pace, since, "a" * 20)
    assert pace.bucket.rate == pytest.approx(0.5 + STEP * PERIOD)
    since = period(pace, since, "a" * 20, is_short=False)
    assert pace.bucket.rate == pytest.approx(0.5 + STEP * PERIOD)  # more would not have been used
    for _ in range(20):
        since = period(pace, since, "a" * 20)
    assert pace.bucket.rate == TOP


def test_a_few_records_are_not_judged() -> None:
    pace, since = limited()
    answers(pace, since, "arrrrrr")
    answers(pace, since + PERIOD, "r")
    assert pace.bucket.rate == TOP
    answers(pace, since + 10 * PERIOD, "r")
    assert pace.bucket.rate < TOP


def test_records_acknowledged_behind_refused_ones_speak_for_chance() -> None:
    pace, since = limited()
    since = period(pace, since, *["aarararaar"] * 4)
    assert (pace.bucket.rate, round(pace.chance, 6)) == (TOP, 0.4)
    since = period(pace, since, *["aarararaar"] * 4)  # as many as are known of
    assert (pace.bucket.rate, round(pace.chance, 6)) == (TOP, 0.4)
    since = period(pace, since, *["rarararara", "rrarrarrar"] * 2)  # more, by chance, too
    assert pace.bucket.rate == TOP
    assert pace.chance > 0.4


def test_a_full_shard_is_not_taken_for_chance_even_after_chance() -> None:
    pace, since = limited()
    since = period(pace, since, *["aarararaar"] * 4)
    for _ in range(3):
        since = period(pace, since, *["aaaarrrrrr"] * 4)
    assert pace.chance == 0.0
    assert pace.bucket.rate < TOP


def test_chance_is_forgotten_when_nothing_is_refused() -> None:
    pace, since = limited()
    since = period(pace, since, *["aarararaar"] * 4)
    for _ in range(20):
        since = period(pace, since, "a" * 20)
    assert pace.chance == 0.0


def test_single_records_that_are_refused_at_any_rate_are_refused_by_chance() -> None:
    """Each record is an answer of its own, so that none stands behind another."""
    pace, since = limited()
    rates = []
    for _ in range(5):
        since = period(pace, since, *["a", "r", "a"] * 6)
        rates.append(pace.bucket.rate)
    assert rates[0] < TOP
    assert rates[1] < rates[0]
    assert rates[-1] == TOP
    assert pace.chance == pytest.approx(1 / 3)


def test_single_records_that_are_refused_less_at_a_lower_rate_are_not_refused_by_chance() -> None:
    pace, since = limited()
    since = period(pace, since, *["a", "r"] * 12)
    since = period(pace, since, *["a", "r", "a", "a", "a"] * 5)
    low = pace.bucket.rate
    since = period(pace, since, *["a"] * 20)
    assert low < TOP / 2
    assert pace.chance == 0.0
    assert low <= pace.bucket.rate < TOP / 2


# ---- the evidence


def noted(*answers: str) -> Neighbours:
    neighbours = Neighbours()
    for now, outcomes in enumerate(answers):
        for outcome in outcomes:
            neighbours.note(outcome == "r", float(now))
    return neighbours


@pytest.mark.parametrize(
    ("answers", "are_independent"),
    [
        ([], None),
        (["a", "r", "a", "r"] * 10, None),
        (["aaaa"] * 10, None),
        (["rrrr"] * 10, None),
        (["aaar"] * 10, None),
        (["aarr"] * 10, False),
        (["aaarrr", "arrr"] * 5, False),
        (["arar", "raar"] * 5, True),
        (["raaa"] * 10, True),
    ],
)
def test_what_neighbours_tell(answers: list[str], are_independent: bool | None) -> None:
    assert noted(*answers).are_independent is are_independent


def test_evidence_fades() -> None:
    neighbours = noted(*["aarr"] * 10)
    for _ in range(10):
        neighbours.forget()
    assert neighbours.are_independent is None


def test_what_was_before_is_compared_once_there_are_enough_records_at_half_the_rate() -> None:
    before = Before(0.9, 0.9, 0.4)
    assert not before.after(15, 6).is_as_before(0.45)
    assert before.after(8, 3).after(8, 3).is_as_before(0.45)
    assert not before.after(16, 6).is_as_before(0.46)
    assert not before.after(16, 4).is_as_before(0.45)
    assert before.after(16, 4).lowered(0.5) == Before(0.9, 0.5, 0.25)
    assert inf > before.rate
