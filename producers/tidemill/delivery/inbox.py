"""The inbox: what any thread puts in, and how the keeper takes it into the core.

Room: SDK. No I/O.
Tests: tests/producers/tidemill/test_producer.py.

    any thread ─ put ─▶ a request, a question or a function ─ drain, wait ─▶ core

There is no lock. `put` is one step, `SimpleQueue.put`, which signal handlers, `__del__` and other threads may make amid
another one: an interrupt comes before that or after it. Waking the keeper costs more than a request does, so that one
who comes while it is at work leaves that: it naps, and looks again.
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
"""Seconds after which the keeper looks for requests that came while it was at work: nobody wakes it for each."""

WAKING_SIZE = 256 * 1024
"""Characters of such requests for which it is woken."""

HEAD = 200
"""Characters that the text before a counter has, about."""

CHUNK = 1_000
"""Most requests that are taken before the keeper looks whether a call is to be made."""

Draft: TypeAlias = "tuple[Ticket, str, str, str, float, float]"
"""A request on its way to the core: its handle, its key, the text before its counter and behind, now, its deadline."""

Item: TypeAlias = "Draft | Question[object] | partial[None]"
"""What may be put in: a request, a question, or a function that nobody waits for."""


class Inbox:
    """What is to be taken into a core. `put`, `ring` and the attributes are any thread's, all else is the keeper's.

    Args:
        core: takes the requests.

    Attributes:
        put: puts something in, by one step.
        size: characters of the requests in it, about: `HEAD` and what is behind the counter, for each.
        naps: whether the keeper will look into it soon, and nobody need wake it for a request.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._items: SimpleQueue[Item] = SimpleQueue()
        self.put: Callable[[Item], None] = self._items.put
        self.size = 0
        self.naps = self._has_taken = False
        self._bell: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        """Has the keeper look into it at once."""
        self.naps = False
        self._bell.put(None)

    def drain(self) -> None:
        """Takes what is in it, or a good part of that."""
        while not self._bell.empty():
            self._bell.get()
        get, take, is_plain, size = self._items.get_nowait, self._core.take, self._core.is_plain, 0
        for _ in range(min(self._items.qsize(), CHUNK)):
            item = get()
            if is_plain and type(item) is tuple:  # most often so
                handle, key, before, behind, now, deadline = item
                record, handle._place = take(key, before, behind, now, deadline)
                handle._record = record  # last: from here on others see both
                size += HEAD + len(behind)
            else:
                self._take(item)
        if size:
            self.size -= size
            self._has_taken = True
        if self._items.empty():
            self.size = 0  # it is not counted by single steps, so it is put right where it is known

    def wait(self, seconds: float) -> None:
        """Waits for what comes. Where requests come one after the other, it is a nap, and they do not end it."""
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
        """Takes a request that is signed or spooled; False when there is no room. Only as a question.

        Raises:
            BufferFull, SpoolBroken, UnsendableRequest, or what a signer raises: it is not taken.
        """
        handle, key, before, behind, now, deadline = draft
        taken = self._core.keep(key, before, behind, now, deadline)
        if taken is None:
            return False
        record, place = taken
        handle._place, handle._record = place, record
        return True

    def refuse_rest(self, closed: ProducerClosed) -> int:
        """Refuses what is in it, of which nothing will be taken any more: how many requests."""
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
        """Takes a request that nobody waits for: it comes from the keeper's very thread, such as from a signer."""
        try:
            kept = self.keep(draft)
        except Exception as error:
            lose(draft[0], error)
        else:
            if not kept:
                lose(draft[0], BufferFull("there is no room, and a producer's own threads do not wait for it"))


def lose(handle: Ticket, error: Exception) -> None:
    """Ends a request that was not taken: its record never had any."""
    code = "Closed" if isinstance(error, ProducerClosed) else type(error).__name__
    record = Record(0, None)
    record.settle(Refused(code, said_by(error), again=False))
    handle._record = record
