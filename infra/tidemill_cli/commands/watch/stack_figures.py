"""The figures of a stack on AWS, asked of CloudWatch and of what tells more.

Room: command line. A look is one call of GetMetricData, one each of DescribeAlarms, ListShards, DescribeStreamSummary
and ListEventSourceMappings, and a few lists of the quarantine's bucket.
Tests: tests/infra/tidemill_cli/commands/watch/test_stack_figures.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_cli.commands.up.quarantine import WatchedQuarantine
from tidemill_deploy.metric import values
from tidemill_deploy.stack.mapping import PROBLEM
from tidemill_page import Figures
from tidemill_page.cloudwatch import MOST_SHARDS, Series, figures, metrics, minutes

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_kinesis import KinesisClient
    from types_boto3_lambda import LambdaClient

SHARD_METRIC: Final = "IncomingRecords"


class StackFigures:
    """Takes the figures of a stack.

    Args:
        outputs: the stack's.
        cloudwatch: a boto3 client, as the two below.
        kinesis: knows the shards.
        functions: knows how the mapping fares.
        quarantine: the stack's.
        clock: seconds since 1970.

    Attributes:
        count: metrics that were asked for at the last look.
    """

    def __init__(
        self,
        outputs: Mapping[str, str],
        cloudwatch: CloudWatchClient,
        kinesis: KinesisClient,
        functions: LambdaClient,
        quarantine: WatchedQuarantine,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._topic = outputs.get("OperationsTopicArn")
        self._function, self._stream = outputs["ApplyFunctionName"], outputs["StreamName"]
        self._cloudwatch = cloudwatch
        self._kinesis = kinesis
        self._functions = functions
        self._quarantine = quarantine
        self._clock = clock
        self.count = 0

    def take(self) -> Figures:
        """The figures now.

        Raises:
            ClientError, BotoCoreError: a call failed.
        """
        now = self._clock()
        shards = self._shards()
        measured = shards if self._measures_shards() else []
        found = figures(self._series(measured, now), now, shards, self._problem(), self._quarantine.newest())
        return replace(found, alarms=self._alarms())

    def _series(self, shards: Sequence[str], now: float) -> Series:
        asked = metrics(self._function, self._stream, shards)
        self.count = len(asked)
        every = minutes(now)
        return values(self._cloudwatch, asked, every.start, every.stop)

    def _shards(self) -> list[str]:
        """The ids of shards that are open, the first of them."""
        answer = self._kinesis.list_shards(StreamName=self._stream, ShardFilter={"Type": "AT_LATEST"})
        return sorted(one["ShardId"] for one in answer["Shards"])[:MOST_SHARDS]

    def _measures_shards(self) -> bool:
        """Whether the stream's shards have metrics of their own, which are switched on and paid for."""
        summary = self._kinesis.describe_stream_summary(StreamName=self._stream)["StreamDescriptionSummary"]
        levels: Any = summary.get("EnhancedMonitoring", [])
        return any({SHARD_METRIC, "ALL"} & set(one.get("ShardLevelMetrics", ())) for one in levels)

    def _alarms(self) -> tuple[str, ...] | None:
        """The names of the stack's alarms that are on: those that tell its topic. None if they may not be asked for."""
        if self._topic is None:
            return None
        pages = self._cloudwatch.get_paginator("describe_alarms").paginate(StateValue="ALARM")
        try:
            on = [one for page in pages for one in page["MetricAlarms"] if self._topic in one.get("AlarmActions", ())]
        except ClientError:
            return None  # the rest is shown to those who lack this permission
        return tuple(sorted(logical_id(one["AlarmName"]) for one in on))

    def _problem(self) -> str | None:
        """The mapping's last result, where it is none to be glad of."""
        answer = self._functions.list_event_source_mappings(FunctionName=self._function)
        results = [one.get("LastProcessingResult", "") for one in answer["EventSourceMappings"]]
        return next((one for one in results if one.startswith(PROBLEM)), None)


def logical_id(name: str) -> str:
    """An alarm's name in the template: CloudFormation puts the stack's before it, and drawn characters behind it."""
    return name.rpartition("-")[0].rpartition("-")[2] or name


def failed(last: Figures, error: ClientError | BotoCoreError) -> Figures:
    """The last figures, with the reason why there are no newer ones."""
    return replace(last, problem=f"AWS is not heard: {error}")
