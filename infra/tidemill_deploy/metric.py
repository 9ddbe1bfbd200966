"""A metric of CloudWatch's, as GetMetricData is asked for it.

Room: deploying. Pure but for `values`, which asks CloudWatch.
Tests: tests/infra/tidemill_page/test_cloudwatch.py, tests/infra/tidemill_cli/commands/watch/test_stack_figures.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient

MINUTE: Final = 60
"""Seconds: the period of the metrics that AWS's services write."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of CloudWatch's, minute by minute.

    Attributes:
        namespace: such as AWS/Lambda.
        name: the metric's.
        dimensions: whose.
        statistic: Sum, SampleCount, Maximum or a percentile.
    """

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str = "Sum"

    def query(self, number: int) -> Any:
        """The metric as a query of GetMetricData, of the id `m` and the number."""
        dimensions = [{"Name": name, "Value": value} for name, value in self.dimensions.items()]
        metric = {"Namespace": self.namespace, "MetricName": self.name, "Dimensions": dimensions}
        return {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": MINUTE, "Stat": self.statistic}}


def values(
    cloudwatch: CloudWatchClient, metrics: Mapping[str, Metric], begin: float, end: float
) -> dict[str, dict[int, float]]:
    """The metrics' values in each minute that has one, by the minute's start in seconds since 1970.

    Args:
        cloudwatch: a boto3 client.
        metrics: by any names, by which the answer has them too.
        begin: seconds since 1970.
        end: the same; exclusive.

    Raises:
        ClientError, BotoCoreError: CloudWatch cannot be asked.
    """
    names, found = list(metrics), {name: dict[int, float]() for name in metrics}
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        MetricDataQueries=[one.query(number) for number, one in enumerate(metrics.values())],
        StartTime=datetime.fromtimestamp(begin, UTC),
        EndTime=datetime.fromtimestamp(end, UTC),
    )
    for page in pages:
        for one in page["MetricDataResults"]:
            of = found[names[int(one["Id"].removeprefix("m"))]]
            for at, value in zip(one["Timestamps"], one["Values"], strict=True):
                of[int(at.timestamp()) // MINUTE * MINUTE] = value
    return found
