"""The demo's lines while it waits, by a clock that is given."""

import operator

import pytest

from tidemill_cli.commands.demo.waiting import PATIENCE, SAME_SECONDS, Progress


class Waiting:
    """Progress whose time passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.said: list[tuple[float, str]] = []
        self.progress = Progress(lambda: None, self._say, lambda: self.now, self._sleep)

    def _say(self, line: str) -> None:
        self.said.append((self.now, line))

    def _sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


def test_a_line_is_told_when_it_has_changed_and_once_in_ten_seconds(waiting: Waiting) -> None:
    def look() -> int:
        return int(max(0, 25 - waiting.now))  # one less a second, but nothing for the line before the last ten

    waiting.progress.until(look, operator.not_, lambda left: f"{min(left, 10)} left")
    times = [round(at) for at, line in waiting.said if line == "  10 left"]
    assert times == [1, 1 + SAME_SECONDS]
    assert [line for _, line in waiting.said[2:]] == [f"  {left} left" for left in range(9, 0, -1)]


def test_giving_up_is_said_with_what_was_seen_last(waiting: Waiting) -> None:
    def look() -> int:
        return 3 if waiting.now < 5 else 2

    assert waiting.progress.until(look, operator.not_, lambda left: f"{left} of 3 left") == 2
    assert waiting.now == 5 + PATIENCE
    assert waiting.said[-1][1] == "nothing has moved for 30 s: 2 of 3 left; going on with what there is"


def test_what_is_there_at_once_is_not_waited_for(waiting: Waiting) -> None:
    assert waiting.progress.until(lambda: 0, operator.not_, str) == 0
    assert (waiting.now, waiting.said) == (0, [])
