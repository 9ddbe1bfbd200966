"""A few hundred of the interrupts, and a few of the forks, that `make kills-interrupts` makes by the thousand."""

import pytest

from tests.faults.interrupts import fork, interrupt
from tests.faults.stream import served

pytestmark = pytest.mark.timeout(600)

GOOD = {"lost": 0, "double": 0, "reordered": 0, "hung": 0}


def test_what_was_sent_amid_interrupts_is_applied_once_and_in_order() -> None:
    with served(seed=1) as stream:
        found = interrupt(stream, 240, seed=1)
    assert found | GOOD == found
    assert found["returned"] > 240


@pytest.mark.slow
def test_what_is_sent_after_a_fork_is_applied_once_however_the_child_ends() -> None:
    with served(seed=2) as stream:
        found = fork(stream, 20, seed=2)
    assert found | GOOD == found
    assert found["returned"] >= 20 * 5
