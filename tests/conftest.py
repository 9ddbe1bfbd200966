"""What holds for all tests, and the emulator that they share."""

import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import TypeAlias

import hypothesis
import pytest

from tidemill_local.emulator import Emulator, EmulatorSession

# How long a machine takes to make examples, or to run one, says nothing about the code.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

Names: TypeAlias = Callable[[str], str]


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """An emulator that all tests share: leave nothing in it that others could trip over."""
    with Emulator(port=0) as running:
        yield running


@pytest.fixture(scope="session")
def session(emulator: Emulator) -> EmulatorSession:
    return emulator.session("test", "test")


@pytest.fixture(scope="session")
def names() -> Names:
    """Names that no other test has."""
    numbers = count()
    return lambda prefix: f"{prefix}-{next(numbers)}"


@pytest.fixture
def becomes() -> Callable[[Callable[[], bool]], bool]:
    """Whether something comes true in ten seconds, for what no event tells of."""

    def wait(condition: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + 10
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    return wait


@pytest.fixture
def runs() -> Callable[[int], bool]:
    """Whether a process runs; one that has ended and is not yet waited for does not."""

    def look(pid: int) -> bool:
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return state.stdout.strip()[:1] not in ("", "Z")

    return look
