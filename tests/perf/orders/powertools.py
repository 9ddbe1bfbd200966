"""Rows A and B for orders: what Powertools' documentation has, doing the same work for each record.

They update the attributes of the document that the request changes, and publish to each client that is to be answered.
They are charged neither the reading of the document nor the conversion of prices to decimals, which boto3's serialiser
would do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord

from tests.perf.decoding import Model
from tests.perf.orders.rules import CHANGED, OPENED, changed
from tests.perf.orders.services import TABLE
from tests.perf.powertools import handler_of, idempotent
from tidemill.contract.request import Reply, ReplyMessage, encode
from tidemill_consumers.codec.items import to_attribute

TOPIC = "arn:aws:sns:us-east-1:000000000000:replies"


def row_a() -> Callable[[Any], Any]:
    """An item's update for each record, and a message if its client waits."""
    return handler_of(_change_order())


def row_b() -> Callable[[Any], Any]:
    """Row A, which does nothing for a request that was done before."""
    return handler_of(idempotent(_change_order()))


def _change_order() -> Callable[[KinesisStreamRecord], None]:
    dynamodb, sns = boto3.client("dynamodb"), boto3.client("sns")
    orders: dict[str, Any] = {}

    def change_order(record: KinesisStreamRecord) -> None:
        request = Model.model_validate(record.kinesis.data_as_json())
        key = request.key or ""
        document = changed(orders.get(key) or OPENED, request.data)
        orders[key] = document
        dynamodb.update_item(
            TableName=TABLE,
            Key={"pk": {"S": key}},
            UpdateExpression="SET " + ", ".join([f"#{name} = :{name}" for name in CHANGED]),
            ExpressionAttributeNames={f"#{name}": name for name in CHANGED},
            ExpressionAttributeValues={f":{name}": to_attribute(document[name]) for name in CHANGED},
        )
        if request.client is not None:
            message = ReplyMessage(request.client, (Reply(request.id, "accepted"),))
            client: Any = {"client": {"DataType": "String", "StringValue": request.client}}
            sns.publish(TopicArn=TOPIC, Message=encode(message).decode(), MessageAttributes=client)

    return change_order
