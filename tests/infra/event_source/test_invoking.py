"""Invoking a function through Lambda's API, and what its answers are taken for."""

import io
import json
import uuid
import zipfile
from collections.abc import Iterator

import pytest

from tidemill_local.emulator import Emulator
from tidemill_local.event_source.batches import Batch, Meaning, Outcome, TimeWindow, Tumbling, meaning
from tidemill_local.event_source.config import MappingConfig
from tidemill_local.event_source.invoking import through_lambda


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
    outcome = invoke(json.dumps("x" * (6 * 1024 * 1024)).encode())
    assert (outcome.invoked, outcome.error) == (True, "Unhandled")
    said = json.loads(outcome.payload)
    assert said["errorType"] == "RequestEntityTooLargeException"
    assert "must be smaller" in said["errorMessage"]


def test_a_function_that_is_not_there_was_not_invoked(emulator: Emulator) -> None:
    assert not through_lambda(emulator.invoking_client(), "nowhere")(b"{}").invoked


@pytest.mark.parametrize(
    ("text", "kept"), [('"na\u00efve \u2603"', None), (r'"\ud83d"', None), (r'"\u2603"', '"\u2603"')]
)
def test_a_state_does_not_grow_on_its_way(text: str, kept: str | None) -> None:
    arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s"
    batch = Batch((), Tumbling("shard", arn, TimeWindow(0, 60), b"{}", final=False, terminated_early=False))
    answer = Outcome(f'{{"state":{text}}}'.encode())
    assert meaning(batch, answer, MappingConfig(arn, tumbling_window=60)) == Meaning(0, (kept or text).encode())
