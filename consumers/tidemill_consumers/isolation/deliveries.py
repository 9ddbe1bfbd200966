"""Notes which deliveries began and did not end, one item per shard.

Room: isolation. The only user of its table. It costs one write per invocation, and a second if the invocation does not
move its shard on. If the table does not answer, requests are applied anyway.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tidemill_consumers.core.calling.deliveries import Noted, begin, end

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_dynamodb import DynamoDBClient

log = logging.getLogger(__name__)

IS_USUAL = "attribute_not_exists(pk) OR (#first <> :first AND attribute_not_exists(apart))"
"""Condition of the usual single write: the last delivery moved the shard on, and nothing is planned apart."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that began; `noted` is None if the note could not be written."""

    shard: str
    noted: Noted | None

    @property
    def is_apart(self) -> bool:
        """Whether it is to be planned apart."""
        return self.noted is not None and self.noted.is_apart


class Deliveries:
    """The table of deliveries.

    Args:
        dynamodb: a boto3 DynamoDB client.
        table: the table's name, with a string partition key `pk`.
    """

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def begin(self, shard: str, first: int, last: int) -> Delivery:
        """Note that a delivery of a shard's records begins, from the first sequence number to the last."""
        usual = begin(None, first, last)
        try:
            before = self._put(shard, usual, IS_USUAL)
            if before is None:
                return Delivery(shard, usual)
            noted = begin(before, first, last)
            self._put(shard, noted)
        except Exception as error:  # no answer, or one that cannot be read
            log.warning("cannot note that a delivery of %s begins: %r", shard, error)
            return Delivery(shard, None)
        return Delivery(shard, noted)

    def end(self, delivery: Delivery) -> None:
        """Note that a delivery ended without ending its process, though the next begins at the same record."""
        if delivery.noted is None:
            return
        try:
            self._put(delivery.shard, end(delivery.noted))
        except Exception as error:
            # The delivery will count as one that ended its process: at worst, later ones are planned apart needlessly.
            log.warning("cannot note that a delivery of %s ended: %r", delivery.shard, error)

    def _put(self, shard: str, noted: Noted, condition: str | None = None) -> Noted | None:
        """Write the note; the existing one if the condition does not hold, else None."""
        call: dict[str, Any] = {"TableName": self._table, "Item": _to_item(shard, noted)}
        if condition:
            call |= {
                "ConditionExpression": condition,
                "ExpressionAttributeNames": {"#first": "first"},
                "ExpressionAttributeValues": {":first": {"S": str(noted.first)}},
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        try:
            self._dynamodb.put_item(**call)
        except self._dynamodb.exceptions.ConditionalCheckFailedException as failure:
            found: Any = failure.response
            return _from_item(found["Item"])
        return None


def _to_item(shard: str, noted: Noted) -> dict[str, Any]:
    # Sequence numbers as text: they have more digits than DynamoDB's numbers.
    item = {"pk": {"S": shard}, "first": {"S": str(noted.first)}, "begun": {"N": str(noted.begun)}}
    return item | ({"apart": {"S": str(noted.apart)}} if noted.is_apart else {})


def _from_item(item: Mapping[str, Any]) -> Noted:
    try:
        apart = int(item["apart"]["S"]) if "apart" in item else 0
        return Noted(int(item["first"]["S"]), int(item["begun"]["N"]), apart)
    except (KeyError, ValueError):  # an invalid note is overwritten
        return Noted(0, 0)
