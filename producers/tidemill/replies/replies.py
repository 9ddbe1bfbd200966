"""Replies: listening to an SQS queue that is subscribed to the topic of receipts.

Room: SDK, I/O.
"""

from __future__ import annotations

import logging
from collections import deque
from functools import partial
from random import random
from time import monotonic, sleep
from typing import TYPE_CHECKING

import msgspec

from tidemill.aws.region import make_client
from tidemill.contract.request import Receipts, RefusedRequest, Reply, Status, decode_receipts
from tidemill.runtime import processes
from tidemill.runtime.bounded import bounded
from tidemill.runtime.trouble import Trouble, pause, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

MESSAGES = 10
"""Most messages of a ReceiveMessage or DeleteMessageBatch call.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

LONGEST_WAIT = 20
"""Longest wait in seconds of a ReceiveMessage call."""

REMEMBERED = 100_000
"""Replies whose ids are remembered, so that a repeat is dropped."""

_log = logging.getLogger("tidemill")


class Replies:
    """The replies that arrive at a queue, each once as long as its id is remembered.

    A request that was quarantined and redriven later is answered a second time, with what became of it then.

        with Replies(queue_url) as replies:
            for reply in replies:
                print(reply.id, reply.status)

    A message is deleted when its replies have been handed over and the next are asked for: a listener that
    dies in between hears them again.

    A call takes 35 s at most where nobody answers, unless the client is given: so does the end of the block, and
    messages that could not be deleted by then come again.

    Args:
        queue_url: the queue's URL.
        sqs: a boto3 SQS client. None makes one in the URL's region, else AWS_REGION's; AWS_ENDPOINT_URL holds.
        wait: waits so many seconds, between the tries of an iteration.
    """

    def __init__(
        self, queue_url: str, *, sqs: SQSClient | None = None, wait: Callable[[float], object] = sleep
    ) -> None:
        self._queue_url = queue_url
        self._owns_sqs = sqs is None
        self._sqs = sqs or _make_sqs(queue_url)
        self._is_copy = False
        self._seen: dict[str, Status] = {}
        self._handed_over: list[str] = []
        self._waiting: deque[Reply] = deque()
        self._wait = wait
        self._asking, self._deleting = Trouble(), Trouble()
        self.malformed = 0
        """Messages that were no receipts. They are deleted: nobody could ever read them."""
        self.repeats = 0
        """Replies that were dropped because they had come before."""
        processes.look_after(self)

    def poll(self, wait_seconds: int = LONGEST_WAIT) -> list[Reply]:
        """The replies of up to 10 messages; waits until there is one, `wait_seconds` at most (0 to 20).

        Raises:
            botocore.exceptions.ClientError: as the service answered. Asking again loses nothing.
        """
        if self._is_copy:
            processes.renew_connections(self._sqs)
            self._is_copy = False
        messages = bounded(partial(self._receive, wait_seconds))
        handles = [message["ReceiptHandle"] for message in messages]  # before any reply counts as seen
        replies = [reply for message in messages for reply in self._read(message)]
        self._handed_over = handles
        return replies

    def begin_again(self, *, forked: bool) -> None:
        """In a copy of its process: connections of its own, and what was handed over is for the original to delete."""
        self._handed_over = []
        self._waiting.clear()
        self._is_copy = True

    def __iter__(self) -> Iterator[Reply]:
        """All replies, as they arrive, without end. Failures that may pass are waited out, and are in the log.

        Raises:
            botocore.exceptions.ClientError: asking again would be in vain.
        """
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            self._waiting.extend(self._poll_until_answered())

    def close(self) -> None:
        """Deletes the messages that have been handed over, whole. Those that it cannot delete come again."""
        count = len(self._handed_over)
        try:
            if not self._waiting:
                self._delete_handed_over()
        except Exception as error:
            _log.warning("%d messages stay on the replies queue and come again: %s", count, text_of(error))
        finally:
            if self._owns_sqs and not self._is_copy:
                self._sqs.close()

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
                _say("cannot hear replies: %s", self._asking.failed(type(error).__name__, text_of(error), monotonic()))
                self._wait(pause(tries, random()))
                tries += 1
            else:
                _say("replies are heard again: %s", self._asking.over(monotonic()))
                return replies

    def _receive(self, wait_seconds: int) -> list[MessageTypeDef]:
        self._delete_handed_over()
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=MESSAGES, WaitTimeSeconds=wait_seconds
        )
        return answer.get("Messages", [])

    def _read(self, message: MessageTypeDef) -> list[Reply]:
        try:
            replies = _unwrap(message.get("Body", "")).replies
        except RefusedRequest as error:
            self.malformed += 1
            _log.warning("a message on the replies queue is dropped: %s", error)
            return []
        return [reply for reply in replies if self._is_new(reply)]

    def _is_new(self, reply: Reply) -> bool:
        before = self._seen.get(reply.id)
        if before is not None and (before != "quarantined" or reply.status == "quarantined"):
            self.repeats += 1
            return False
        self._seen[reply.id] = reply.status
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

    def _delete_handed_over(self) -> None:
        handles, self._handed_over = self._handed_over, []
        if handles:
            answer = self._sqs.delete_message_batch(
                QueueUrl=self._queue_url,
                Entries=[{"Id": str(index), "ReceiptHandle": handle} for index, handle in enumerate(handles)],
            )
            self._report(answer.get("Failed", []))

    def _report(self, failed: Sequence[object]) -> None:
        """A message that could not be deleted comes again, and its replies are dropped as repeats."""
        now, count = monotonic(), len(failed)
        if failed:
            problem = f"{count} messages on the replies queue could not be deleted"
            _say("%s", self._deleting.failed("", problem, now))
        else:
            _say("messages on the replies queue are deleted again: %s", self._deleting.over(now))


class _Notification(msgspec.Struct, tag_field="Type", tag="Notification"):
    """What SNS wraps around a message unless the subscription asks for raw delivery.

    https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
    """

    message: str = msgspec.field(name="Message")


_notification_decoder = msgspec.json.Decoder(_Notification)


def _unwrap(body: str) -> Receipts:
    try:
        message = _notification_decoder.decode(body).message
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        message = body  # delivered raw
    return decode_receipts(message)


def may_pass(error: BaseException) -> bool:
    """Whether asking again may help, without anybody's doing: not for a queue that is not there, or not ours."""
    from botocore.exceptions import BotoCoreError, ClientError

    if not isinstance(error, ClientError):
        return isinstance(error, BotoCoreError | OSError)
    metadata, problem = error.response.get("ResponseMetadata", {}), error.response.get("Error", {})
    status = metadata.get("HTTPStatusCode", 0)
    return not 400 <= status < 500 or status in (408, 429) or "Throttl" in problem.get("Code", "")


def _say(message: str, line: str | None) -> None:
    if line is not None:
        _log.warning(message, line)


def _make_sqs(queue_url: str) -> SQSClient:
    from botocore.config import Config  # here, for `import tidemill` to be quick

    # Whoever asks does so again, with a back-off; and the end of a block must not wait for many tries.
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=5, read_timeout=LONGEST_WAIT + 10
    )
    sqs: SQSClient = make_client("sqs", queue_url, config)
    return sqs
