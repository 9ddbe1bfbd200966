"""Planning in a child process: if a rule ends it, the function's process lives on and knows which request it was.

Room: isolation. The child is a fork, so it has the batch in memory. It sends each write to its parent as it goes, and
notes the place of the request at work in anonymous shared memory, because Lambda has no /dev/shm.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from mmap import mmap
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import TypeAlias

from tidemill_consumers.core.batch import UNLIMITED, Arrival, Entity, Plan, Position, Rules, Time, Write, fresh
from tidemill_consumers.core.calling.asking import TICKS
from tidemill_consumers.core.calling.eliminating import Elimination, End, noting
from tidemill_consumers.core.folding.depth import EMIT_DEPTH
from tidemill_consumers.core.folding.objects import MOST_STORED, weight_of
from tidemill_consumers.core.plan import writes
from tidemill_consumers.isolation.time_limit import TimeLimit

log = logging.getLogger(__name__)

Note: TypeAlias = Callable[[Position | None], None]
Tell: TypeAlias = Callable[[Write], None]
Work: TypeAlias = Callable[[Note, Tell], None]
"""Plans; notes the place of the request at work, and tells each write."""

Run: TypeAlias = Callable[[Work, Tell, float], End | None]
"""Does the work apart and hands on its writes; returns how it ended, None if well. The seconds are a rule's limit."""

SEQUENCE_BYTES, SUB_BYTES = 64, 8
NOTE_BYTES = 1 + SEQUENCE_BYTES + SUB_BYTES
GRACE_TICKS = 3
"""Ticks that the parent waits beyond the child's own timer, before it kills the child."""

PR_SET_PDEATHSIG = 1
"""https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html"""

LONGEST_TICK = 1.0
"""Seconds between two looks at the child."""


def plan_apart(
    arrivals: Sequence[Arrival],
    entities: Mapping[str, Entity],
    rules: Rules,
    retention: float,
    limit: TimeLimit,
    run: Run,
    time: Time = UNLIMITED,
    emit_depth: int = EMIT_DEPTH,
) -> Plan:
    """The plan, made apart. Once a request is condemned, only some keys or parts of keys are planned; others wait.

    Keys wait too once those before them have as many objects as a plan may have.
    """
    elimination = Elimination(arrivals)
    while (wanted := elimination.wanted) and not (
        elimination.is_begun and (time.is_over or elimination.stored >= MOST_STORED)
    ):

        def work(note: Note, tell: Tell, wanted: Sequence[Arrival] = wanted) -> None:
            with limit.watching() as watch:
                noted = noting(rules, watch, elimination.condemned, note)
                # Fresh, because `run` may do the work in this process: rules must not change the batch's requests.
                again = [fresh(one) for one in wanted]
                stored = elimination.stored
                for write in writes(again, entities, noted, retention, watch, time, emit_depth):
                    note(None)
                    tell(write)
                    stored += weight_of(write.objects)
                    if time.is_over or stored >= MOST_STORED:
                        break

        if elimination.is_hopeless:
            work(lambda place: None, elimination.planned)
        elif end := run(work, elimination.planned, limit.seconds):
            log.warning("a process ended amid a plan, at %s: %s", end.place, end.reason)
            elimination.ended(end)
    return Plan(elimination.writes())


def in_a_child(work: Work, told: Tell, seconds: float) -> End | None:
    """Do the work in a fork of this process."""
    if not hasattr(os, "fork"):
        return End(None)
    with mmap(-1, NOTE_BYTES) as place:
        hear, tell = Pipe(duplex=False)
        try:
            child = _fork()
        except OSError as error:  # no room for another process
            log.warning("cannot plan apart: %s", error)
            return End(None)
        if child == 0:
            _live(work, place, tell)
        tell.close()
        with hear:
            return _listen(child, hear, told, place, seconds)


def _fork() -> int:
    with warnings.catch_warnings():
        # Python warns of other threads. They only wait for calls to make, and hold no lock that a plan needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _live(work: Work, place: mmap, tell: Connection) -> None:
    """Run the child. It always exits here: it must not go on with its parent's work."""
    code, process = 1, os.getpid()

    def note(at: Position | None) -> None:
        if os.getpid() != process:  # a fork that a rule made
            os._exit(0)
        _write(place, at)

    try:
        _alone()
        with suppress(OSError):  # if memory runs out, the kernel kills the child
            Path("/proc/self/oom_score_adj").write_text("1000")
        work(note, tell.send)
        tell.send(None)
        code = 0
    finally:
        os._exit(code)


def _alone() -> None:
    """Leave the function's process group, so that killing this one's spares the function, and still end with it."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setpgid(0, 0)


def _listen(child: int, hear: Connection, told: Tell, place: mmap, seconds: float) -> End | None:
    """Receive the child's writes until it ends; how it ended."""
    tick = min(seconds / TICKS, LONGEST_TICK)
    ticks, seen, is_gone = 0, b"", False
    try:
        while True:
            if hear.poll(tick):
                write = hear.recv()
                if write is None:
                    return None
                told(write)
                continue
            if is_gone:
                return End(_read(bytes(place)))  # even if a process of the child's keeps the pipe open
            is_gone = os.waitpid(child, os.WNOHANG)[0] == child
            now = bytes(place)
            ticks = ticks + 1 if now[0] and now == seen else 0
            seen = now
            if ticks >= seconds / tick + GRACE_TICKS:
                return End(_read(now), f"the rule took longer than {seconds:g} s, and no signal reached it")
    except (EOFError, OSError):
        return End(_read(bytes(place)))
    finally:
        if not is_gone:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _write(place: mmap, at: Position | None) -> None:
    place[0] = 0
    if at is not None:
        place[1:] = at.sequence.to_bytes(SEQUENCE_BYTES, "big") + at.sub.to_bytes(SUB_BYTES, "big")
        place[0] = 1


def _read(note: bytes) -> Position | None:
    if not note[0]:
        return None
    return Position(int.from_bytes(note[1 : 1 + SEQUENCE_BYTES], "big"), int.from_bytes(note[-SUB_BYTES:], "big"))
