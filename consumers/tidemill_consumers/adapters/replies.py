"""Sends receipts to clients through SNS: one message per client and batch.

Room: adapters. The only SNS here. A message that SNS can never accept, because of its client's name or its request, is
given up and counted. After other errors, which the operator can mend, its records are delivered again.

| refused | effect |
|---|---|
| a client whose name no message attribute can carry | not sent |
| an entry by its sender's fault, or a whole call because of its messages | split until it is alone, and given up |
| the topic (deleted, denied, malformed), the caller, a throttled or failed call | its records are delivered again |
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from tidemill.contract.request import ReplyMessage, encode
from tidemill_consumers.adapters.calls import MapCalls, at_once_fast
from tidemill_consumers.core.batch import Position, Receipt

if TYPE_CHECKING:
    from types_boto3_sns import SNSClient

log = logging.getLogger(__name__)

MESSAGES_PER_CALL = 10
"""PublishBatch's limit."""

MAX_CALL_BYTES = 250 * 1024
"""PublishBatch takes 256 KiB, message attributes included."""

CALLS_AT_ONCE = 4

NOT_SAYABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]").search
"""Finds characters that a message attribute may not have: SNS refuses some; messages with others reach no queue.

https://docs.aws.amazon.com/sns/latest/dg/sns-message-attributes.html ("printable") and what queues take:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
"""

NONCHARACTERS = (("\ufffe", "\\ufffe"), ("\uffff", "\\uffff"))
"""The only characters of msgspec's JSON that a queue does not accept, and their JSON escapes."""

OF_MESSAGES = frozenset(
    {"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "ValidationException", "ValidationError"}
    | {"BatchRequestTooLong", "InvalidMessageContents"}
)
"""Codes that may be about a call's messages: https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html."""

OF_THE_TOPIC = ("Invalid parameter: TopicArn", "Invalid parameter: The MessageGroupId", "Invalid parameter: TargetArn")
"""Prefixes of messages with these codes that are about the topic instead."""


@dataclass(frozen=True, slots=True)
class SnsMessage:
    """A message to a client."""

    client: str
    body: str
    positions: tuple[Position, ...]
    """The records that are delivered again if it cannot be sent."""


class Replies:
    """The topic for receipts.

    Args:
        sns: a boto3 SNS client.
        topic_arn: the topic. A message's attribute `client` names its client.
        calls: makes several calls; by default some at once.
    """

    def __init__(self, sns: SNSClient, topic_arn: str, calls: MapCalls | None = None) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._map = calls or at_once_fast(CALLS_AT_ONCE, "sns")
        self.sent = 0
        """Number of receipts that left."""
        self.failed = 0
        """Number of receipts that could not be sent: their records are delivered again."""
        self.given_up = 0
        """Number of receipts that can never be sent."""

    def send(self, receipts: Sequence[Receipt]) -> list[Position]:
        """Send the receipts; the positions of those that could not be sent and must be delivered again."""
        sayable = list(messages(receipts))
        sent = list(self._map(self._publish, calls(sayable)))
        given_up = len(receipts) - sum([len(one.positions) for one in sayable]) + sum([one.given_up for one in sent])
        if given_up:
            log.warning("%d replies can never be sent: their clients' names or their texts are none for SNS", given_up)
        failed = [position for one in sent for position in one.failed]
        self.given_up += given_up
        self.failed += len(failed)
        self.sent += len(receipts) - given_up - len(failed)
        return failed

    def _publish(self, batch: list[SnsMessage]) -> _Sent:
        try:
            answer = self._sns.publish_batch(
                TopicArn=self._topic_arn,
                PublishBatchRequestEntries=[_entry(str(i), message) for i, message in enumerate(batch)],
            )
            sent = {entry["Id"] for entry in answer.get("Successful", [])}
            failures: dict[str, Any] = {failure["Id"]: failure for failure in answer.get("Failed", [])}
        except Exception as error:  # no answer, or one that cannot be read
            return self._refused(batch, error)
        failed: list[Position] = []
        given_up = 0
        for i, message in enumerate(batch):
            failure = failures.get(str(i), {})
            if failure.get("SenderFault") and _is_of_messages(failure):
                log.warning("SNS takes no such message: %s", failure)
                given_up += len(message.positions)
            elif failure or str(i) not in sent:  # an entry that the answer does not name was not sent
                failed += message.positions
        return _Sent(failed, given_up)

    def _refused(self, batch: list[SnsMessage], error: Exception) -> _Sent:
        """The result of a failed call. If a message was the cause, it is found by bisection."""
        if not isinstance(error, ClientError) or not _is_of_messages(error.response.get("Error", {})):
            log.warning("cannot send %d messages: %r", len(batch), error)
            return _Sent([position for message in batch for position in message.positions], 0)
        if len(batch) == 1:
            log.warning("SNS takes no such message: %s", error)
            return _Sent([], len(batch[0].positions))
        half = len(batch) // 2
        first, second = self._publish(batch[:half]), self._publish(batch[half:])
        return _Sent(first.failed + second.failed, first.given_up + second.given_up)


class _Sent(NamedTuple):
    failed: list[Position]
    """Positions to be delivered again."""
    given_up: int


def _is_of_messages(error: Mapping[str, Any]) -> bool:
    return error.get("Code") in OF_MESSAGES and not str(error.get("Message", "")).startswith(OF_THE_TOPIC)


def messages(receipts: Iterable[Receipt]) -> Iterator[SnsMessage]:
    """One message per client that SNS can name, or several if one would be too large."""
    by_client: dict[str, list[Receipt]] = {}
    for receipt in receipts:
        by_client.setdefault(receipt.client, []).append(receipt)
    for client, its in by_client.items():
        if client and not NOT_SAYABLE(client):
            yield from _split(client, its)


def calls(pending: Iterable[SnsMessage]) -> Iterator[list[SnsMessage]]:
    """The messages in lists, each for one call."""
    call: list[SnsMessage] = []
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


def _split(client: str, receipts: Sequence[Receipt]) -> Iterator[SnsMessage]:
    body = encode(ReplyMessage(client, tuple([receipt.reply for receipt in receipts])))
    text = body.decode()
    if any(character in text for character, _ in NONCHARACTERS):
        for character, escape in NONCHARACTERS:
            text = text.replace(character, escape)
        body = text.encode()
    if len(body) + 4 * len(client) + 32 <= MAX_CALL_BYTES or len(receipts) == 1:
        yield SnsMessage(client, text, tuple([receipt.position for receipt in receipts]))
        return
    half = len(receipts) // 2
    yield from _split(client, receipts[:half])
    yield from _split(client, receipts[half:])


def _entry(entry_id: str, message: SnsMessage) -> Any:
    return {
        "Id": entry_id,
        "Message": message.body,
        "MessageAttributes": {"client": {"DataType": "String", "StringValue": message.client}},
    }
