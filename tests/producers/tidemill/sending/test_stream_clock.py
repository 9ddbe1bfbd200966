"""The stream's clock: never ahead of it, whatever the client's clocks do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.sending.stream_clock import StreamClock

BEGUN = 1_764_360_000.0
"""The stream's time when the client's monotonic clock shows 0."""


def test_before_any_answer_the_time_is_unknown() -> None:
    assert StreamClock().at(1e6) == 0


def test_it_is_a_second_behind_the_answer_and_goes_on_from_when_that_came() -> None:
    clock = StreamClock()
    clock.hear(BEGUN, 50.0)
    assert clock.at(50.0) == (BEGUN - 1) * 1000
    assert clock.at(60.0) == pytest.approx((BEGUN + 9) * 1000, abs=11)


@given(
    st.lists(
        st.tuples(st.floats(0, 1e5), st.floats(0, 1e4), st.floats(0, 100), st.floats(-1, 1)), min_size=1, max_size=10
    ),
    st.floats(-500e-6, 500e-6),
)
def test_it_is_never_ahead_of_the_stream(spans: list[tuple[float, float, float, float]], drift: float) -> None:
    """A span: seconds awake, seconds asleep, those of an answer's way, and the error of the clock that dates it."""
    clock, stream, monotonic = StreamClock(), BEGUN, 0.0
    for awake, asleep, way, error in spans:
        date = int(stream + error)
        stream += way
        monotonic += way * (1 + drift)
        clock.hear(date, monotonic)
        assert clock.at(monotonic) <= stream * 1000
        stream += awake + asleep
        monotonic += awake * (1 + drift)
        assert clock.at(monotonic) <= stream * 1000


def test_the_latest_answer_counts_even_if_its_date_is_earlier() -> None:
    clock = StreamClock()
    clock.hear(BEGUN + 3600, 0.0)
    clock.hear(BEGUN, 1.0)
    assert clock.at(1.0) == (BEGUN - 1) * 1000


def test_a_clock_that_goes_back_does_not_make_it_go_back_behind_its_answer() -> None:
    clock = StreamClock()
    clock.hear(BEGUN, 100.0)
    assert clock.at(90.0) == (BEGUN - 1) * 1000


def test_a_date_before_1970_tells_nothing() -> None:
    clock = StreamClock()
    clock.hear(-5.0, 0.0)
    assert clock.at(0.0) == 0
