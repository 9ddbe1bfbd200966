"""Planning in a process of its own, which may end: the function's lives on, and knows over which request.

Room: isolation. The process is a fork, so that it has the batch, and tells its writes as it goes. On Lambda as anywhere
on Linux; there is no /dev/shm, so the place at work is noted in anonymous shared memory.
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
from tidemill_consumers.core.plan import writes
from tidemill_consumers.isolation.time_limit import TimeLimit

log = logging.getLogger(__name__)

Note: TypeAlias = Callable[[Position | None], None]
Tell: TypeAlias = Callable[[Write], None]
Work: TypeAlias = Callable[[Note, Tell], None]
"""Plans, notes at which place it is, and tells each write."""

Run: TypeAlias = Callable[[Work, Tell, float], End | None]
"""Has the work done apart, hands on what it tells, and says how it ended; None: well. The seconds are a rule's time."""

SEQUENCE_BYTES, SUB_BYTES = 64, 8
NOTE_BYTES = 1 + SEQUENCE_BYTES + SUB_BYTES
GRACE_TICKS = 3
"""Longer than the timer within the process waits: what that does not reach is ended from here."""

PR_SET_PDEATHSIG = 1
"""https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html"""

LONGEST_TICK = 1.0
"""Seconds between two looks."""


def plan_apart(
    arrivals: Sequence[Arrival],
    entities: Mapping[str, Entity],
    rules: Rules,
    retention: float,
    limit: TimeLimit,
    run: Run,
    time: Time = UNLIMITED,
) -> Plan:
    """The plan, made apart; where a request was condemned, of some keys and parts of keys only: the others wait."""
    elimination = Elimination(arrivals)
    while (wanted := elimination.wanted) and not (elimination.is_begun and time.is_over):

        def work(note: Note, tell: Tell, wanted: Sequence[Arrival] = wanted) -> None:
            with limit.watching() as watch:
                noted = noting(rules, watch, elimination.condemned, note)
                # Fresh, for what runs the work may have no memory of its own.
                for write in writes([fresh(one) for one in wanted], entities, noted, retention, watch, time):
                    note(None)
                    tell(write)
                    if time.is_over:
                        break

        if elimination.is_hopeless:
            work(lambda place: None, elimination.planned)
        elif end := run(work, elimination.planned, limit.seconds):
            log.warning("a process ended amid a plan, at %s: %s", end.place, end.reason)
            elimination.ended(end)
    return Plan(elimination.writes())


def in_a_child(work: Work, told: Tell, seconds: float) -> End | None:
    """Have the work done by a fork of this process."""
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
        # Threads that wait for calls to make hold nothing that a plan needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _live(work: Work, place: mmap, tell: Connection) -> None:
    """The child's life. It ends here whatever happens: nothing of its parent's may be done twice."""
    code, process = 1, os.getpid()

    def note(at: Position | None) -> None:
        if os.getpid() != process:  # a copy that a rule made and let go
            os._exit(0)
        _write(place, at)

    try:
        _alone()
        with suppress(OSError):  # where memory is short it is the child that has to go
            Path("/proc/self/oom_score_adj").write_text("1000")
        work(note, tell.send)
        tell.send(None)
        code = 0
    finally:
        os._exit(code)


def _alone() -> None:
    """Leave the function's process group, whose end would be the function's, and end with the function all the same."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setpgid(0, 0)


def _listen(child: int, hear: Connection, told: Tell, place: mmap, seconds: float) -> End | None:
    """Hear the child out; how it ended."""
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
                return End(_read(bytes(place)))  # though a process that it left behind keeps its pipe open
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
