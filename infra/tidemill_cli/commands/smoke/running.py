"""Whether the apply function of `tidemill smoke` runs: a line of metrics in its log, or what is in its way.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/smoke/test_running.py, tests/e2e/test_smoke.py.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_cli.commands.smoke.failures import StepFailed
from tidemill_cli.commands.smoke.subject import UnderTest
from tidemill_consumers.codec.metrics import NAMESPACE, Line, lines_in
from tidemill_deploy.stack import mapping
from tidemill_deploy.stack.mapping import Obstacle

PATTERN = "CloudWatchMetrics"
"""A word of each line of metrics, and of no other that the function writes."""

LOOK_SECONDS = 2.0
"""Between two looks at the log."""

MOST_PAGES = 5
"""Of the log, in which an error is looked for."""

MOST_SAID = 300
"""Characters of a line that are told."""

NEVER_STARTS = re.compile(r"Runtime\.(ImportModule|HandlerNotFound|UserCodeSyntax|MalformedHandlerName)\w*")
"""Errors of a function that no further try mends, as Lambda's runtime for Python names them:
https://github.com/aws/aws-lambda-python-runtime-interface-client/blob/main/awslambdaric/lambda_runtime_exception.py."""


def obstacle(stack: UnderTest) -> Obstacle | None:
    """The obstacle that the mapping and the function's log tell of; None if they tell of none, or may not be asked."""
    with suppress(ClientError, BotoCoreError):
        found = mapping.obstacle(stack.client("lambda"), stack.output("ApplyFunctionName"), stack.output("StreamArn"))
        if found is None or found.stays:
            return found
        line = last_error(stack)
        return Obstacle(f"{found.text}; the function's log: {line}", bool(NEVER_STARTS.match(line))) if line else found
    return None


def last_error(stack: UnderTest) -> str | None:
    """The last error in the function's log since the test began; None if there is none."""
    group = stack.output("ApplyLogGroupName")
    pages = (
        stack.client("logs")
        .get_paginator("filter_log_events")
        .paginate(logGroupName=group, startTime=int(stack.begun * 1000))
    )
    messages = (event["message"] for page in islice(pages, MOST_PAGES) for event in page["events"])
    errors = [error for message in messages if (error := error_in(message))]
    return errors[-1] if errors else None


def error_in(message: str) -> str | None:
    """The error that a line of the function's log tells, in a line, as its type and its words; None if it tells none.

    Args:
        message: text, or JSON where the function logs so.
    """
    if message.startswith("{"):
        with suppress(ValueError):
            logged = json.loads(message)
            if logged.get("errorType"):
                return f"{logged['errorType']}: {logged.get('errorMessage', '')}"[:MOST_SAID]
            return str(logged.get("message", ""))[:MOST_SAID] if logged.get("level") in ("ERROR", "CRITICAL") else None
    first = message.partition("\n")[0]
    if first.startswith("[ERROR]") or "Task timed out" in first:
        return first.removeprefix("[ERROR]").strip()[:MOST_SAID]
    return None


def in_the_log(stack: UnderTest, _: object) -> str:
    """A line of metrics that counts requests."""
    group = stack.output("ApplyLogGroupName")
    deadline = time.monotonic() + stack.patience
    logs = stack.client("logs")
    while True:
        for line in _lines(logs, group, int(stack.begun * 1000), deadline):
            if line.namespace == NAMESPACE and line.figures.requests:
                seen = line.figures
                return f"a line in {group}: {seen.requests:,} requests, {seen.applied:,} applied"
        found = obstacle(stack)
        if time.monotonic() > deadline or (found and found.stays):
            why = f": {found.text}" if found else ""
            raise StepFailed(f"no line of metrics in {group} within {stack.patience:.0f} s{why}")
        time.sleep(LOOK_SECONDS)


def _lines(logs: Any, group: str, since: int, deadline: float) -> Iterator[Line]:
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since, filterPattern=PATTERN)
    for page in pages:
        for event in page["events"]:
            yield from lines_in(event["message"])
        if time.monotonic() > deadline:
            return
