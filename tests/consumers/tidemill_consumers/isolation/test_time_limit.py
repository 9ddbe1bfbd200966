"""A rule that does not come back, under the real timer of the main thread."""

import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any

import pytest

from tidemill.contract.request import Request, encode
from tidemill_consumers.core.batch import Accepted, Arrival, Entity, Position, State, Write
from tidemill_consumers.core.calling.asking import Stopped
from tidemill_consumers.core.plan import plan
from tidemill_consumers.isolation.time_limit import TimeLimit, is_possible

pytestmark = [
    pytest.mark.skipif(not is_possible(), reason="no interval timer here"),
    pytest.mark.timeout(method="thread"),  # the timer is what these tests are about
]

SECONDS = 0.1
LONG = 3600.0


def count(state: State, request: Request) -> Accepted:
    return Accepted({"n": (state or {"n": 0})["n"] + 1})


def sleep(state: State, request: Request) -> Accepted:
    time.sleep(LONG)
    return Accepted({"slept": True})


def loop(state: State, request: Request) -> Accepted:
    while True:
        pass


def swallow(state: State, request: Request) -> Accepted:
    with suppress(BaseException):
        time.sleep(LONG)
    for _ in range(2):
        try:
            time.sleep(LONG)
        except BaseException as error:
            if type(error) is not Stopped:
                raise
    time.sleep(LONG)
    return Accepted({"slept": True})


def mask(state: State, request: Request) -> Accepted:
    try:
        time.sleep(LONG)
    except BaseException:
        raise ValueError("masked") from None
    return Accepted(None)


class Speechless(Exception):
    def __str__(self) -> str:
        time.sleep(LONG)
        return "slept"


def speechless(state: State, request: Request) -> Accepted:
    raise Speechless


RULES: dict[str, Any] = {
    "count": count,
    "sleep": sleep,
    "loop": loop,
    "swallow": swallow,
    "mask": mask,
    "speechless": speechless,
    "in C": partial(lambda sleeping, state, request: sleeping(LONG), time.sleep),
}


def arrival(n: int, cmd: str) -> Arrival:
    request = Request(id=str(n), cmd=cmd, key="k", writer="w", counter=n, data={})
    return Arrival("s", Position(n, 0), 1000.0, "k", request, encode(request))


def planned(limit: TimeLimit, *cmds: str) -> Write:
    with limit.watching() as watch:
        (write,) = plan([arrival(n, cmd) for n, cmd in enumerate(cmds, 1)], {}, RULES, 86_400.0, watch).writes
    return write


@pytest.mark.parametrize("cmd", ["sleep", "loop", "swallow", "speechless", "in C"])
def test_a_rule_that_does_not_come_back_is_stopped_and_its_neighbours_are_applied(cmd: str) -> None:
    write = planned(TimeLimit(SECONDS), "count", cmd, "count")
    (one,) = write.quarantine
    assert one.reason.startswith("the rule took longer than 0.1 s (")
    assert one.trace
    assert write.new_entity is not None
    assert write.new_entity.document == {"n": 2}


def test_what_a_rule_raises_as_it_is_stopped_is_its_requests_fate() -> None:
    write = planned(TimeLimit(SECONDS), "mask", "count")
    (one,) = write.quarantine
    assert re.fullmatch(r"the rule raised ValueError: masked \(\S+test_time_limit\.py:\d+, in mask\)", one.reason)


def test_a_rule_in_c_that_has_no_frame_of_its_own_is_stopped() -> None:
    rules: dict[str, Any] = {"wait": partial(max, key=SimpleQueue[Any]().get)}  # a document is true: get waits
    with TimeLimit(SECONDS).watching() as watch:
        entity = Entity("k", 1, {"n": 1})
        (write,) = plan([arrival(1, "wait")], {"k": entity}, rules, 86_400.0, watch).writes
    assert [one.reason for one in write.quarantine] == ["the rule took longer than 0.1 s"]


def test_the_time_is_a_requests_and_not_the_batchs() -> None:
    def nap(state: State, request: Request) -> Accepted:
        time.sleep(SECONDS / 4)
        return count(state, request)

    with TimeLimit(SECONDS).watching() as watch:
        batch = [arrival(n, "nap") for n in range(1, 13)]
        (write,) = plan(batch, {}, {"nap": nap}, 86_400.0, watch).writes
    assert write.quarantine == ()


def test_nothing_of_it_is_left_behind() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: heard.append(number))
    try:
        planned(TimeLimit(SECONDS), "sleep")
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        os.kill(os.getpid(), signal.SIGALRM)
        assert heard == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_somebody_elses_timer_goes_on() -> None:
    before = signal.signal(signal.SIGALRM, lambda number, frame: None)
    try:
        signal.setitimer(signal.ITIMER_REAL, 500.0, 7.0)
        planned(TimeLimit(SECONDS), "sleep", "count")
        left, interval = signal.getitimer(signal.ITIMER_REAL)
        assert (400.0 < left <= 500.001, interval) == (True, 7.0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_on_another_thread_there_is_no_limit_and_no_harm() -> None:
    with ThreadPoolExecutor(1) as thread:
        write = thread.submit(planned, TimeLimit(SECONDS), "count", "count").result()
    assert write.new_entity is not None
    assert write.new_entity.document == {"n": 2}


def test_by_default_there_is_none() -> None:
    with TimeLimit().watching():
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_copy_of_the_process_that_a_rule_made_ends_with_the_plan() -> None:
    copies: list[int] = []

    def fork(state: State, request: Request) -> Accepted:
        copies.append(os.fork())
        if copies == [0]:
            raise SystemExit(3)
        return count(state, request)

    with TimeLimit(SECONDS).watching() as watch:
        (write,) = plan([arrival(1, "fork")], {}, {"fork": fork}, 86_400.0, watch).writes
    if copies == [0]:
        os._exit(5)  # it must not go on with the other tests
    assert os.waitpid(copies[0], 0)[1] == 0
    assert write.new_entity is not None
    assert write.new_entity.document == {"n": 1}


def test_an_invocation_that_has_little_time_leaves_rules_less() -> None:
    limit = TimeLimit(5.0)
    limit.within(120.0)
    assert limit.seconds == 5.0
    limit.within(3.0)
    assert (limit.seconds, limit.reason) == (0.5, "the rule took longer than 0.5 s")
    limit.within(60.0)
    assert limit.seconds == 5.0
