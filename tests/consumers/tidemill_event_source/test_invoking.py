"""Invoking a function through Lambda's API, and what its answers are taken for."""

import asyncio
import io
import json
import threading
import uuid
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from tidemill_event_source.context import Context
from tidemill_event_source.decisions.batches import (
    Batch,
    BatchResult,
    InvocationResponse,
    TimeWindow,
    Tumbling,
    batch_result,
)
from tidemill_event_source.decisions.config import MappingConfig
from tidemill_event_source.decisions.records import kinesis_renderer
from tidemill_event_source.invoking import in_process, through_lambda
from tidemill_event_source.shard_reader import StreamRecord
from tidemill_local.emulator import Emulator


@pytest.fixture
def name(emulator: Emulator) -> Iterator[str]:
    """A function that answers its event."""
    code, made = io.BytesIO(), f"invoking-{uuid.uuid4().hex[:8]}"
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("f.py", "def handler(event, context): return event")
    functions, iam = emulator.client("lambda"), emulator.client("iam")
    role = iam.create_role(RoleName=made, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    functions.create_function(
        FunctionName=made, Runtime="python3.12", Role=role, Handler="f.handler", Code={"ZipFile": code.getvalue()}
    )
    yield made
    functions.delete_function(FunctionName=made)
    iam.delete_role(RoleName=made)


def test_an_invocation_is_waited_for_as_long_as_a_function_may_run_and_made_once(emulator: Emulator) -> None:
    client = emulator.invoking_client()
    assert client.meta.config.read_timeout > 900
    assert client.meta.config.retries["total_max_attempts"] == 1
    assert client is emulator.invoking_client()
    assert client is not emulator.client("lambda")


def test_an_event_that_is_too_large_is_the_functions_error_and_not_a_throttle(emulator: Emulator, name: str) -> None:
    invoke = through_lambda(emulator.invoking_client(), name)
    assert invoke(b'{"a": 1}').error is None
    response = invoke(json.dumps("x" * (6 * 1024 * 1024)).encode())
    assert (response.invoked, response.error) == (True, "Unhandled")
    said = json.loads(response.payload)
    assert said["errorType"] == "RequestEntityTooLargeException"
    assert "must be smaller" in said["errorMessage"]


def test_a_function_that_is_not_there_was_not_invoked(emulator: Emulator) -> None:
    response = through_lambda(emulator.invoking_client(), "nowhere")(b"{}")
    assert not response.invoked
    assert response.trouble.startswith("cannot invoke nowhere, trying again: ")


@pytest.mark.parametrize(
    ("text", "kept"), [('"na\u00efve \u2603"', None), (r'"\ud83d"', None), (r'"\u2603"', '"\u2603"')]
)
def test_a_state_does_not_grow_on_its_way(text: str, kept: str | None) -> None:
    arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
    batch = Batch((), Tumbling("shard", arn, TimeWindow(0, 60), b"{}", final=False, terminated_early=False))
    answer = InvocationResponse(f'{{"state":{text}}}'.encode())
    assert batch_result(batch, answer, MappingConfig(arn, tumbling_window=60)) == BatchResult(
        0, (kept or text).encode()
    )


def test_a_handler_in_this_process_has_a_context() -> None:
    seen: list[Context] = []

    def handler(event: Any, context: Context) -> Any:
        seen.append(context)
        return {"left": context.get_remaining_time_in_millis(), "id": context.aws_request_id, "event": event}

    response = in_process(handler, timeout=60, function_arn="arn:aws:lambda:eu-west-1:1:function:orders")(b'{"a": 1}')
    said = json.loads(response.payload)
    assert (response.error, said["id"], said["event"]) == (None, response.request_id, {"a": 1})
    assert 0 < said["left"] <= 60_000
    assert (seen[0].function_name, seen[0].function_version) == ("orders", "$LATEST")
    assert (seen[0].client_context, seen[0].identity.cognito_identity_id) == (None, None)


def test_a_handler_that_hangs_is_ended_at_its_timeout() -> None:
    let_go = threading.Event()
    response = in_process(lambda event, context: let_go.wait(), timeout=0.05)(b"{}")
    let_go.set()
    assert (response.invoked, response.error) == (True, "Unhandled")
    assert json.loads(response.payload)["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 0.05 seconds" in json.loads(response.payload)["errorMessage"]


def test_and_waited_for_without_one() -> None:
    handler = in_process(lambda event, context: context.get_remaining_time_in_millis() > 900_000, timeout=None)
    assert handler(b"{}").payload == b"true"


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (ValueError("no"), "ValueError", "no"),
        (SystemExit(3), "Runtime.ExitError", "exit status 3"),
        (SystemExit("words"), "Runtime.ExitError", "exit status 1"),
        (SystemExit(), "Runtime.ExitError", "exit status 0"),
        (KeyboardInterrupt(), "KeyboardInterrupt", ""),
        (asyncio.CancelledError("gone"), "CancelledError", "gone"),
    ],
)
def test_whatever_a_handler_raises_is_the_functions_error(error: BaseException, kind: str, message: str) -> None:
    def handler(event: Any, context: Any) -> None:
        raise error

    response = in_process(handler)(b"{}")
    said = json.loads(response.payload)
    assert (response.invoked, response.error, said["errorType"]) == (True, "Unhandled", kind)
    assert message in said["errorMessage"]


def test_an_answer_that_is_no_json_is_the_functions_error() -> None:
    assert json.loads(in_process(lambda event, context: {1, 2})(b"{}").payload)["errorType"] == "TypeError"


def test_the_decorators_of_powertools_find_what_they_need(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "tests")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "orders")
    seen: list[int] = []
    processor = BatchProcessor(event_type=EventType.KinesisDataStreams)
    logger, metrics = Logger(), Metrics()

    @logger.inject_lambda_context
    @metrics.log_metrics(capture_cold_start_metric=True)
    def handler(event: dict[str, Any], context: Any) -> Any:
        metrics.add_metric("Orders", MetricUnit.Count, 1)
        return process_partial_response(
            event, lambda record: seen.append(record.kinesis.data_as_json()), processor, context
        )

    record = StreamRecord("shardId-000000000000", "1", "k", b"7", datetime(2026, 1, 1, tzinfo=UTC))
    rendered = kinesis_renderer("arn:aws:kinesis:us-east-1:000000000000:stream/s")(record)
    response = in_process(handler)(b'{"Records":[' + rendered + b"]}")
    assert (json.loads(response.payload), response.error, seen) == ({"batchItemFailures": []}, None, [7])
    assert '"ColdStart":[1.0]' in capsys.readouterr().out
