"""Calls to S3 in a thread of their own, because a signal may interrupt the one that waits for them, and call too.

Room: SDK. Tests: tests/producers/tidemill/content/test_bucket.py, test_upload.py beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tidemill.runtime.threads import start

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.runtime.waiting import News

T = TypeVar("T")


def run_apart(work: Callable[[], T], news: News, meanwhile: Callable[[], None] = lambda: None) -> T:
    """The result of a blocking function, or its error. This thread waits for it.

    Args:
        work: the function; it goes on if the wait is interrupted.
        news: the producer's; `work` tells of progress there, if it makes some.
        meanwhile: is called in this thread whenever there is news. An error of it ends the wait.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # such as SystemExit of a hook in a client
            errors.append(error)
        news.tell()

    try:
        start(run, "tidemill-upload")
    except RuntimeError:  # no more threads can be started, such as at exit
        run()
    while not results and not errors:
        told = news.told
        meanwhile()
        news.wait_for(lambda: results or errors or news.told != told)  # noqa: B023 - the wait ends before it changes
    if errors:
        raise errors[0]
    return results[0]
