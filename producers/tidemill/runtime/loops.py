"""Waiting in event loops for what a producer's threads have to tell, and calls that block in threads of their own.

Room: SDK. The loop's default executor is the application's, and may be full of work that waits for the producer.
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
    """Those who wait in any event loop for something to have happened.

    Args:
        news: tells that something has.
    """

    def __init__(self, news: News) -> None:
        self._news = news
        self._waiting: WeakKeyDictionary[AbstractEventLoop, _Waiting] = WeakKeyDictionary()

    async def wait_for(self, holds: Callable[[], object]) -> None:
        """Waits until something holds. Whoever is cancelled meanwhile leaves nothing behind."""
        if holds():
            return
        loop = asyncio.get_running_loop()
        waiting = self._waiting.get(loop)
        if waiting is None:
            waiting = self._waiting[loop] = _Waiting(loop, self._news)
        while not holds():
            await waiting.until_told(holds)


class _Waiting:
    """Those who wait in one loop: they are told together, by one call from the thread that has something to tell."""

    def __init__(self, loop: AbstractEventLoop, news: News) -> None:
        self._loop = ref(loop)
        self._news = news
        self._futures: set[Future[None]] = set()
        self._is_listening = False

    async def until_told(self, holds: Callable[[], object]) -> None:
        """Waits until something has happened, unless it holds already."""
        future = asyncio.get_running_loop().create_future()
        self._futures.add(future)
        try:
            if not self._is_listening:
                self._news.add(self)
                self._is_listening = True  # last: an interrupt between the two has the next add it again
            if not holds():  # it may have come to hold before somebody listened
                await future
        finally:
            self._futures.discard(future)

    def release(self) -> None:
        """Something has happened: in whichever thread. A loop that is closed has nobody who waits."""
        loop = self._loop()
        if loop is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._tell)

    def _tell(self) -> None:
        self._is_listening = False
        for future in self._futures:
            if not future.done():
                future.set_result(None)


async def in_a_thread(function: Callable[[], T], undo: Callable[[], None] | None = None) -> T:
    """What a function that blocks gives, or raises.

    Args:
        function: goes on if whoever waits for it is cancelled.
        undo: is called in a thread if it has succeeded and nobody waits any more.
    """
    loop = asyncio.get_running_loop()
    future: Future[T] = loop.create_future()

    def run() -> None:
        try:
            settle = partial(_succeed, future, function(), undo)
        except BaseException as error:
            settle = partial(_fail, future, error)
            unwanted = None
        else:
            unwanted = undo
        try:
            loop.call_soon_threadsafe(settle)
        except RuntimeError:  # the loop is closed
            if unwanted is not None:
                unwanted()

    _start(run)
    return await future


def _succeed(future: Future[T], result: T, undo: Callable[[], None] | None) -> None:
    if not future.done():
        future.set_result(result)
    elif undo is not None:
        _start(undo)


def _fail(future: Future[T], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def _start(function: Callable[[], None]) -> None:
    try:
        start(function, "tidemill-call")
    except RuntimeError:  # there can be no more threads, such as when the process is ending: then it blocks the loop
        function()
