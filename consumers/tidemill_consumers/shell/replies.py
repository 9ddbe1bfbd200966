"""Receipts to clients through SNS: one message per client and batch.

Room: shell. The only SNS here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from tidemill.request import Receipts, encode
from tidemill_consumers.core.batch import Receipt
from tidemill_consumers.shell.calls import MapCalls, at_once

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient

log = logging.getLogger(__name__)

MESSAGES_PER_CALL = 10
"""PublishBatch's limit."""

MAX_CALL_BYTES = 250 * 1024
"""PublishBatch takes 256 KiB, message attributes included."""

CALLS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one client."""

    client: str
    body: str
    sequences: tuple[int, ...]
    """The records that are delivered again if it cannot be sent."""


class Replies:
    """The topic that receipts leave by.

    Args:
        sns: a boto3 SNS client.
        topic_arn: the topic. The message attribute `client` tells whom a message is for.
        calls: makes several calls; by default some at once.
    """

    def __init__(self, sns: SNSClient, topic_arn: str, calls: MapCalls | None = None) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._map = calls or at_once(CALLS_AT_ONCE, "sns")

    def send(self, receipts: Sequence[Receipt]) -> list[int]:
        """Send them; the sequences of those that could not be sent."""
        failed = self._map(self._publish, calls(messages(receipts)))
        return [sequence for sequences in failed for sequence in sequences]

    def _publish(self, batch: list[Message]) -> list[int]:
        try:
            answer = self._sns.publish_batch(
                TopicArn=self._topic_arn,
                PublishBatchRequestEntries=[_entry(str(i), message) for i, message in enumerate(batch)],
            )
        except (ClientError, BotoCoreError) as error:
            log.warning("cannot send %d messages: %s", len(batch), error)
            return [sequence for message in batch for sequence in message.sequences]
        failed = (batch[int(failure["Id"])] for failure in answer.get("Failed", []))
        return [sequence for message in failed for sequence in message.sequences]


def messages(receipts: Iterable[Receipt]) -> Iterator[Message]:
    """One message per client, or several where one would be too large."""
    by_client: dict[str, list[Receipt]] = {}
    for receipt in receipts:
        by_client.setdefault(receipt.client, []).append(receipt)
    for client, its in by_client.items():
        yield from _split(client, its)


def calls(pending: Iterable[Message]) -> Iterator[list[Message]]:
    """The messages in lists that fit a call."""
    call: list[Message] = []
    size = 0
    for message in pending:
        length = len(message.body.encode()) + len(message.client.encode()) + 32
        if call and (len(call) == MESSAGES_PER_CALL or size + length > MAX_CALL_BYTES):
            yield call
            call, size = [], 0
        call.append(message)
        size += length
    if call:
        yield call


def _split(client: str, receipts: Sequence[Receipt]) -> Iterator[Message]:
    body = encode(Receipts(client, tuple([receipt.reply for receipt in receipts])))
    if len(body) + 4 * len(client) + 32 <= MAX_CALL_BYTES or len(receipts) == 1:
        yield Message(client, body.decode(), tuple([receipt.sequence for receipt in receipts]))
        return
    half = len(receipts) // 2
    yield from _split(client, receipts[:half])
    yield from _split(client, receipts[half:])


def _entry(entry_id: str, message: Message) -> Any:
    return {
        "Id": entry_id,
        "Message": message.body,
        "MessageAttributes": {"client": {"DataType": "String", "StringValue": message.client}},
    }
