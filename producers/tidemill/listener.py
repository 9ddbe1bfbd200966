"""Who waits for which reply: a thread that hears them, as long as somebody waits.

Room: SDK, I/O by what it listens to.
"""

from __future__ import annotations

import logging
from threading import Condition, Thread
from typing import TYPE_CHECKING, Protocol

from tidemill.replies import Replies

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.request import Reply

WAIT_SECONDS = 1
"""Of one poll: how long closing may have to wait."""

REMEMBERED = 10_000
"""Replies that nobody has asked for yet."""

AFTER_FAILURE = 1.0
"""Seconds before replies are asked for again after that failed."""

_log = logging.getLogger("tidemill")


class Hears(Protocol):
    """Where replies come from: an SQS queue (`Replies`), MQTT, a WebSocket."""

    def poll(self, wait_seconds: int) -> list[Reply]:
        """The replies that are there; waits until there is one, for so many seconds at most."""

    def close(self) -> None:
        """Lets go of what it holds."""


class Listener:
    """Hears replies for those who wait for them. Replies to others are passed over.

    Args:
        source: the URL of an SQS queue, or what hears replies otherwise.
        heard: is told, from the thread, when there is news.
    """

    def __init__(self, source: str | Hears, heard: Callable[[], None]) -> None:
        self._source: Hears = Replies(source) if isinstance(source, str) else source
        self._heard = heard
        self._expected: set[str] = set()
        self._replies: dict[str, Reply] = {}
        self._failure: Exception | None = None
        self._work = Condition()
        self._thread: Thread | None = None
        self._closing = False

    def expect(self, request_id: str) -> None:
        """Somebody will ask for the reply to that request."""
        with self._work:
            self._expected.add(request_id)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="tidemill-replies", daemon=True)
                self._thread.start()
            self._work.notify()

    def has_news_of(self, request_id: str) -> bool:
        """Whether its reply has come, or will never come."""
        return request_id in self._replies or self._failure is not None

    def reply_to(self, request_id: str) -> Reply | None:
        """Its reply, if that has come.

        Raises:
            botocore.exceptions.ClientError: replies cannot be heard.
        """
        reply = self._replies.get(request_id)
        if reply is None and self._failure is not None:
            raise self._failure
        return reply

    def close(self) -> None:
        """Ends the thread, and lets go of the source."""
        with self._work:
            self._closing = True
            self._work.notify()
        if self._thread is not None:
            self._thread.join()
        self._source.close()

    def _run(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        while self._is_awaited():
            try:
                replies = self._source.poll(WAIT_SECONDS)
            except (ClientError, BotoCoreError, OSError) as error:
                self._failed(error)
            else:
                self._take(replies)

    def _is_awaited(self) -> bool:
        """Whether somebody waits; False to end. Nobody is asked while nobody waits."""
        with self._work:
            self._work.wait_for(lambda: self._closing or self._expected)
            return not self._closing

    def _take(self, replies: list[Reply]) -> None:
        with self._work:
            self._failure = None
            for reply in replies:
                if reply.id in self._expected:
                    self._expected.remove(reply.id)
                    self._replies[reply.id] = reply
            while len(self._replies) > REMEMBERED:
                del self._replies[next(iter(self._replies))]
        if replies:
            self._heard()

    def _failed(self, error: Exception) -> None:
        _log.warning("cannot hear replies: %s", error)
        with self._work:
            if _is_final(error):
                self._failure = error
            self._work.wait_for(lambda: self._closing, AFTER_FAILURE)
        self._heard()


def _is_final(error: Exception) -> bool:
    """Whether asking again is in vain: a queue that is not there, or not ours."""
    from botocore.exceptions import ClientError

    if not isinstance(error, ClientError):
        return False
    status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
    return 400 <= status < 500 and status != 429 and "Throttl" not in error.response["Error"].get("Code", "")
