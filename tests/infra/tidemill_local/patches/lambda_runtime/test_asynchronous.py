"""Asynchronous invocations are tried again as Lambda does it, and told in the end."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tidemill_local.patches.lambda_runtime.asynchronous import (
    Course,
    Events,
    Settings,
    record,
    settings_of,
    speed_of,
)

FAILED, THROTTLED = {"error": True, "body": {"errorType": "E"}}, {"error": True, "throttle": True}
DONE: dict[str, Any] = {"body": "done"}
ARN = "arn:aws:lambda:us-east-1:000000000000:function:f"


def function(version: str = "$LATEST", **config: Any) -> dict[str, Any]:
    return {"config": {"FunctionArn": ARN, "Version": version}, "event_invoke_configs": {"$LATEST": config}}


class World:
    """Answers as told to, notes the waits, and lets the time pass that is waited for."""

    def __init__(self, *results: dict[str, Any]) -> None:
        self._results = list(results)
        self.calls, self.now = 0, 0.0
        self.waits: list[float] = []
        self.ages: list[float] = []
        self.ran: list[dict[str, Any]] = []
        self.latest: dict[str, Any] | None = None
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.events = Events(
            self._execute,
            lambda arn, text: self.sent.append((arn, json.loads(text))),
            age=lambda _, seconds: self.ages.append(seconds),
            found=lambda arn: self.latest if arn == ARN else None,
            pause=self._pause,
            clock=lambda: self.now,
        )

    def _execute(self, function: dict[str, Any], event: Any) -> dict[str, Any]:
        self.calls += 1
        self.ran.append(function)
        return self._results.pop(0) if len(self._results) > 1 else self._results[0]

    def _pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


QUEUE = {"OnFailure": {"Destination": "queue"}}


def test_an_error_is_tried_twice_more_and_then_told() -> None:
    world = World(FAILED)
    world.events.run(function(DestinationConfig=QUEUE), {"a": 1})
    assert (world.calls, world.waits) == (3, [60.0, 120.0])
    ((arn, told),) = world.sent
    assert (arn, told["requestPayload"], told["responsePayload"]) == ("queue", {"a": 1}, {"errorType": "E"})
    assert told["requestContext"]["condition"] == "RetriesExhausted"
    assert told["requestContext"]["approximateInvokeCount"] == 3


def test_what_succeeds_is_not_told() -> None:
    world = World(FAILED, DONE)
    world.events.run(function(DestinationConfig=QUEUE), {})
    assert (world.calls, world.sent) == (2, [])


def test_without_a_destination_nobody_is_told() -> None:
    world = World(FAILED)
    world.events.run(function(MaximumRetryAttempts=0), {})
    assert (world.calls, world.waits, world.sent) == (1, [], [])


def test_without_concurrency_it_waits_and_counts_no_retry() -> None:
    world = World(*[THROTTLED] * 11, FAILED, DONE)
    world.events.run(function(), {})
    assert world.waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 60]


def test_an_events_age_is_told_of_each_attempt_that_was_not_throttled() -> None:
    world = World(THROTTLED, THROTTLED, FAILED, DONE)
    world.events.run(function(), {})
    assert world.ages == [3.0, 63.0]


def test_a_function_without_any_concurrency_gets_no_event_again() -> None:
    """Also when it was given none only after the first attempt."""
    world = World(FAILED, THROTTLED)
    world.latest = {**function(DestinationConfig=QUEUE), "concurrency": 0}
    world.events.run(function(DestinationConfig=QUEUE), {"a": 1})
    assert (world.calls, world.waits) == (2, [60.0])
    ((_, told),) = world.sent
    assert told["requestContext"]["condition"] == "ZeroReservedConcurrency"
    assert told["requestContext"]["approximateInvokeCount"] == 1
    assert not {"responseContext", "responsePayload"} & told.keys()


def test_an_attempt_runs_the_function_as_it_is_by_then() -> None:
    """But of a published version, which does not change."""
    for version, is_new in (("$LATEST", True), ("3", False)):
        world, begun = World(FAILED, DONE), function(version)
        world.latest = function(MaximumRetryAttempts=1)
        world.events.run(begun, {})
        assert [one is world.latest for one in world.ran] == [False, is_new]


def test_a_function_that_was_deleted_is_run_as_it_was() -> None:
    world = World(FAILED, DONE)
    world.events.run(function(), {})
    assert world.ran[0] == world.ran[1]


@pytest.mark.parametrize("setting", ["0", "-1", "inf", "nan", "fast", ""])
def test_a_speed_that_is_no_number_above_0_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match=r"TIDEMILL_EVENT_QUEUE_SPEED is .*: a number above 0 is needed"):
        speed_of(setting)


def test_an_event_that_is_too_old_is_given_up() -> None:
    world = World(THROTTLED)
    world.events.run(function(MaximumEventAgeInSeconds=60, DestinationConfig=QUEUE), {})
    assert world.waits == [1, 2, 4, 8, 16]
    assert world.sent[0][1]["requestContext"]["condition"] == "EventAgeExceeded"


@pytest.mark.parametrize(
    ("of", "settings"),
    [
        ({}, Settings()),
        ({"event_invoke_config": {"MaximumRetryAttempts": 0}}, Settings(retries=0)),
        (function(MaximumEventAgeInSeconds=60, DestinationConfig=QUEUE), Settings(2, 60.0, "queue")),
        (function(DestinationConfig={"OnFailure": {}}), Settings()),
        ({"concurrency": 0}, Settings(disabled=True)),
        ({"concurrency": 1}, Settings()),
    ],
)
def test_a_functions_settings(of: dict[str, Any], settings: Settings) -> None:
    assert settings_of(of) == settings


def test_a_destination_is_told_what_aws_tells() -> None:
    told = record(ARN, {"a": 1}, Course(3), "RetriesExhausted", FAILED, datetime(2026, 5, 1, tzinfo=UTC))
    assert told.pop("requestContext").keys() == {"requestId", "functionArn", "condition", "approximateInvokeCount"}
    assert told == {
        "version": "1.0",
        "timestamp": "2026-05-01T00:00:00.000Z",
        "requestPayload": {"a": 1},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorType": "E"},
    }
