"""What deliveries that began and did not end come to. Values only."""

from tidemill_consumers.core.calling.deliveries import MAX_DEATHS, Noted, begin, end


def begun(times: int, first: int = 10, last: int = 19, noted: Noted | None = None) -> Noted:
    for _ in range(times):
        noted = begin(noted, first, last)
    assert noted is not None
    return noted


def test_what_follows_two_that_did_not_end_is_planned_apart_to_its_end() -> None:
    assert [begun(times).is_apart for times in range(1, 5)] == [False] * MAX_DEATHS + [True] * 2
    assert begun(3).apart == 19


def test_a_shard_that_moves_on_begins_anew() -> None:
    assert begin(begun(2), 11, 30) == Noted(11, 1)
    assert begin(begun(3), 20, 30) == Noted(20, 1)


def test_one_that_ended_is_none_of_those_that_did_not() -> None:
    noted = begun(2)
    for _ in range(5):
        noted = begin(end(noted), 10, 19)
    assert noted == Noted(10, 1)


def test_the_other_half_of_what_is_planned_apart_is_too() -> None:
    half = begin(begun(3), 10, 14)
    assert half.is_apart
    rest = begin(half, 15, 19)
    assert rest == Noted(15, 1, 19)
    assert rest.is_apart
    assert end(rest).is_apart


def test_a_search_that_ended_early_goes_on_though_more_records_are_behind_it() -> None:
    noted = begun(3)
    for first in (12, 21, 30):  # each ended before its end, and the next holds as many records again
        noted = begin(noted, first, first + 9)
        assert noted == Noted(first, 1, first + 9)
        assert noted.is_apart
    assert begin(noted, 40, 49) == Noted(40, 1), "all was done"


def test_an_older_delivery_does_not_hurt() -> None:
    """A checkpoint may be old, and two invocations may be at work on one shard."""
    assert begin(begun(3), 5, 19) == Noted(5, 1, 19)
    assert begin(begun(2), 5, 19) == Noted(5, 1)
    assert begin(begin(begun(2), 5, 19), 10, 19) == Noted(10, 1)


def test_numbers_are_compared_as_numbers() -> None:
    assert not begin(begun(3, 9, 10), 99, 100).is_apart
    assert begin(begun(3, 9, 10**56), 10, 11).is_apart


def test_a_delivery_of_one_record_is_planned_apart_too() -> None:
    assert begun(3, 10, 10) == Noted(10, 3, 10)
    assert begun(3, 10, 10).is_apart
    assert not Noted(10, 3, 9).is_apart
