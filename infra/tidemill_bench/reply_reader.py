"""Hearing the answers that arrive at a queue: a thread that empties it and tells the tracker of each.

Room: local platform, I/O.
"""

from __future__ import annotations

import logging
import time
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from botocore.exceptions import BotoCoreError, ClientError

from tidemill import Replies
from tidemill_load.results.request_tracker import RequestTracker

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

PAUSE: Final = 1.0
"""Seconds before a queue that could not be read is read again."""

log = logging.getLogger(__name__)


class Listener:
    """Listens from entering to leaving.

    Args:
        queue: the URL of a queue that hears all replies.
        sqs: a boto3 SQS client, for this alone.
    """

    def __init__(self, queue: str, sqs: SQSClient) -> None:
        self._replies = Replies(queue, sqs=sqs)
        self._ending = Event()
        self._thread = Thread(target=self._listen, name="replies", daemon=True)
        self.tracker: RequestTracker | None = None
        """Who is told; an answer to none of its requests is passed over."""
        self.messages = 0
        """Messages that came."""
        sqs.meta.events.register("after-call.sqs.ReceiveMessage", self._count)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join(5)

    def _listen(self) -> None:
        while not self._ending.is_set():
            try:
                heard = self._replies.poll(1)
            except (BotoCoreError, ClientError) as error:
                if not self._ending.wait(PAUSE):
                    log.warning("cannot hear replies, trying again: %s", error)
                continue
            except Exception:  # it must hear on, whatever it is
                log.exception("cannot hear replies, trying again")
                self._ending.wait(PAUSE)
                continue
            now = time.monotonic()
            if tracker := self.tracker:
                for reply in heard:
                    tracker.answered(reply.id, reply.status, now)

    def _count(self, parsed: Any, **_: object) -> None:
        self.messages += len(parsed.get("Messages", []))
