"""What the local platform measures, as metrics of CloudWatch.

Room: local platform, I/O, public AWS APIs only.

| metrics | from |
|---|---|
| of the functions' own lines, namespace Tidemill | the functions' log |
| AWS/Lambda Invocations, Duration | Lambda's REPORT lines in that log |
| AWS/Lambda Errors, Throttles, AsyncEventAge | the emulator's CloudWatch, where patches count them: no log has them |
| AWS/Lambda IteratorAge | the event source mappings |
| AWS/SQS ApproximateNumberOfMessagesVisible | the queue's attributes |
| AWS/Kinesis IncomingRecords | the delivery stream, which reads the stream |
| AWS/Firehose DeliveryToS3.Success | the delivery stream |

Metrics that nothing measures here, such as throttled tables, have no data points, as on AWS where there are none.
Tests: tests/infra/tidemill_local/watching/test_alarms.py.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from tidemill_consumers.codec.metrics import lines_in
from tidemill_local.watching.alarm import Metric, metric
from tidemill_local.watching.datapoints import Datapoints

if TYPE_CHECKING:
    from tidemill_event_source import Counts, EventSource
    from tidemill_local.firehose.delivery_stream import DeliveryStream

_REPORT = re.compile(r"REPORT RequestId: .*?\tDuration: ([\d.]+) ms")

LAMBDA, KINESIS, FIREHOSE, SQS = "AWS/Lambda", "AWS/Kinesis", "AWS/Firehose", "AWS/SQS"

LENGTH: Final = "ApproximateNumberOfMessagesVisible"


def named(watched: Iterable[Metric], name: str) -> list[str]:
    """The functions or queues of which alarms watch the metric of this name."""
    return [value for one in watched if one.name == name for _, value in one.dimensions]


def counted(watched: Iterable[Metric]) -> list[Metric]:
    """The metrics among these that `FunctionCounts` measures."""
    return [one for one in watched if one.namespace == LAMBDA and one.name in FunctionCounts.STATISTICS]


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


class FunctionCounts:
    """The metrics of functions that are in no log, from now on: failures, throttled requests, how long events waited.

    CloudWatch is asked second by second: of one, the sum of what is new is known, and the highest age.

    Args:
        cloudwatch: a boto3 CloudWatch client.
        wanted: the metrics, of the names that `STATISTICS` has.
        clock: seconds since 1970, of the machine that CloudWatch runs on.
    """

    STATISTICS: Final[Mapping[str, str]] = {"Errors": "Sum", "Throttles": "Sum", "AsyncEventAge": "Maximum"}

    def __init__(self, cloudwatch: Any, wanted: Sequence[Metric], clock: Callable[[], float] = time.time) -> None:
        self._cloudwatch = cloudwatch
        self._wanted = wanted
        self._clock = clock
        self._since = int(clock())
        self._seen: Mapping[tuple[Metric, datetime], float] = self._values()

    def measure(self, points: Datapoints, at: float) -> None:
        """Add what was counted since the last call."""
        before, self._seen = self._seen, self._values()
        for (of, second), value in self._seen.items():
            known = before.get((of, second))
            if value != known:
                is_sum = self.STATISTICS[of.name] == "Sum"
                points.add(of, at, [value - (known or 0.0) if is_sum else value])

    def _values(self) -> dict[tuple[Metric, datetime], float]:
        """The values of the seconds since that of the last call, by metric and second."""
        since, self._since = self._since, int(self._clock())
        pages = self._cloudwatch.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[self._query(f"m{number}", one) for number, one in enumerate(self._wanted)],
            StartTime=datetime.fromtimestamp(since, UTC),
            EndTime=datetime.fromtimestamp(self._since + 60, UTC),
        )
        return {
            (self._wanted[int(one["Id"][1:])], second): value
            for page in pages
            for one in page["MetricDataResults"]
            for second, value in zip(one["Timestamps"], one["Values"], strict=True)
        }

    def _query(self, number: str, of: Metric) -> dict[str, Any]:
        dimensions = [{"Name": name, "Value": value} for name, value in of.dimensions]
        asked = {"Namespace": of.namespace, "MetricName": of.name, "Dimensions": dimensions}
        return {"Id": number, "MetricStat": {"Metric": asked, "Period": 1, "Stat": self.STATISTICS[of.name]}}


class Queue:
    """The length of a queue: its messages that may be received, without those that somebody has received.

    Args:
        sqs: a boto3 SQS client.
        name: the queue's.
    """

    def __init__(self, sqs: Any, name: str) -> None:
        self._sqs = sqs
        self._url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        self._metric = metric(SQS, LENGTH, QueueName=name)

    def measure(self, points: Datapoints, at: float) -> None:
        """Add the present length."""
        wanted = "ApproximateNumberOfMessages"
        found = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=[wanted])["Attributes"]
        points.add(self._metric, at, [float(found[wanted])])


class Mappings:
    """The lag of the event source mappings of one function, from now on."""

    def __init__(self, sources: Callable[[], Sequence[EventSource]], function: str) -> None:
        self._sources = sources
        self._function = function
        self._before = {id(source): source.counts for source in sources()}

    def measure(self, points: Datapoints, at: float) -> None:
        """Add what was counted since the last call."""
        for source in self._sources():
            counts, before = source.counts, self._before.get(id(source))
            self._before[id(source)] = counts
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
