"""Lambda's metrics of invocations, counted as AWS counts them, in the emulator's CloudWatch.

Room: local platform; fitted into the emulator by `install`. The emulator counts what comes by Invoke alone: a request
that it throttles twice and as an invocation and an error too, and an event of the queue before it runs.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html, of which the sentences below are.

| metric | said |
|---|---|
| Invocations | "aren't recorded if the invocation request is throttled" |
| Errors | "include exceptions that your code throws and exceptions that the Lambda runtime throws" |
| Throttles | "Throttled requests and other invocation errors don't count as either Invocations or Errors" |
| Duration | without the time that the code took to load, as in the REPORT line |
| AsyncEventAge | "The time between when Lambda successfully queues the event and when the function is invoked"; asynchronous.py knows it |
"""  # noqa: E501 # a table

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from tidemill_local.patches.release import require

Record: TypeAlias = Callable[[str, float, str, dict[str, str]], None]
"""Adds a value to a metric of Lambda's: its name, the value, its unit and its dimensions."""

Function: TypeAlias = Mapping[str, Any]
"""A function, or its configuration, as the emulator has it."""

_DURATION = re.compile(r"^REPORT RequestId: .*?\tDuration: ([\d.]+) ms", re.MULTILINE)


def install() -> None:
    """Have each invocation counted once, whatever invokes, and each request that is throttled.

    Needs of the emulator:
        lambda_svc._emit_lambda_metrics: its own counting; replaced.
        lambda_svc._acquire_execution_slot: takes a function's concurrency, or tells that there is none left.
        lambda_svc._execute_function_dispatch: runs an invocation that has its concurrency.
        cloudwatch.record_metric: adds a value to a metric.
    """
    from ministack.services import cloudwatch, lambda_svc

    require(lambda_svc, "_emit_lambda_metrics", "_acquire_execution_slot", "_execute_function_dispatch")
    require(cloudwatch, "record_metric")
    record = partial(cloudwatch.record_metric, "AWS/Lambda")
    lambda_svc._emit_lambda_metrics = lambda *_, **__: None
    lambda_svc._acquire_execution_slot = counting_throttles(lambda_svc._acquire_execution_slot, record)
    lambda_svc._execute_function_dispatch = counting(lambda_svc._execute_function_dispatch, record)


def named(function: Function) -> dict[str, str]:
    """The dimensions of a function's metrics."""
    return {"FunctionName": (function.get("config") or function)["FunctionName"]}


def counting_throttles(acquire: Callable[..., tuple[Any, Any]], record: Record) -> Callable[..., tuple[Any, Any]]:
    """Counts the requests for which the function, or the account, has no concurrency left."""

    def counted(function: Function, config: Function) -> tuple[Any, Any]:
        slot, limit = acquire(function, config)
        if slot is None:
            record("Throttles", 1, "Count", named(config))
        return slot, limit

    return counted


def counting(execute: Callable[..., Any], record: Record) -> Callable[..., Any]:
    """Counts an invocation, whether it failed, and its duration."""

    def counted(function: Function, config: Function, *rest: Any) -> Any:
        begin = time.monotonic()
        result = execute(function, config, *rest)
        of = named(config)
        record("Invocations", 1, "Count", of)
        record("Errors", float(bool(result.get("error"))), "Count", of)
        record("Duration", _duration(result, 1000 * (time.monotonic() - begin)), "Milliseconds", of)
        return result

    return counted


def _duration(result: Mapping[str, Any], otherwise: float) -> float:
    """Milliseconds by the REPORT line; of a function that writes none, those that are given."""
    found = _DURATION.search(str(result.get("log", "")))
    return float(found[1]) if found else otherwise
