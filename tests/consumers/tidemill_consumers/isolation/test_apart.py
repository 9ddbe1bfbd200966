"""Plans made in processes that really end: by rules that end them, or that nothing but a kill can end."""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tidemill.contract.request import Request, encode
from tidemill_consumers.core.batch import Accepted, Arrival, Blob, Entity, Plan, Position, Rejected, State, ref
from tidemill_consumers.core.plan import plan
from tidemill_consumers.isolation.apart import in_a_child, plan_apart
from tidemill_consumers.isolation.time_limit import TimeLimit

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def count(state: State, request: Request) -> Accepted | Rejected:
    if request.data.get("refuse"):
        return Rejected("no")
    return Accepted({"n": (state or {"n": 0})["n"] + 1}, {"deep": [1.0, 10**30]})


def leave(state: State, request: Request) -> Accepted:
    os._exit(0)


def crash(state: State, request: Request) -> Accepted:
    ctypes.string_at(0)
    return Accepted(None)


def kill(state: State, request: Request) -> Accepted:
    os.kill(os.getpid(), signal.SIGKILL)
    return Accepted(None)


def block(state: State, request: Request) -> Accepted:
    """Hears of no signal, as a loop in C that never looks for one."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    time.sleep(60.0)
    return Accepted(None)


def orphan(state: State, request: Request) -> Accepted:
    """Leaves a process behind that keeps the pipe open."""
    if os.fork() == 0:
        time.sleep(5.0)  # whatever signals come, it ends
        os._exit(0)
    os._exit(0)


def end_group(state: State, request: Request) -> Accepted:
    os.kill(0, signal.SIGKILL)
    return Accepted(None)


def copy(state: State, request: Request) -> Accepted:
    """Returns twice, once in a process of its own, and by an exception there."""
    if os.fork() == 0:
        sys.exit(3)
    os.wait()
    return count(state, request)  # type: ignore[return-value] # nobody refuses


def end_once(state: State, request: Request) -> Accepted:
    path = request.data["path"]
    if not os.path.exists(path):  # noqa: PTH110 # in a process that ends at once
        os.close(os.open(path, os.O_CREAT))
        os._exit(1)
    return Accepted({"n": 100})


def draw(state: State, request: Request) -> Accepted:
    picture = Blob(bytes(1024 * 1024 - 1) + request.id.encode()[-1:])
    return Accepted({"picture": ref(picture)}, objects=(picture,))


RULES: dict[str, Any] = {
    "draw": draw,
    "count": count,
    "leave": leave,
    "crash": crash,
    "kill": kill,
    "block": block,
    "orphan": orphan,
    "end group": end_group,
    "copy": copy,
    "end once": end_once,
    "exit": lambda state, request: sys.exit(3),
}
DAY = 86_400.0


def arrival(n: int, cmd: str, key: str = "k", **data: Any) -> Arrival:
    request = Request(id=str(n), cmd=cmd, key=key, client="c", writer="w", counter=n, data=data)
    return Arrival("s", Position(n, n % 3), 1000.0, key, request, encode(request))


def apart(batch: list[Arrival], entities: dict[str, Entity] | None = None, seconds: float = 0.2) -> Plan:
    return plan_apart(batch, entities or {}, RULES, DAY, TimeLimit(seconds), in_a_child)


def test_a_plan_that_is_made_apart_is_the_same() -> None:
    batch = [arrival(n, "count", f"k{n % 3}", refuse=n % 4 == 0) for n in range(1, 30)] + [arrival(30, "nobody's")]
    entities = {"k1": Entity("k1", 7, {"n": 40})}
    assert apart(batch, entities) == plan(batch, entities, RULES, DAY)


def test_a_plan_that_is_made_apart_has_objects_as_far_as_a_plan_may_have_them() -> None:
    batch = [arrival(n, "draw", f"k{n}") for n in range(1, 36)]
    whole = plan(batch, {}, RULES, DAY)
    made = apart(batch, seconds=2.0)
    assert made.writes[:32] == whole.writes
    assert [write.objects for write in made.writes[32:]] == [(), (), ()]
    assert {write.key: write.stopped for write in made.writes[32:]} == whole.not_begun


@pytest.mark.parametrize(
    ("cmd", "reason"),
    [
        ("leave", "the rule ended the process"),
        ("crash", "the rule ended the process"),
        ("kill", "the rule ended the process"),
        ("orphan", "the rule ended the process"),
        ("end group", "the rule ended the process"),
        ("block", "the rule took longer than 0.2 s, and no signal reached it"),
        ("exit", "the rule raised SystemExit: 3"),
    ],
)
def test_what_ends_its_process_is_quarantined_and_its_neighbours_are_applied(cmd: str, reason: str) -> None:
    pending = [arrival(1, "count"), arrival(2, cmd), arrival(3, "count"), arrival(4, "count", "other")]
    entities: dict[str, Entity] = {}
    reasons = []
    while pending:
        made = apart(pending, entities)
        for write in made.writes:
            reasons += [
                (
                    one.arrival.position.sequence,
                    one.reason.partition(" (tests/consumers/tidemill_consumers/isolation/test_apart.py:")[0],
                )
                for one in write.quarantine
            ]
            if write.new_entity:
                entities[write.key] = write.new_entity
        stopped = {write.key: write.stopped for write in made.writes if write.stopped}
        pending = [one for one in pending if one.key in stopped and one.position >= stopped[one.key]]
    assert reasons == [(2, reason)]
    assert {key: entity.document for key, entity in entities.items()} == {"k": {"n": 2}, "other": {"n": 1}}


def test_a_rule_that_forks_is_planned_once() -> None:
    made = apart([arrival(1, "count"), arrival(2, "copy"), arrival(3, "count"), arrival(4, "count", "other")])
    assert [len(write.quarantine) for write in made.writes] == [0, 0]
    assert {write.key: write.new_entity and write.new_entity.document for write in made.writes} == {
        "k": {"n": 3},
        "other": {"n": 1},
    }


def test_one_that_ended_its_process_once_is_applied(tmp_path: Any) -> None:
    (write,) = apart([arrival(1, "end once", path=str(tmp_path / "ended")), arrival(2, "count")]).writes
    assert write.new_entity is not None
    assert (write.new_entity.document, write.quarantine) == ({"n": 101}, ())


def test_where_no_process_can_be_had_the_plan_is_made_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room() -> int:
        raise BlockingIOError("no room")

    monkeypatch.setattr(os, "fork", no_room)
    (write,) = apart([arrival(1, "count")]).writes
    assert write.new_entity is not None
    assert write.new_entity.document == {"n": 1}


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="who the children are is told by /proc alone")
def test_nothing_of_it_is_left_behind() -> None:
    before = children()
    apart([arrival(1, "leave"), arrival(2, "block")])
    assert children() <= before


def children() -> set[str]:
    """This process's, those that ended and were not waited for included."""
    return {pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}
