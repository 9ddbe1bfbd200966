"""AWS Lambda Powertools as its documentation has it: a handler of one record, and the same made idempotent.

https://docs.aws.amazon.com/powertools/python/latest/utilities/batch/ and …/idempotency/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import boto3
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

RecordHandler: TypeAlias = Callable[[KinesisStreamRecord], None]


class Context:
    """What is asked of Lambda's context."""

    def get_remaining_time_in_millis(self) -> int:
        """Plenty."""
        return 60_000


def handler_of(record_handler: RecordHandler) -> Callable[[Any], Any]:
    """The function that has each record handled."""
    processor = BatchProcessor(event_type=EventType.KinesisDataStreams)

    def handler(event: Any) -> Any:
        return process_partial_response(event=event, record_handler=record_handler, processor=processor)

    return handler


def idempotent(record_handler: RecordHandler) -> RecordHandler:
    """The handler, but for what was done before."""
    layer = DynamoDBPersistenceLayer(table_name="idempotency", boto3_client=boto3.client("dynamodb"))
    config = IdempotencyConfig(event_key_jmespath="eventID")
    config.register_lambda_context(Context())  # type: ignore[arg-type] # all that is read of one
    once: Any = idempotent_function(
        record_handler, data_keyword_argument="record", config=config, persistence_store=layer
    )
    return lambda record: once(record=record)
