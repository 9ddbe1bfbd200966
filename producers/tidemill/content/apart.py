"""Calls to S3 in a thread of their own, because a signal may interrupt the one that waits for them, and call too.

Room: SDK.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Generic, TypeVar

from tidemill.errors import ProducerClosed
from tidemill.runtime.threads import start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidemill.runtime.waiting import News

T = TypeVar("T")

ELSEWHERE = "it is uploaded by another process, before this one was forked off; ask there"


class Apart(Generic[T]):
    """A blocking function that runs in a thread of its own, whatever becomes of the one that waits for it.

    Args:
        work: the function.
        news: the producer's. It is told when the function has ended; `work` tells of progress there, if it makes some.
    """

    def __init__(self, work: Callable[[], T], news: News) -> None:
        self._news = news
        self._results: list[T] = []
        self._errors: list[BaseException] = []
        self._process = os.getpid()

        def run() -> None:
            try:
                self._results.append(work())
            except BaseException as error:  # such as SystemExit of a hook in a client
                self._errors.append(error)
            news.tell()

        try:
            start(run, "tidemill-upload")
        except RuntimeError:  # no more threads can be started, such as at exit
            run()

    @property
    def has_ended(self) -> bool:
        """Whether `result` has it: the function has ended, or runs in the process that this one is a copy of."""
        return bool(self._results or self._errors) or self._process != os.getpid()

    def waits(self, meanwhile: Callable[[], None] = lambda: None) -> Iterator[Callable[[], object]]:
        """The conditions to wait for, one after another, until the function has ended.

        Args:
            meanwhile: is called before each. Its error is raised.
        """
        while not self.has_ended:
            told = self._news.told
            meanwhile()
            yield lambda: self.has_ended or self._news.told != told  # noqa: B023 - the wait ends before it changes

    def result(self) -> T:
        """The result of a function that has ended, or its error.

        Raises:
            ProducerClosed: it runs in the process that this one is a copy of.
        """
        if self._errors:
            raise self._errors[0]
        if not self._results:
            raise ProducerClosed(ELSEWHERE)
        return self._results[0]


def run_apart(work: Callable[[], T], news: News, meanwhile: Callable[[], None] = lambda: None) -> T:
    """The result of a blocking function, or its error. This thread waits for it.

    Args:
        work, news: as in `Apart`; `work` goes on if the wait is interrupted.
        meanwhile: is called in this thread whenever there is news. An error of it ends the wait.

    Raises:
        ProducerClosed: this process is a copy of the one that `work` runs in.
    """
    running = Apart(work, news)
    for holds in running.waits(meanwhile):
        news.wait_for(holds)
    return running.result()
