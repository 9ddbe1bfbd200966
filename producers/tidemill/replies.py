"""Replies: listening to an SQS queue that is subscribed to the topic of receipts.

Room: SDK, I/O.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from tidemill.request import Receipts, RefusedRequest, Reply, Status, decode_receipts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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

    Args:
        queue_url: the queue's URL.
        sqs: a boto3 SQS client. None makes one, so AWS_ENDPOINT_URL and AWS_REGION hold.
    """

    def __init__(self, queue_url: str, *, sqs: SQSClient | None = None) -> None:
        self._queue_url = queue_url
        self._owns_sqs = sqs is None
        self._sqs = sqs or _make_sqs()
        self._seen: dict[str, Status] = {}
        self._handed_over: list[str] = []
        self._waiting: deque[Reply] = deque()
        self.malformed = 0
        """Messages that were no receipts. They are deleted: nobody could ever read them."""
        self.repeats = 0
        """Replies that were dropped because they had come before."""

    def poll(self, wait_seconds: int = LONGEST_WAIT) -> list[Reply]:
        """The replies of up to 10 messages; waits until there is one, `wait_seconds` at most (0 to 20).

        Raises:
            botocore.exceptions.ClientError: as the service answered. Asking again loses nothing.
        """
        self._delete_handed_over()
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=MESSAGES, WaitTimeSeconds=wait_seconds
        )
        messages = answer.get("Messages", [])
        replies = [reply for message in messages for reply in self._read(message)]
        self._handed_over = [message["ReceiptHandle"] for message in messages]
        return replies

    def __iter__(self) -> Iterator[Reply]:
        """All replies, as they arrive, without end."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            self._waiting.extend(self.poll())

    def close(self) -> None:
        """Deletes the messages that have been handed over, whole."""
        if not self._waiting:
            self._delete_handed_over()
        if self._owns_sqs:
            self._sqs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
            _report(answer.get("Failed", []))


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


def _report(failed: Sequence[object]) -> None:
    """A message that could not be deleted comes again, and its replies are dropped as repeats."""
    if failed:
        _log.warning("%d messages on the replies queue could not be deleted", len(failed))


def _make_sqs() -> SQSClient:
    import boto3  # here, for `import tidemill` to be quick

    return boto3.client("sqs")
