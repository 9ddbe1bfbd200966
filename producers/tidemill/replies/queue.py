"""A temporary queue that receives replies, for as long as a `with` block lasts.

Room: SDK, I/O. It needs permissions that clients usually lack: the stack's operator makes their queues. A queue with a
filter takes one of the 200 filters that a topic may have.
Tests: tests/producers/tidemill/replies/test_queue.py, tests/infra/tidemill_cli/commands/test_send.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from uuid import uuid4

from botocore.exceptions import ClientError

from tidemill.aws.region import make_client
from tidemill.errors import TooManyQueues

RETENTION_SECONDS = 3600
"""Retention of unread messages in seconds, in case the queue is not deleted at the end."""


@contextmanager
def reply_queue(
    topic_arn: str,
    hears: str | Mapping[str, str] | None = None,
    *,
    client_of: Callable[[str], Any] | None = None,
    name: str = "tidemill-client",
    tags: Mapping[str, str] | None = None,
) -> Iterator[str]:
    """Makes a queue, subscribes it to the topic of replies, and yields its URL.

    At the end the queue, its subscription and all unread replies are deleted. It needs the permissions sqs:CreateQueue,
    GetQueueAttributes, SetQueueAttributes, DeleteQueue, TagQueue for tags, and sns:Subscribe, Unsubscribe.

        with (
            reply_queue(topic_arn, hears="phone-1") as queue,
            Producer("requests", client="phone-1", replies=queue) as producer,
        ):
            print(producer.request("item.reserve", key="item/42", data={"count": 1}, timeout=30).status)

    Args:
        topic_arn: the topic's ARN: the stack's output RepliesTopicArn.
        hears: the client whose replies it receives, or a condition of a filter policy, such as {"prefix": "phone-"};
            None receives all.
        client_of: makes a boto3 client of a service. None makes them in the topic's region; AWS_ENDPOINT_URL holds.
        name: the beginning of the queue's name.
        tags: the queue's tags. With {"identity": …} a user of the stack's identity pool may read it.

    Raises:
        Misconfigured: there is no such profile, or the AWS settings cannot be used.
        TooManyQueues: 200 queues with `hears` are subscribed to the topic.
        botocore.exceptions.ClientError: SQS or SNS answered with an error.
    """
    with ExitStack() as open_clients:
        make = client_of or partial(_client, topic_arn, open_clients)
        sqs, sns = make("sqs"), make("sns")
        queue = sqs.create_queue(
            QueueName=f"{name}-{uuid4()}",
            Attributes={"MessageRetentionPeriod": str(RETENTION_SECONDS)},
            tags=dict(tags or {}),
        )["QueueUrl"]
        subscription = None
        try:
            arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            # Without this policy the topic cannot send to the queue, and nothing reports that.
            sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": _policy(topic_arn, arn)})
            attributes = {"RawMessageDelivery": "true"}
            if hears is not None:
                attributes["FilterPolicy"] = json.dumps({"client": [hears]})
            subscription = _subscribed(sns, topic_arn, arn, attributes)
            yield queue
        finally:
            try:
                if subscription:
                    sns.unsubscribe(SubscriptionArn=subscription)
            finally:
                sqs.delete_queue(QueueUrl=queue)


def _subscribed(sns: Any, topic_arn: str, queue_arn: str, attributes: Mapping[str, str]) -> str:
    """The ARN of the queue's new subscription."""
    try:
        answer = sns.subscribe(
            TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, Attributes=attributes, ReturnSubscriptionArn=True
        )
    except ClientError as error:
        if error.response["Error"]["Code"].startswith("FilterPolicyLimitExceeded"):
            raise TooManyQueues(topic_arn) from error
        raise
    return str(answer["SubscriptionArn"])


def _client(topic_arn: str, open_clients: ExitStack, service: str) -> Any:
    client = make_client(service, topic_arn)
    open_clients.callback(client.close)
    return client


def _policy(topic_arn: str, queue_arn: str) -> str:
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [allow]})
