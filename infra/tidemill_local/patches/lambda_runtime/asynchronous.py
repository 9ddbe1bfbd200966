"""Asynchronous invocations: tried again as Lambda does, and told to the destination of failures in the end.

Room: local platform; fitted into the emulator by `install`. The first half decides, by values. The emulator runs a
rule's target once, whatever comes of it, waits for seconds only where Lambda waits for minutes, and leaves fields out
of what a destination is told. As in its own queue of events, what waits is gone with the process.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
https://aws.amazon.com/blogs/compute/introducing-new-asynchronous-invocation-metrics-for-aws-lambda/: "Zero reserved
concurrency: No retry".
"""

from __future__ import annotations

import contextvars
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from tidemill_local.patches.lambda_runtime.invocation_metrics import named
from tidemill_local.patches.release import require

Result: TypeAlias = Mapping[str, Any]
"""An invocation's, as the emulator has it."""

WAITS = (60.0, 120.0)
"""Seconds "between the first two attempts, and two minutes between the second and third attempts"."""

LONGEST_WAIT = 300.0
"""Seconds, of a function that has no concurrency left: "exponentially from 1 second […] to a maximum of 5 minutes"."""

SWITCH = "TIDEMILL_EVENT_QUEUE_SPEED"
"""The environment variable that says how many times as fast as time events of the queue wait, and age."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a function's events are tried again.

    Attributes:
        retries: the most after errors.
        age: the most seconds that an event may have.
        destination: the ARN of the queue that is told of failures; empty for none.
        disabled: whether the function's reserved concurrency is 0.
    """

    retries: int = 2
    age: float = 21_600.0
    destination: str = ""
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Course:
    """How an event has fared: its attempts that failed, and those for which the function had no concurrency."""

    failed: int = 0
    throttled: int = 0

    def after(self, result: Result) -> Course:
        """The course after one more attempt that did not succeed."""
        if result.get("throttle"):
            return Course(self.failed, self.throttled + 1)
        return Course(self.failed + 1, 0)

    def wait(self, settings: Settings, age: float) -> float | str:
        """Seconds until the next attempt; or the condition for which there is none."""
        if self.throttled and settings.disabled:
            return "ZeroReservedConcurrency"
        if self.failed > settings.retries:
            return "RetriesExhausted"
        seconds = min(2.0 ** (self.throttled - 1), LONGEST_WAIT) if self.throttled else WAITS[self.failed - 1]
        return "EventAgeExceeded" if age + seconds > settings.age else seconds


def settings_of(function: Mapping[str, Any]) -> Settings:
    """The settings of a function as the emulator has it."""
    every = function.get("event_invoke_configs") or {}
    found = function.get("event_invoke_config") or every.get("$LATEST") or {}
    destination = (found.get("DestinationConfig") or {}).get("OnFailure") or {}
    retries, age = found.get("MaximumRetryAttempts"), found.get("MaximumEventAgeInSeconds")
    return Settings(
        2 if retries is None else int(retries),
        21_600.0 if age is None else float(age),
        destination.get("Destination") or "",
        function.get("concurrency") == 0,
    )


def speed_of(setting: str) -> float:
    """How many times as fast as time the queue's clock runs.

    Raises:
        ValueError: the setting is no number above 0.
    """
    try:
        speed = float(setting)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ValueError(f"{SWITCH} is {setting!r}: a number above 0 is needed")
    return speed


def record(arn: str, event: Any, course: Course, condition: str, result: Result, at: datetime) -> dict[str, Any]:
    """The message to a destination about an event that was given up; it has no response if there was no attempt."""
    told: dict[str, Any] = {
        "version": "1.0",
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": f"{arn}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": course.failed,
        },
        "requestPayload": event,
    }
    if condition == "ZeroReservedConcurrency":
        return told
    context = {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": result.get("function_error") or "Unhandled",
    }
    return {**told, "responseContext": context, "responsePayload": result.get("body")}


