"""The table with its stream: each change of an item is a record, in the order of its item."""

from __future__ import annotations

from typing import Any

from tests.simulation.services import Stream, Table
from tests.simulation.world import World
from tidemill_event_source.decisions.records import dynamodb_event

ARN = "arn:aws:dynamodb:us-east-1:111122223333:table/entities/stream/2026-11-30T00:00:00.000"


class StreamedTable(Table):
    """A table whose changes a stream has, with images of items before and after.

    Args:
        world: the world.
        shards: how many its stream has at first; they split and merge as a Kinesis stream's do.
    """

    def __init__(self, world: World, shards: int) -> None:
        super().__init__(world)
        self.stream = Stream(world, shards, "changes")
        self._changes = 0
        self.history: list[tuple[float, dict[str, Any]]] = []
        """All items that were stored, and when."""

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:
        answer = super().batch_get_item(RequestItems)
        (name, wanted), *_ = RequestItems.items()
        if "ProjectionExpression" in wanted:
            names, paths = wanted["ExpressionAttributeNames"], wanted["ProjectionExpression"].split(", ")
            members = [[names[part] for part in path.split(".")] for path in paths]
            answer["Responses"][name] = [_projected(item, members) for item in answer["Responses"][name]]
        return answer

    def _store(self, item: dict[str, Any], problem: str | None) -> dict[str, Any]:
        before = self.items.get(item["pk"]["S"])
        answer = super()._store(item, problem)
        if self.items.get(item["pk"]["S"]) is item and item != before:  # "no stream record" for what is the same
            self._tell(before, item)
        return answer

    def _tell(self, before: dict[str, Any] | None, item: dict[str, Any]) -> None:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html"""
        self._changes += 1
        self.history.append((self._world.now, item))
        images = {"NewImage": item} | ({"OldImage": before} if before else {})
        change = {"Keys": {"pk": item["pk"]}, **images, "SequenceNumber": str(self._changes)}
        record = {
            "eventID": f"{self._changes:032x}",
            "eventName": "MODIFY" if before else "INSERT",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": {**change, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        }
        self.stream.put(item["pk"]["S"], dynamodb_event(record, ARN))


def _projected(item: dict[str, Any], members: list[list[str]]) -> dict[str, Any]:
    """An item with some of its attributes, and of its document some members."""
    found: dict[str, Any] = {}
    for name, *inner in members:
        if not inner and name in item:
            found[name] = item[name]
        elif inner and inner[0] in item.get(name, {}).get("M", {}):
            found.setdefault(name, {"M": {}})["M"][inner[0]] = item[name]["M"][inner[0]]
    return found
