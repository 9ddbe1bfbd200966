"""What a client may not do because nobody named it."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.signing_in import sign_in
from tidemill_local.deployment import Deployment
from tidemill_local.emulator import Emulator
from tidemill_local.patches.actions import Targets, naming

NAMESPACES = {name: name for name in ("lambda", "sqs", "s3")}
NO_TARGETS: Targets = lambda bucket, body: []  # noqa: E731 - nothing is deleted
PATH = "/2015-03-31/event-source-mappings"


@pytest.mark.parametrize(
    ("service", "method", "path", "action"),
    [
        ("lambda", "PUT", f"{PATH}/7c", "lambda:UpdateEventSourceMapping"),
        ("lambda", "DELETE", f"{PATH}/7c/", "lambda:DeleteEventSourceMapping"),
        ("lambda", "GET", f"{PATH}/7c", "lambda:GetEventSourceMapping"),
        ("lambda", "GET", f"{PATH}/", "lambda:Known"),
        ("lambda", "POST", PATH, "lambda:Known"),
        ("lambda", "HEAD", "/unheard-of", "lambda:Unnamed"),
        ("sqs", "HEAD", "/unheard-of", "sqs:Unnamed"),
        ("s3", "HEAD", "/unheard-of", None),  # the emulator looks at those by itself
        ("nowhere", "HEAD", "/unheard-of", None),
    ],
)
def test_a_call_has_a_name_or_that_it_has_none(service: str, method: str, path: str, action: str | None) -> None:
    named = naming(lambda *call: None if call[2] == "/unheard-of" else f"{call[0]}:Known", NAMESPACES, NO_TARGETS)
    assert named(service, method, path, {}, b"", {}) == action


@pytest.mark.parametrize(
    ("every", "action"),
    [
        ([("arn:aws:s3:::b/k", "v"), ("arn:aws:s3:::b/l", "")], "s3:DeleteObjectVersion"),
        ([("arn:aws:s3:::b/k", ""), ("arn:aws:s3:::b/l", "v")], "s3:DeleteObject"),
        ([], "s3:DeleteObject"),
    ],
)
def test_a_call_that_deletes_a_version_first_is_named_so(every: list[tuple[str, str]], action: str) -> None:
    named = naming(lambda *_: "s3:DeleteObject", NAMESPACES, lambda bucket, body: every if bucket == "b" else [])
    assert named("s3", "POST", "/b", {}, b"<Delete/>", {"delete": [""]}) == action
    assert named("s3", "DELETE", "/b/k", {}, b"", {}) == "s3:DeleteObject"


@pytest.mark.parametrize(
    "call",
    [
        lambda functions, mapping: functions.update_event_source_mapping(UUID=mapping, Enabled=False),
        lambda functions, mapping: functions.delete_event_source_mapping(UUID=mapping),
        lambda functions, mapping: functions.get_event_source_mapping(UUID=mapping),
    ],
)
def test_a_client_may_not_touch_a_mapping(
    emulator: Emulator, deployment: Deployment, mallory: Any, call: Callable[[Any, str], Any]
) -> None:
    stream = deployment.outputs["StreamArn"]
    (mapping,) = emulator.client("lambda").list_event_source_mappings(EventSourceArn=stream)["EventSourceMappings"]
    with pytest.raises(ClientError) as refused:
        call(mallory, mapping["UUID"])
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    (left,) = emulator.client("lambda").list_event_source_mappings(EventSourceArn=stream)["EventSourceMappings"]
    assert left["State"] == mapping["State"]


@pytest.fixture(scope="module")
def mallory(emulator: Emulator, deployment: Deployment) -> Any:
    """Lambda's client of somebody who signed in."""
    keys = sign_in(emulator, deployment.outputs, "mallory")
    return emulator.session(keys.key, keys.secret, keys.token).client("lambda")
