"""A queue of one's own that hears the replies, for as long as one listens.

Room: SDK, I/O. It takes permissions that a client need not have: whoever operates the stack makes queues.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

RETENTION_SECONDS = 3600
"""What nobody asked for is gone after that, should the queue outlive its listener."""


@contextmanager
def reply_queue(
    client_of: Callable[[str], Any],
    topic_arn: str,
    hears: str | Mapping[str, str] | None = None,
    name: str = "tidemill-client",
) -> Iterator[str]:
    """A queue that is subscribed to the topic of replies: its URL. At the end both are gone.

    Args:
        client_of: makes a boto3 client of a service.
        topic_arn: the topic.
        hears: the client whose replies it hears, or a condition of a filter policy, such as {"prefix": "phone-"}; None
            hears all.
        name: how the queue's name begins.
    """
    sqs, sns = client_of("sqs"), client_of("sns")
    queue = sqs.create_queue(
        QueueName=f"{name}-{uuid4()}",
        Attributes={"MessageRetentionPeriod": str(RETENTION_SECONDS)},
    )["QueueUrl"]
    subscription = None
    try:
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": _policy(topic_arn, arn)})
        attributes = {"RawMessageDelivery": "true"}
        if hears is not None:
            attributes["FilterPolicy"] = json.dumps({"client": [hears]})
        subscription = sns.subscribe(
            TopicArn=topic_arn, Protocol="sqs", Endpoint=arn, Attributes=attributes, ReturnSubscriptionArn=True
        )["SubscriptionArn"]
        yield queue
    finally:
        if subscription:
            sns.unsubscribe(SubscriptionArn=subscription)
        sqs.delete_queue(QueueUrl=queue)


def _policy(topic_arn: str, queue_arn: str) -> str:
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [allow]})
