"""The messages of an SQS queue that is subscribed to the topic of replies. Messages handed over are deleted.

Room: SDK, I/O.
Tests: tests/producers/tidemill/replies/test_replies.py.
"""

from __future__ import annotations

import logging
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from tidemill.aws.region import make_client
from tidemill.contract.request import ReplyMessage, decode_replies
from tidemill.runtime import processes
from tidemill.runtime.bounded import bounded
from tidemill.runtime.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

MESSAGES = 10
"""Most messages of a ReceiveMessage or DeleteMessageBatch call.

https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
"""

LONGEST_WAIT = 20
"""Longest wait in seconds of a ReceiveMessage call."""

_log = logging.getLogger("tidemill")


class MessageQueue:
    """A queue's messages. `receive` deletes the messages handed over before; SQS delivers all others again.

    Args:
        queue_url: the queue's URL.
        sqs: a boto3 SQS client. None makes one.

    Attributes:
        handed_over: receipt handles of the messages to delete.
    """

    def __init__(self, queue_url: str, sqs: SQSClient | None) -> None:
        self._queue_url = queue_url
        self._owns_sqs = sqs is None
        self._sqs = sqs or _make_sqs(queue_url)
        self._is_copy = False
        self._deleting = Trouble()
        self.handed_over: list[str] = []

    def receive(self, wait_seconds: int) -> list[MessageTypeDef]:
        """Deletes the messages handed over and returns up to 10 new ones; waits at most `wait_seconds` for the first.

        Raises:
            botocore.exceptions.ClientError: SQS answered with an error.
        """
        if self._is_copy:
            processes.renew_connections(self._sqs)
            self._is_copy = False
        return bounded(partial(self._receive, wait_seconds))

    def begin_again(self) -> None:
        """Starts anew in a copy of the process: makes new connections, and leaves deleting to the original."""
        self.handed_over = []
        self._is_copy = True

    def close(self) -> None:
        """Closes the client, unless it was given."""
        if self._owns_sqs and not self._is_copy:
            self._sqs.close()

    def delete_handed_over(self) -> None:
        """Deletes the messages handed over. SQS delivers those again that cannot be deleted."""
        handles, self.handed_over = self.handed_over, []
        if handles:
            answer = self._sqs.delete_message_batch(
                QueueUrl=self._queue_url,
                Entries=[{"Id": str(index), "ReceiptHandle": handle} for index, handle in enumerate(handles)],
            )
            self._report(answer.get("Failed", []))

    def _report(self, failed: Sequence[object]) -> None:
        """Logs deletions that fail or work again. Undeleted messages come again, and are dropped as repeats."""
        now, count = monotonic(), len(failed)
        if failed:
            problem = f"{count} messages on the replies queue could not be deleted"
            say("%s", self._deleting.failed("", problem, now))
        else:
            say("messages on the replies queue are deleted again: %s", self._deleting.over(now))

    def _receive(self, wait_seconds: int) -> list[MessageTypeDef]:
        self.delete_handed_over()
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=MESSAGES, WaitTimeSeconds=wait_seconds
        )
        return answer.get("Messages", [])


class _Notification(msgspec.Struct, tag_field="Type", tag="Notification"):
    """The envelope of SNS around a message, unless the subscription asks for raw delivery.

    https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
    """

    message: str = msgspec.field(name="Message")


_notification_decoder = msgspec.json.Decoder(_Notification)


def unwrap(body: str) -> ReplyMessage:
    """The replies in a message, delivered raw or in the envelope of SNS.

    Raises:
        RefusedRequest: the message has no replies.
    """
    try:
        message = _notification_decoder.decode(body).message
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        message = body  # delivered raw
    return decode_replies(message)


def say(message: str, line: str | None) -> None:
    """Logs a warning with the line; nothing if that is None."""
    if line is not None:
        _log.warning(message, line)


def _make_sqs(queue_url: str) -> SQSClient:
    from botocore.config import Config  # here, for `import tidemill` to be quick

    # No retries here: callers retry with a back-off, and the end of a block must not wait for many tries.
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"}, connect_timeout=5, read_timeout=LONGEST_WAIT + 10
    )
    sqs: SQSClient = make_client("sqs", queue_url, config)
    return sqs