def install() -> None:
    """Have functions that are invoked asynchronously tried again as on AWS, by rules of EventBridge, too.

    Needs of the emulator:
        lambda_svc._execute_function_with_config_scope: runs an invocation.
        lambda_svc.invoke_async_with_retry: its own way of trying again, by whatever invokes; replaced.
        lambda_svc._get_func_record_for_ref, lambda_svc._execution_record_for_config: the function of an ARN.
        lambda_svc._run_with_function_config_scope: calls something in the function's account and region.
        cloudwatch.record_metric: adds a value to a metric.
        eventbridge._dispatch_to_lambda: runs the function that is a rule's target; replaced.
        sqs._queue_by_arn, sqs._act_send_message: the queue of an ARN, and what puts a message into it.
    """
    from ministack.services import cloudwatch, eventbridge, lambda_svc, sqs

    require(lambda_svc, "_execute_function_with_config_scope", "invoke_async_with_retry")
    require(lambda_svc, "_get_func_record_for_ref", "_execution_record_for_config", "_run_with_function_config_scope")
    require(cloudwatch, "record_metric")
    require(eventbridge, "_dispatch_to_lambda")
    require(sqs, "_queue_by_arn", "_act_send_message")

    def send(arn: str, message: str) -> None:
        queue = sqs._queue_by_arn(arn)
        if queue is None:
            log.warning("no queue is the destination %s", arn)
        else:
            sqs._act_send_message({"QueueUrl": queue["url"], "MessageBody": message}, queue["url"])

    def found(arn: str) -> dict[str, Any] | None:
        function, config, _ = lambda_svc._get_func_record_for_ref(arn)
        made: dict[str, Any] | None = None
        if function and config:
            made = lambda_svc._execution_record_for_config(function, config)
        return made

    def age(function: dict[str, Any], seconds: float) -> None:
        told = "AWS/Lambda", "AsyncEventAge", 1000 * seconds, "Milliseconds", named(function)
        lambda_svc._run_with_function_config_scope(function, cloudwatch.record_metric, *told)

    speed = speed_of(os.environ.pop(SWITCH, "1"))
    events = Events(
        lambda_svc._execute_function_with_config_scope,
        send,
        age=age,
        found=found,
        pause=lambda seconds: time.sleep(seconds / speed),
        clock=lambda: time.monotonic() * speed,
    )
    lambda_svc.invoke_async_with_retry = events.begin

    def dispatch(arn: str, payload: str) -> None:
        if function := found(arn):
            events.begin(function, json.loads(payload))
        else:
            log.warning("a rule's target %s is no function", arn)

    eventbridge._dispatch_to_lambda = dispatch


class Events:
    """The events of asynchronous invocations, each in a thread until it is done or given up.

    Args:
        execute: runs an invocation: a function as the emulator has it, and the event.
        send: puts a text into the queue of this ARN.
        age: is told how old an event is, in seconds, of which the function was just invoked.
        found: the function of an ARN, as it is by now.
        pause: sleeps for some seconds.
        clock: seconds.
    """

    def __init__(
        self,
        execute: Callable[[dict[str, Any], Any], Result],
        send: Callable[[str, str], None],
        *,
        age: Callable[[dict[str, Any], float], None],
        found: Callable[[str], dict[str, Any] | None],
        pause: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._execute = execute
        self._send = send
        self._age = age
        self._found = found
        self._pause = pause
        self._clock = clock

    def begin(self, function: dict[str, Any], event: Any) -> None:
        """Begin to invoke a function."""
        here = contextvars.copy_context()  # the account and the region of whoever invokes
        threading.Thread(target=here.run, args=(self.run, function, event), daemon=True).start()

    def run(self, function: dict[str, Any], event: Any) -> None:
        """Invoke a function until it succeeds, or the event is given up."""
        course, began = Course(), self._clock()
        while (result := self._attempt(function, event, began)).get("error") or result.get("throttle"):
            course, settings = course.after(result), settings_of(function)
            wait = course.wait(settings, self._clock() - began)
            if isinstance(wait, str):
                self._give_up(function, event, settings, course, wait, result)
                return
            self._pause(wait)
            function = self._now(function)

    def _attempt(self, function: dict[str, Any], event: Any, began: float) -> Result:
        age = self._clock() - began
        result = self._execute(function, event)
        if not result.get("throttle"):
            self._age(function, age)
        return result

    def _now(self, function: dict[str, Any]) -> dict[str, Any]:
        """The function with the code, the settings and the concurrency that it was given meanwhile."""
        config = function.get("config") or function
        is_latest = config.get("Version", "$LATEST") == "$LATEST"
        return (self._found(config["FunctionArn"]) if is_latest else None) or function

    def _give_up(
        self, function: dict[str, Any], event: Any, settings: Settings, course: Course, condition: str, result: Result
    ) -> None:
        arn = (function.get("config") or function).get("FunctionArn", "")
        log.warning("an event of %s is given up: %s", arn, condition)
        if settings.destination:
            told = record(arn, event, course, condition, result, datetime.now(UTC))
            self._send(settings.destination, json.dumps(told))
