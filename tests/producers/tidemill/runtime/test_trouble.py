"""What is said of something that fails: once when it begins, once when it is over."""

import pytest

from tidemill.runtime.trouble import FIRST_PAUSE, LONGEST_PAUSE, SAID_SECONDS, Trouble, pause, text_of

BEGUN = "no route; trying again until it works"


def test_a_day_of_failures_is_two_lines_with_count_and_duration() -> None:
    trouble = Trouble()
    said = [trouble.failed("NoRoute", "no route", 5.0 * n) for n in range(17_280)]
    assert said[0] == BEGUN
    assert set(said[1:]) == {None}
    assert trouble.over(86_400.0) == "17,280 tries failed in 86,400.0 s"
    assert trouble.over(86_401.0) is None


def test_without_trouble_nothing_is_said() -> None:
    assert Trouble().over(1.0) is None


def test_another_problem_is_said_once_too() -> None:
    trouble = Trouble()
    trouble.failed("NoRoute", "no route", 0.0)
    assert trouble.failed("Expired", "credentials expired", 1.0) == "credentials expired; trying again until it works"
    assert trouble.failed("NoRoute", "no route", 2.0) is None
    assert trouble.failed("Expired", "credentials expired", 3.0) is None
    assert trouble.over(4.0) == "4 tries failed in 4.0 s"


def test_each_trouble_is_said_if_they_are_far_enough_apart() -> None:
    trouble = Trouble()
    for begin in (0.0, SAID_SECONDS, 2 * SAID_SECONDS):
        assert trouble.failed("NoRoute", "no route", begin) == BEGUN
        assert trouble.over(begin + 0.5) == "1 try failed in 0.5 s"


@pytest.mark.parametrize("apart", [0.5, 1.0])
def test_what_comes_and_goes_is_said_once_a_minute_and_all_of_it_is_counted(apart: float) -> None:
    trouble, lines, now = Trouble(), [], 0.0
    while now < 10 * SAID_SECONDS:
        lines += [trouble.failed("NoRoute", "no route", now), trouble.over(now + apart / 2)]
        now += apart
    said = [line for line in lines if line]
    unsaid = int(SAID_SECONDS / apart) - 1
    assert len(said) == 20
    assert said[2] == f"no route; trying again until it works ({unsaid} tries failed before)"


def test_a_trouble_that_begins_soon_after_another_and_lasts_is_said_within_a_minute() -> None:
    trouble = Trouble()
    trouble.failed("NoRoute", "no route", 0.0)
    trouble.over(1.0)
    lines = [trouble.failed("NoRoute", "no route", 2.0 + n) for n in range(100)]
    assert lines.index(BEGUN) == SAID_SECONDS - 2
    assert trouble.over(102.0) == "100 tries failed in 100.0 s"


def test_pauses_grow_up_to_a_minute_and_are_no_shorter_than_half() -> None:
    assert [pause(failures, 1.0) for failures in (0, 1, 2, 6, 10_000)] == [1.0, 2.0, 4.0, 60.0, 60.0]
    assert [pause(failures, 0.0) for failures in (0, 1, 10_000)] == [0.5, 1.0, 30.0]


class Strange(Exception):
    def __str__(self) -> str:
        raise SystemExit


def test_whatever_an_exception_says_of_itself_it_has_a_text() -> None:
    assert text_of(ValueError("no")) == "ValueError: no"
    assert text_of(ValueError()) == "ValueError"
    assert text_of(Strange()) == "Strange: (it raised SystemExit when it was asked what it says)"


def test_pauses_are_a_second_to_a_minute_and_what_comes_and_goes_is_said_once_a_minute() -> None:
    assert (FIRST_PAUSE, LONGEST_PAUSE, SAID_SECONDS) == (1.0, 60.0, 60.0)
