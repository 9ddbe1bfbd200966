"""The function's metrics for `tidemill smoke`: a line in its log group since the smoke test began.

Room: command line.
Tests: tests/e2e/test_smoke.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from tidemill_cli.commands.smoke.failures import StepFailed
from tidemill_cli.commands.smoke.hearing import Hearing
from tidemill_cli.commands.smoke.under_test import UnderTest
from tidemill_consumers.codec.metrics import NAMESPACE, Line, lines_in

PATTERN = "CloudWatchMetrics"
"""A word of each line of metrics, and of no other that the function writes."""

LOOK_SECONDS = 2.0
"""Between two looks at the log."""


def in_the_log(stack: UnderTest, _: Hearing) -> str:
    """A line of metrics that counts requests."""
    group = stack.output("ApplyLogGroupName")
    deadline = time.monotonic() + stack.patience
    logs = stack.client("logs")
    while True:
        for line in _lines(logs, group, int(stack.begun * 1000), deadline):
            if line.namespace == NAMESPACE and line.figures.requests:
                seen = line.figures
                return f"a line in {group}: {seen.requests:,} requests, {seen.applied:,} applied"
        if time.monotonic() > deadline:
            raise StepFailed(f"no line of metrics in {group} within {stack.patience:.0f} s")
        time.sleep(LOOK_SECONDS)


def _lines(logs: Any, group: str, since: int, deadline: float) -> Iterator[Line]:
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since, filterPattern=PATTERN)
    for page in pages:
        for event in page["events"]:
            yield from lines_in(event["message"])
        if time.monotonic() > deadline:
            return
