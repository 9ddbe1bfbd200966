"""Writes metrics as log lines from which CloudWatch extracts them.

Room: adapters. The embedded metric format:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import json
import os
import time

NAMESPACE = "Tidemill"


def put_metric(name: str, count: int) -> None:
    """Add to a metric of the function."""
    metric = {"Namespace": NAMESPACE, "Dimensions": [["FunctionName"]], "Metrics": [{"Name": name, "Unit": "Count"}]}
    line = {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [metric]},
        "FunctionName": os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        name: count,
    }
    print(json.dumps(line))  # noqa: T201 # the log is where they are read


def put_memory_metrics(evicted: int, untold: int) -> None:
    """Count what entities could not remember: marks dropped, and re-sends that cannot be told from repeats."""
    if evicted:
        put_metric("EvictedMarks", evicted)
    if untold:
        put_metric("UntoldRepeats", untold)
