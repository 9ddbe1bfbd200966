"""Lets event loops wait for news from a producer's threads, and runs blocking calls in threads of their own.

Room: SDK. The loop's default executor is not used: it is the application's, and may be full of work that waits for the
producer.
Tests: tests/producers/tidemill/test_aio.py.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakKeyDictionary, ref

from tidemill.runtime.threads import start

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future
    from collections.abc import Callable

    from tidemill.runtime.waiting import News

T = TypeVar("T")


class Loops:
    """Wakes the tasks of any number of event loops when there is news.

    Args:
        news: tells that something has happened.
    """

    def __init__(self, news: News) -> None:
        self._news = news
        self._waiting: WeakKeyDictionary[AbstractEventLoop, _Waiting] = WeakKeyDictionary()

    async def wait_for(self, holds: Callable[[], object]) -> None:
        """Waits until `holds` returns true. A cancelled wait leaves nothing behind."""
        if holds():
            return
        loop = asyncio.get_running_loop()
        waiting = self._waiting.get(loop)
        if waiting is None:
            waiting = self._waiting[loop] = _Waiting(loop, self._news)
        while not holds():
            await waiting.until_told(holds)


class _Waiting:
    """The waiting tasks of one loop: one thread-safe call wakes all of them."""

    def __init__(self, loop: AbstractEventLoop, news: News) -> None:
        self._loop = ref(loop)
        self._news = news
        self._futures: set[Future[None]] = set()
        self._is_listening = False

    async def until_told(self, holds: Callable[[], object]) -> None:
        """Waits for the next news, unless `holds` returns true already."""
        future = asyncio.get_running_loop().create_future()
        self._futures.add(future)
        try:
            if not self._is_listening:
                self._news.add(self)
                self._is_listening = True  # last: after an interrupt between the two, the next task adds it again
            if not holds():  # it may have become true before this listened
                await future
        finally:
            self._futures.discard(future)

    def release(self) -> None:
        """Wakes the tasks, from any thread. A closed loop has no waiting tasks."""
        loop = self._loop()
        if loop is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._is_listening = False
        for future in self._futures:
            if not future.done():
                future.set_result(None)


async def in_a_thread(function: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """The result of a blocking function, which runs in a thread of its own.

    Args:
        function: the function; it goes on if the waiting task is cancelled.
        undo: is called in a thread with the result if the function succeeded after that.
    """
    loop = asyncio.get_running_loop()
    future: Future[T] = loop.create_future()

    def run() -> None:
        unwanted = None
        try:
            result = function()
        except BaseException as error:
            settle = partial(_fail, future, error)
        else:
            unwanted = None if undo is None else partial(undo, result)
            settle = partial(_succeed, future, result, unwanted)
        try:
            loop.call_soon_threadsafe(settle)
        except RuntimeError:  # the loop is closed
            if unwanted is not None:
                unwanted()

    _start(run)
    try:
        return await future
    except asyncio.CancelledError:
        if undo is not None and not future.cancelled() and future.exception() is None:
            _start(partial(undo, future.result()))  # the task was cancelled between its result and its next step
        raise


def _succeed(future: Future[T], result: T, undo: Callable[[], object] | None) -> None:
    if not future.done():
        future.set_result(result)
    elif undo is not None:
        _start(undo)


def _fail(future: Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _start(function: Callable[[], object]) -> None:
    try:
        start(function, "tidemill-call")
    except RuntimeError:  # no more threads can be started, such as at exit: block the loop
        function()
