"""Calls at once: results in order, an error raised where it is waited for, a line of log for all that failed."""

from collections.abc import Callable
from itertools import count
from threading import Barrier, current_thread
from typing import NoReturn

import pytest

from tidemill_consumers.adapters.calls import MapCalls, Troubles, at_once, at_once_fast

BOTH = pytest.mark.parametrize("make", [at_once, at_once_fast])


@BOTH
@pytest.mark.parametrize("items", [0, 1, 2, 100])
def test_results_are_in_the_items_order(make: Callable[[int, str], MapCalls], items: int) -> None:
    assert list(make(4, "calls")(lambda n: -n, iter(range(items)))) == [-n for n in range(items)]


@BOTH
def test_as_many_calls_are_made_at_once_as_asked_for(make: Callable[[int, str], MapCalls]) -> None:
    barrier = Barrier(3)

    def meet(_: int) -> str:
        barrier.wait(10)
        return current_thread().name

    assert len(set(make(3, "calls")(meet, range(6)))) == 3


@BOTH
def test_the_error_of_the_first_item_is_raised(make: Callable[[int, str], MapCalls]) -> None:
    barrier = Barrier(2)

    def fail(item: int) -> NoReturn:
        barrier.wait(10)
        raise ValueError(item)

    with pytest.raises(ValueError, match="0"):
        list(make(2, "calls")(fail, range(2)))


@BOTH
def test_the_error_of_a_lone_item_is_raised(make: Callable[[int, str], MapCalls]) -> None:
    def fail(item: int) -> NoReturn:
        raise SystemExit(item)

    with pytest.raises(SystemExit):
        list(make(2, "calls")(fail, [3]))


def test_after_an_error_no_further_call_begins() -> None:
    begun: list[int] = []

    def fail(item: int) -> NoReturn:
        begun.append(item)
        raise ValueError(item)

    calls = at_once_fast(1, "calls")
    with pytest.raises(ValueError, match="0"):
        calls(fail, range(9))
    assert begun == [0]
    numbers = count()
    assert list(calls(lambda _: next(numbers), range(3))) == [0, 1, 2]


def test_many_failures_are_a_line_and_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    troubles = Troubles("cannot read")
    troubles.tell()
    for number in range(10_000):
        troubles.note(f"uploads/{number}", OSError("down"))
    troubles.tell()
    troubles.tell()
    troubles.note("uploads/last", OSError("down"))
    troubles.tell()
    assert [record.message for record in caplog.records] == [
        "cannot read uploads/0 and 9999 more: OSError('down')",
        "cannot read uploads/last: OSError('down')",
    ]
