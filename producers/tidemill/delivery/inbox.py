"""The inbox: any thread puts work into it, and the keeper takes that into the core.

Room: SDK. No I/O.
Tests: tests/producers/tidemill/test_producer.py.

    any thread ─ put ─▶ a request, a question or a function ─ drain, wait ─▶ core

There is no lock. `put` is one atomic step, `SimpleQueue.put`: signal handlers, `__del__` and other threads may call it
at any time. Waking the keeper costs more than taking a request. So a request that comes while the keeper is busy does
not wake it: the keeper naps and looks again.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

from tidemill.delivery.question import Question
from tidemill.errors import BufferFull, ProducerClosed
from tidemill.runtime.trouble import said_by
from tidemill.runtime.waiting import LONGEST
from tidemill.sending.records import Record, Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.delivery.core import Core
    from tidemill.delivery.ticket import Ticket

NAP = 0.1
"""Length of the keeper's naps in seconds: afterwards it looks for requests, which do not wake it one by one."""

WAKING_SIZE = 256 * 1024
"""Bytes of waiting requests above which a sender ends the nap."""

HEAD = 200
"""Approximate number of bytes before a counter."""

CHUNK = 1_000
"""Most requests that the keeper takes before it checks whether a call is due."""

Draft: TypeAlias = "tuple[Ticket, str, str, bytes, float, float]"
"""A request for the core: its handle, its key, what stands before and after its counter, the time and its deadline."""

Item: TypeAlias = "Draft | Question[object] | partial[None]"
"""An item of the inbox: a request, a question, or a function that nobody waits for."""


class Inbox:
    """The queue of work for a core. Any thread may use `put`, `ring` and the attributes; the rest is the keeper's.

    Args:
        core: takes the requests.

    Attributes:
        put: puts an item in, in one atomic step.
        size: approximate bytes of the requests in it: `HEAD` and what stands after the counter, for each.
        naps: whether the keeper naps, and will look into the inbox soon without being woken.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._items: SimpleQueue[Item] = SimpleQueue()
        self.put: Callable[[Item], None] = self._items.put
        self.size = 0
        self.naps = self._has_taken = False
        self._bell: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Wakes the keeper so that it reads the inbox at once."""
        self.naps = False
        self._bell.put(None)

    def drain(self) -> None:
        """Takes the items in it, `CHUNK` at most."""
        while not self._bell.empty():
            self._bell.get()
        get, take, is_plain, size = self._items.get_nowait, self._core.take, self._core.is_plain, 0
        for _ in range(min(self._items.qsize(), CHUNK)):
            item = get()
            if is_plain and type(item) is tuple:  # most often so
                handle, key, before, behind, now, deadline = item
                record, handle._place = take(key, before, behind, now, deadline)
                handle._record = record  # last: other threads read the place only if there is a record
                size += HEAD + len(behind)
            else:
                self._take(item)
        if size:
            self.size -= size
            self._has_taken = True
        if self._items.empty():
            self.size = 0  # concurrent changes make it inexact, so it is corrected when the true size is known

    def wait(self, seconds: float) -> None:
        """Waits for the next item. While requests keep coming it naps instead, and they do not end the nap."""
        has_taken, self._has_taken = self._has_taken, False
        if seconds <= 0:
            return
        if not has_taken:
            with suppress(Empty):
                self._take(self._items.get(timeout=min(seconds, LONGEST)))
            return
        self.naps = True
        if self._items.empty():
            with suppress(Empty):
                self._bell.get(timeout=min(seconds, NAP))
        self.naps = False

    def keep(self, draft: Draft) -> bool:
        """Takes a request that is signed or spooled; False if there is no room. To be called as a question.

        Raises:
            BufferFull, SpoolBroken, UnsendableRequest, or a signer's error: the request is not taken.
        """
        handle, key, before, behind, now, deadline = draft
        taken = self._core.keep(key, before, behind, now, deadline)
        if taken is None:
            return False
        record, place = taken
        handle._place, handle._record = place, record
        return True

    def refuse_rest(self, closed: ProducerClosed) -> int:
        """Refuses everything in it, because nothing more will be taken. Returns the number of requests."""
        lost = 0
        with suppress(Empty):
            while True:
                item = self._items.get_nowait()
                if isinstance(item, tuple):
                    lose(item[0], closed)
                    lost += 1
                elif isinstance(item, Question):
                    item.refuse(closed)
        return lost

    def _take(self, item: Item) -> None:
        self._has_taken = True
        if isinstance(item, tuple):
            handle, key, before, behind, now, deadline = item
            self.size -= HEAD + len(behind)
            if self._core.is_plain:
                record, place = self._core.take(key, before, behind, now, deadline)
                handle._place, handle._record = place, record
            else:
                self._keep_unasked(item)
        elif isinstance(item, Question):
            item.answer()
        else:
            item()

    def _keep_unasked(self, draft: Draft) -> None:
        """Takes a request that was put in without a question: one of the producer's own threads, such as a signer in
        the keeper's, sent it."""
        try:
            kept = self.keep(draft)
        except Exception as error:
            lose(draft[0], error)
        else:
            if not kept:
                lose(draft[0], BufferFull("there is no room, and a producer's own threads do not wait for it"))


def lose(handle: Ticket, error: Exception) -> None:
    """Gives up a request that was not taken: its ticket gets an empty record with that outcome."""
    code = "Closed" if isinstance(error, ProducerClosed) else type(error).__name__
    record = Record(0, None)
    record.settle(Refused(code, said_by(error), again=False))
    handle._record = record
