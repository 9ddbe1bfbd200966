"""Replies: receives them from an SQS queue that is subscribed to the topic of replies.

Room: SDK, I/O.
"""

from __future__ import annotations

import logging
from collections import deque
from random import random
from time import monotonic, sleep
from typing import TYPE_CHECKING

from tidemill.contract.request import RefusedRequest, Reply, Status
from tidemill.replies.message_queue import LONGEST_WAIT, MessageQueue, say, unwrap
from tidemill.runtime import processes
from tidemill.runtime.trouble import Trouble, pause, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

REMEMBERED = 100_000
"""Number of replies whose ids are remembered, to drop repeats."""

_log = logging.getLogger("tidemill")


class Replies:
    """The replies that arrive at a queue, each once while its id is remembered.

    A request that was quarantined and later redriven has a second reply, with its new outcome.

        with Replies(queue_url) as replies:
            for reply in replies:
                print(reply.id, reply.status)

    The next poll deletes the messages whose replies were handed over. If the process dies before that, the replies come
    again.

    A call to a service that does not answer takes 35 s at most, unless `sqs` is given. The end of the block takes as
    long at most, and messages that could not be deleted by then come again.

    Args:
        queue_url: the queue's URL.
        sqs: a boto3 SQS client. None makes one in the URL's region, else AWS_REGION's; AWS_ENDPOINT_URL holds.
        wait: sleeps for the given seconds, between the tries of an iteration.
    """

    def __init__(
        self, queue_url: str, *, sqs: SQSClient | None = None, wait: Callable[[float], object] = sleep
    ) -> None:
        self._queue = MessageQueue(queue_url, sqs)
        self._seen: dict[str, Status] = {}
        self._waiting: deque[Reply] = deque()
        self._wait = wait
        self._asking = Trouble()
        self._has_repeats = False
        self.malformed = 0
        """Number of messages that could not be parsed. They are deleted: no retry could parse them."""
        self.repeats = 0
        """Number of replies that were dropped because they had come before."""
        processes.look_after(self)

    @classmethod
    def with_repeats(cls, queue_url: str, sqs: SQSClient | None = None) -> Replies:
        """Drops no reply that came before, for a reader who knows what it awaits: an id may be sent again."""
        made = cls(queue_url, sqs=sqs)
        made._has_repeats = True
        return made

    def poll(self, wait_seconds: int = LONGEST_WAIT) -> list[Reply]:
        """The replies of up to 10 messages; waits at most `wait_seconds` (0 to 20) for the first message.

        Raises:
            botocore.exceptions.ClientError: SQS answered with an error. A further poll loses nothing.
        """
        messages = self._queue.receive(wait_seconds)
        handles = [message["ReceiptHandle"] for message in messages]  # first: if this fails, no reply counts as seen
        replies = [reply for message in messages for reply in self._read(message)]
        self._queue.handed_over = handles
        return replies

    def begin_again(self, *, forked: bool) -> None:
        """Starts anew in a copy of the process: makes new connections, and leaves deleting to the original."""
        self._queue.begin_again()
        self._waiting.clear()

    def __iter__(self) -> Iterator[Reply]:
        """All replies, as they arrive, without end. Failures that may pass are logged and retried.

        Raises:
            botocore.exceptions.ClientError: SQS answered with an error that no retry cures.
        """
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            self._waiting.extend(self._poll_until_answered())

    def close(self) -> None:
        """Deletes the messages whose replies have all been handed over. SQS delivers the others again."""
        count = len(self._queue.handed_over)
        try:
            if not self._waiting:
                self._queue.delete_handed_over()
        except Exception as error:
            _log.warning("%d messages stay on the replies queue and come again: %s", count, text_of(error))
        finally:
            self._queue.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _poll_until_answered(self) -> list[Reply]:
        tries = 0
        while True:
            try:
                replies = self.poll()
            except Exception as error:
                if not may_pass(error):
                    raise
                say("cannot hear replies: %s", self._asking.failed(type(error).__name__, text_of(error), monotonic()))
                self._wait(pause(tries, random()))
                tries += 1
            else:
                say("replies are heard again: %s", self._asking.over(monotonic()))
                return replies

    def _read(self, message: MessageTypeDef) -> list[Reply]:
        try:
            replies = unwrap(message.get("Body", "")).replies
        except RefusedRequest as error:
            self.malformed += 1
            _log.warning("a message on the replies queue is dropped: %s", error)
            return []
        seen, fresh = self._seen, list[Reply]()
        for reply in replies:
            before = seen.get(reply.id)
            if self._has_repeats or before is None or (before == "quarantined" and reply.status != "quarantined"):
                seen[reply.id] = reply.status
                fresh.append(reply)
        self.repeats += len(replies) - len(fresh)
        while len(seen) > REMEMBERED:
            del seen[next(iter(seen))]
        return fresh


def may_pass(error: BaseException) -> bool:
    """Whether a retry may succeed by itself; not for a queue that does not exist or is not accessible."""
    from botocore.exceptions import BotoCoreError, ClientError

    if not isinstance(error, ClientError):
        return isinstance(error, BotoCoreError | OSError)
    metadata, problem = error.response.get("ResponseMetadata", {}), error.response.get("Error", {})
    status = metadata.get("HTTPStatusCode", 0)
    return not 400 <= status < 500 or status in (408, 429) or "Throttl" in problem.get("Code", "")
