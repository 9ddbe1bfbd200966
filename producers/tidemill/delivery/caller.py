"""The caller: a thread that makes a producer's calls, one after the other.

Room: SDK, I/O by the wire that it is given.
Tests: tests/producers/tidemill/test_producer.py.
"""

from __future__ import annotations

from queue import SimpleQueue
from threading import Thread, current_thread, get_ident
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from tidemill.runtime.bounded import cut
from tidemill.runtime.threads import start
from tidemill.runtime.trouble import text_of
from tidemill.sending.records import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidemill.sending.records import Call, Outcome


class Makes(Protocol):
    """An object that makes calls: a `Wire`."""

    def put(self, call: Call) -> Sequence[Outcome] | Refused:
        """Makes a call. Returns each record's outcome, or the reason why the whole call failed."""


class Caller:
    """Makes calls in a thread of its own.

    Args:
        wire: makes them.
        begins: is called first in the thread.
        ends: is called last in the thread.
        made: is called in the thread after each call, with the call, its result and the seconds that it took.
    """

    def __init__(
        self,
        wire: Makes,
        begins: Callable[[], None],
        ends: Callable[[], None],
        made: Callable[[Call, Sequence[Outcome] | Refused, float], None],
    ) -> None:
        self._wire = wire
        self._begins = begins
        self._ends = ends
        self._made = made
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._ident = 0

    def start(self) -> None:
        """Starts the thread.

        Raises:
            RuntimeError: no more threads can be started.
        """
        start(self._run, "tidemill-caller")

    @property
    def thread(self) -> Thread | None:
        """Its thread; None until that runs."""
        return self._thread

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def make(self, call: Call) -> None:
        """Queues a call, to be made after the earlier ones."""
        self._calls.put(call)

    def end(self) -> None:
        """Ends the thread after the queued calls."""
        self._calls.put(None)

    def cut(self) -> None:
        """Shuts down the socket of a call that takes too long."""
        cut(self._ident, Caller._run.__code__)

    def _run(self) -> None:
        self._thread, self._ident = current_thread(), get_ident()
        self._begins()
        while (call := self._calls.get()) is not None:
            began = monotonic()
            answer: Sequence[Outcome] | Refused
            try:
                answer = self._wire.put(call)
            except BaseException as error:  # such as SystemExit of a hook in a client
                answer = Refused(type(error).__name__, f"the client failed: {text_of(error)}", again=False, lost=True)
            self._made(call, answer, monotonic() - began)
        self._ends()
