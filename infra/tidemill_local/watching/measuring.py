"""What the local platform measures, as metrics of CloudWatch.

Room: local platform, I/O, public AWS APIs only.

| metrics | from |
|---|---|
| of the functions' own lines, namespace Tidemill | the functions' log |
| AWS/Lambda Invocations, Errors, Duration | Lambda's REPORT lines in that log |
| AWS/Lambda Throttles, IteratorAge | the event source mappings |
| AWS/Kinesis IncomingRecords | the delivery stream, which reads the stream |
| AWS/Firehose DeliveryToS3.Success | the delivery stream |

Metrics that nothing measures here, such as throttled tables, have no data points, as on AWS where there are none.
Tests: tests/infra/tidemill_local/watching/test_alarms.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from tidemill_consumers.codec.metrics import lines_in
from tidemill_local.watching.alarm import Metric, metric
from tidemill_local.watching.datapoints import Datapoints

if TYPE_CHECKING:
    from tidemill_event_source import Counts, EventSource
    from tidemill_local.firehose.delivery_stream import DeliveryStream

_REPORT = re.compile(r"REPORT RequestId: .*?\tDuration: ([\d.]+) ms(.*)", re.DOTALL)
_STATUS = "\tStatus: "

LAMBDA, KINESIS, FIREHOSE = "AWS/Lambda", "AWS/Kinesis", "AWS/Firehose"


class FunctionLogs:
    """The metrics in the log of one function, from now on.

    Args:
        logs: a boto3 CloudWatch Logs client.
        group: its log group's name.
        function: its name.
    """

    def __init__(self, logs: Any, group: str, function: str) -> None:
        self._logs = logs
        self._group = group
        self._function = function
        self._seen: set[str] = set()
        self._since = 0
        list(self._events())

    def measure(self, points: Datapoints, at: float) -> None:
        """Add what was logged since the last call."""
        for message in self._events():
            for line in lines_in(message):
                for name, values in line.metrics.items():
                    points.add(Metric(line.namespace, name, frozenset(line.dimensions.items())), at, values)
            if found := _REPORT.match(message):
                points.add(metric(LAMBDA, "Invocations", FunctionName=self._function), at, [1.0])
                points.add(metric(LAMBDA, "Duration", FunctionName=self._function), at, [float(found[1])])
                points.add(metric(LAMBDA, "Errors", FunctionName=self._function), at, [float(_STATUS in found[2])])

    def _events(self) -> Iterator[str]:
        try:
            pages = self._logs.get_paginator("filter_log_events").paginate(
                logGroupName=self._group, startTime=self._since
            )
            events: list[Any] = [event for page in pages for event in page["events"]]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise
            return  # nothing has run yet
        new = [event for event in events if event["eventId"] not in self._seen]
        if events:
            self._since = max(event["timestamp"] for event in events)
            self._seen = {event["eventId"] for event in events if event["timestamp"] == self._since}
        yield from (event["message"] for event in new)


class Mappings:
    """The metrics of the event source mappings of one function, from now on."""

    def __init__(self, sources: Callable[[], Sequence[EventSource]], function: str) -> None:
        self._sources = sources
        self._function = function
        self._before = {id(source): source.counts for source in sources()}

    def measure(self, points: Datapoints, at: float) -> None:
        """Add what was counted since the last call."""
        for source in self._sources():
            counts, before = source.counts, self._before.get(id(source))
            self._before[id(source)] = counts
            throttled = counts.throttles - (before.throttles if before else 0)
            points.add(metric(LAMBDA, "Throttles", FunctionName=self._function), at, [float(throttled)])
            if _invoked(counts, before):
                points.add(metric(LAMBDA, "IteratorAge", FunctionName=self._function), at, [1000 * counts.iterator_age])


def _invoked(counts: Counts, before: Counts | None) -> bool:
    return counts.invocations > (before.invocations if before else 0)


class Incoming:
    """The records that came onto a stream, from now on: those that its delivery stream reads, so that nobody else has
    to read it. While the archive's files cannot be written, it reads none."""

    def __init__(self, deliveries: Sequence[DeliveryStream], stream: str) -> None:
        self._deliveries = deliveries
        self._stream = stream
        self._before = self._taken()

    def measure(self, points: Datapoints, at: float) -> None:
        """Add what came since the last call; nothing if nothing came."""
        taken = self._taken()
        if count := taken - self._before:
            points.add(metric(KINESIS, "IncomingRecords", StreamName=self._stream), at, [float(count)])
        self._before = taken

    def _taken(self) -> int:
        return sum(one.taken for one in self._deliveries)


class Delivery:
    """The metrics of a delivery stream, from now on."""

    def __init__(self, stream: DeliveryStream, name: str) -> None:
        self._stream = stream
        self._name = name
        self._objects = stream.delivered.objects

    def measure(self, points: Datapoints, at: float) -> None:
        """Add whether files were written since the last call: 0 while a put fails, 1 for each file."""
        objects, before = self._stream.delivered.objects, self._objects
        self._objects = objects
        values = [1.0] * (objects - before) + [0.0] * (self._stream.trouble is not None)
        points.add(metric(FIREHOSE, "DeliveryToS3.Success", DeliveryStreamName=self._name), at, values)
