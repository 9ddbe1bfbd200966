"""The usage of a stack on AWS, by CloudWatch's metrics.

Room: local platform, I/O. CloudWatch sums up whole minutes, so each part of a load test has minutes of its own; and it
is late, so that they are read until they change no more. Billed is a function's duration rounded up to a millisecond,
and its initialisation: CloudWatch has neither, so that `billed_ms` is a little too low here.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html,
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html,
https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING, Final

from tidemill_deploy.metric import MINUTE, Metric, values
from tidemill_load.results.result import Mode
from tidemill_load.results.spent import Spent

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient

LATE_SECONDS: Final = 30.0
"""Between two readings."""

ALIKE: Final = 3
"""Equal readings in a row that count as final."""

INVOCATIONS, DURATION = "invocations of ", "duration of "

PATIENCE: Final = 900.0
"""Seconds after which the last reading is taken as final."""


class CloudWatchCounting:
    """Counts by CloudWatch's metrics.

    Args:
        cloudwatch: a boto3 CloudWatch client.
        functions: the functions' names, and the memory of each in MB.
        table: the table's name.
        deliveries: the name of the table that notes deliveries, whose writes count like the other's.
        forgotten: the name of the table of forgotten writers, whose writes count like theirs, and apart.
        stream: the stream's name.
        tell: told what is being waited for.
        clock: seconds since 1970.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        cloudwatch: CloudWatchClient,
        functions: Mapping[str, int],
        table: str,
        deliveries: str,
        forgotten: str,
        stream: str,
        tell: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._cloudwatch = cloudwatch
        self.functions = functions
        self._table = table
        self._deliveries = deliveries
        self._forgotten = forgotten
        self._stream = stream
        self._tell = tell
        self._clock = clock
        self._sleep = sleep
        self._begin = 0.0

    def begin(self) -> None:
        """Wait for the next minute."""
        self._begin = self._next_minute()

    def end(self, mode: Mode) -> Spent:
        """The usage since `begin`, once CloudWatch knows it; `records` are all of the stream's, whoever put them."""
        end = self._next_minute()
        looks: list[Mapping[str, float]] = []
        while not _is_settled(looks) and self._clock() < end + PATIENCE:
            self._tell("waiting for CloudWatch, which is late by some minutes")
            self._sleep(LATE_SECONDS)
            looks.append(self._look(end))
        return self._spent(looks[-1])

    def _next_minute(self) -> float:
        """Its beginning, once it has come."""
        minute = float(ceil(self._clock() / MINUTE) * MINUTE)
        self._tell("waiting for the next minute, for CloudWatch counts whole ones")
        self._sleep(max(0.0, minute - self._clock()))
        return minute

    def _metrics(self) -> dict[str, Metric]:
        table, notes, gone = ({"TableName": one} for one in (self._table, self._deliveries, self._forgotten))
        latency = "SuccessfulRequestLatency"  # its samples are the calls
        found = {
            "records": Metric("AWS/Kinesis", "IncomingRecords", {"StreamName": self._stream}),
            "read_units": Metric("AWS/DynamoDB", "ConsumedReadCapacityUnits", table),
            "write_units": Metric("AWS/DynamoDB", "ConsumedWriteCapacityUnits", table),
            "read_calls": Metric("AWS/DynamoDB", latency, table | {"Operation": "BatchGetItem"}, "SampleCount"),
            "write_calls": Metric(
                "AWS/DynamoDB", latency, table | {"Operation": "BatchExecuteStatement"}, "SampleCount"
            ),
            "note_units": Metric("AWS/DynamoDB", "ConsumedWriteCapacityUnits", notes),
            "note_calls": Metric("AWS/DynamoDB", latency, notes | {"Operation": "PutItem"}, "SampleCount"),
            "gone_units": Metric("AWS/DynamoDB", "ConsumedWriteCapacityUnits", gone),
            "gone_calls": Metric("AWS/DynamoDB", latency, gone | {"Operation": "PutItem"}, "SampleCount"),
        }
        for function in self.functions:
            its = {"FunctionName": function}
            found[f"{INVOCATIONS}{function}"] = Metric("AWS/Lambda", "Invocations", its)
            found[f"{DURATION}{function}"] = Metric("AWS/Lambda", "Duration", its)
        return found

    def _look(self, end: float) -> dict[str, float]:
        """The sum of each metric since the beginning."""
        found = values(self._cloudwatch, self._metrics(), self._begin, end)
        return {name: sum(minutes.values()) for name, minutes in found.items()}

    def _spent(self, sums: Mapping[str, float]) -> Spent:
        durations = {function: sums[f"{DURATION}{function}"] for function in self.functions}
        return Spent(
            invocations=round(sum(sums[f"{INVOCATIONS}{function}"] for function in self.functions)),
            billed_ms=sum(durations.values()),
            gb_seconds=sum(ms / 1000 * self.functions[function] / 1024 for function, ms in durations.items()),
            records=round(sums["records"]),
            read_calls=round(sums["read_calls"]),
            write_calls=round(sums["write_calls"] + sums["note_calls"] + sums["gone_calls"]),
            read_units=sums["read_units"],
            write_units=sums["write_units"] + sums["note_units"] + sums["gone_units"],
            forgotten_units=sums["gone_units"],
        )


def _is_settled(looks: Sequence[Mapping[str, float]]) -> bool:
    """Whether the last readings are equal and not empty."""
    last = looks[-ALIKE:]
    ran = any(value for name, value in last[-1].items() if name.startswith(INVOCATIONS)) if last else False
    return ran and len(last) == ALIKE and all(one == last[0] for one in last)
