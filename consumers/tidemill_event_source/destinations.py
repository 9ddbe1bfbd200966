"""Messages to a queue, a topic or a bucket about batches that are given up.

Room: event source, I/O; decisions/failures.py has the messages.
Tests: tests/consumers/tidemill_event_source/test_source.py.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from tidemill_event_source.decisions.config import MappingConfig, destination_service
from tidemill_event_source.decisions.failures import Failure, message, object_body, object_key

Tell: TypeAlias = Callable[[Failure, str], None]
"""Tells the destination of a failure in the shard of that id."""


class Clients(Protocol):
    """A boto3 Session, or anything else that makes clients."""

    def client(self, service: str) -> Any:
        """The boto3 client of `service`."""


def destination(config: MappingConfig, clients: Clients) -> Tell:
    """Tells the mapping's OnFailure destination.

    Raises:
        ValueError: it names none.
    """
    arn = config.on_failure
    if not arn:
        raise ValueError("the mapping names no destination")
    service = destination_service(arn)
    client = clients.client(service)

    def tell(failure: Failure, shard: str) -> None:
        now = time.time()
        request_id = (failure.response.request_id if failure.response else "") or str(uuid.uuid4())
        said = message(failure, shard, config, request_id, now)
        if service == "sqs":
            client.send_message(QueueUrl=_queue_url(client, arn), MessageBody=json.dumps(said))
        elif service == "sns":
            client.publish(TopicArn=arn, Message=json.dumps(said))
        else:
            key = object_key(config, shard, now, str(uuid.uuid4()))
            client.put_object(Bucket=arn.rpartition(":")[2], Key=key, Body=object_body(said, failure))

    return tell


def _queue_url(sqs: Any, arn: str) -> str:
    account, name = arn.split(":")[4:6]
    url: str = sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
    return url
