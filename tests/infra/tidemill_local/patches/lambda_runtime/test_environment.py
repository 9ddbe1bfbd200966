"""An execution environment by itself: what it makes of output without end, and of time that is up."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tidemill_local.patches.lambda_runtime.environment import Environment
from tidemill_local.patches.lambda_runtime.invocations import Answer, Failure, Invocation
from tidemill_local.patches.lambda_runtime.output import LINE_LIMIT
from tidemill_local.sweeper import Groups

Open = Callable[[str], Environment]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens an environment whose handler runs the text, and waits until it is ready."""
    made: list[Environment] = []

    def open_environment(text: str) -> Environment:
        (tmp_path / "f.py").write_text(f"import sys\ndef handler(event, context):\n    {text}\n")
        own = ("FUNCTION_NAME", "FUNCTION_VERSION", "FUNCTION_MEMORY_SIZE", "LOG_GROUP_NAME", "LOG_STREAM_NAME")
        variables = {f"AWS_LAMBDA_{name}": "x" for name in own}
        variables |= {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "_HANDLER": "f.handler"}
        made.append(Environment(variables, tmp_path, [], Groups(tmp_path)))
        assert made[-1].initialise("id", 30) is None
        return made[-1]

    yield open_environment
    for environment in made:
        environment.close()


INVOCATION = Invocation("id", b"{}", "arn", "trace")


def test_a_line_without_end_is_cut(opened: Open) -> None:
    environment = opened("sys.stdout.write('x' * 48_000_000 + 'end'); sys.stdout.flush()")
    begin = time.monotonic()
    assert isinstance(environment.invoke(INVOCATION, 60, 60), Answer)
    lines = [line.text for line in environment.output.take_lines()]
    assert time.monotonic() - begin < 10
    assert "".join(lines) == "x" * 48_000_000 + "end"
    assert {len(line) for line in lines[:-1]} == {LINE_LIMIT}


def test_a_cut_is_not_within_a_character(opened: Open) -> None:
    environment = opened(f"print('x' + '\\u2603' * {LINE_LIMIT // 2}); print(); print('next')")
    environment.invoke(INVOCATION, 60, 60)
    *long, empty, following = [line.text for line in environment.output.take_lines()]
    assert "".join(long) == "x" + "\u2603" * (LINE_LIMIT // 2)
    assert all(LINE_LIMIT - 3 < len(line.encode()) <= LINE_LIMIT for line in long[:-1])
    assert (empty, following) == ("", "next")


@pytest.mark.parametrize("left", [0.0, -0.1])
def test_an_invocation_without_any_time_left_has_timed_out(opened: Open, left: float) -> None:
    outcome = opened("pass").invoke(INVOCATION, left, 1.0)
    assert isinstance(outcome, Failure)
    assert outcome.error_type == "Sandbox.Timedout"
    assert outcome.message.endswith("after 1.00 seconds")
