"""A metric of CloudWatch's, as GetMetricData is asked for it.

Room: deploying. Pure.
Tests: tests/infra/tidemill_page/test_cloudwatch.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

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
