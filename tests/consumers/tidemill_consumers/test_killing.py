"""The functions in processes of their own, as Lambda runs them: a rule that ends them holds up no shard, and its client
hears of it."""

import json
import os
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tidemill.contract.request import Request, encode
from tidemill_consumers.adapters.entities import Entities
from tidemill_local.emulator import Emulator
from tidemill_local.patches.lambda_runtime.environment import Environment
from tidemill_local.patches.lambda_runtime.invocations import Answer, Failure, Invocation
from tidemill_local.sweeper import Groups

HERE = Path(__file__).parent

INSTALLED = [Path(folder) for folder in sys.path if folder]
"""A function finds none of these by itself; the tests here run the project where it is."""
SHARD = "shardId-000000000000"
SLEEPING = " (killing_rules.py:26, in sleep)"
TIMEOUT = 6.0
"""The function's, in seconds."""

Invoke = Callable[[Any], dict[str, Any] | None]


@pytest.fixture
def deliveries(make_table: Callable[[str], str]) -> str:
    return make_table("deliveries")


@pytest.fixture
def start(
    emulator: Emulator, table: str, deliveries: str, bucket: str, topic: str, stream: str, tmp_path: Path
) -> Iterator[Callable[[str], Invoke]]:
    """Invokes a function, by its handler, in the environment that is there, or a new one; None when it fails, which
    ends it."""
    own = ("FUNCTION_NAME", "FUNCTION_VERSION", "FUNCTION_MEMORY_SIZE", "LOG_GROUP_NAME", "LOG_STREAM_NAME")
    variables = {f"AWS_LAMBDA_{name}": "x" for name in own} | {
        **emulator.environment,
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "TMPDIR": str(tmp_path),
        "TIDEMILL_RULES": "killing_rules",
        "TIDEMILL_RETENTION_HOURS": "24",
        "TIDEMILL_REMEMBERED_MIB": "16",
        "TIDEMILL_RULE_SECONDS": "0.5",
        "TIDEMILL_STREAM": stream,
        "TIDEMILL_TABLE": table,
        "TIDEMILL_QUARANTINE_BUCKET": bucket,
        "TIDEMILL_CONTENT_BUCKET": bucket,
        "TIDEMILL_REPLIES_TOPIC_ARN": topic,
        "TIDEMILL_DEVICES_TABLE": table,
        "TIDEMILL_DELIVERIES_TABLE": deliveries,
        "TIDEMILL_FORGOTTEN_WRITERS_TABLE": table,
        "TIDEMILL_REPEAT_HORIZON_SECONDS": "3600",
        "TIDEMILL_EMIT_DEPTH": "16",
        "TIDEMILL_AGGREGATED_STREAM_ARN": "",
        "TIDEMILL_ANALYTICS_PERIODS": "",
        "TIDEMILL_TRACES": "off",
        "TIDEMILL_TRACES_HEADERS_SECRET_ARN": "",
        "TIDEMILL_APPLICATION_SECRET_ARN": "",
    }
    live: list[Environment] = []

    def run(handler: str, event: Any) -> dict[str, Any] | None:
        if not live:
            live.append(Environment(variables | {"_HANDLER": handler}, HERE, INSTALLED, Groups(tmp_path)))
            assert live[0].initialise("id", 30) is None
        assert live[0].is_ready()
        invocation = Invocation("id", json.dumps(event).encode(), "arn", "trace")
        match live[0].invoke(invocation, TIMEOUT, TIMEOUT):
            case Answer(payload, is_error=False):
                found: dict[str, Any] = json.loads(payload)
                return found
            case Failure():
                live.pop().close()
                return None
            case other:
                raise AssertionError(other)

    yield lambda handler: partial(run, handler)
    for environment in live:
        environment.close()


@pytest.fixture
def invoke(start: Callable[[str], Invoke]) -> Invoke:
    return start("tidemill_consumers.apply.handler")


@pytest.fixture
def event(emulator: Emulator, stream: str) -> Callable[..., Any]:
    summary = emulator.client("kinesis").describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    arrived = summary["StreamCreationTimestamp"].timestamp() + 1.0

    def make(first: int, *cmds: str) -> Any:
        return {"Records": [record(n, cmd) for n, cmd in enumerate(cmds, first)]}

    def record(n: int, cmd: str) -> Any:
        key = "other" if cmd == "elsewhere" else "k"
        request = Request(
            id=f"r{n}", cmd=cmd.replace("elsewhere", "count"), key=key, client="c", writer="w", counter=n, data={}
        )
        kinesis = {"partitionKey": key, "sequenceNumber": str(10**55 + n), "approximateArrivalTimestamp": arrived}
        return {
            "eventID": f"{SHARD}:{10**55 + n}",
            "eventSourceARN": summary["StreamARN"],
            "kinesis": kinesis | {"data": b64encode(encode(request)).decode()},
        }

    return make


@pytest.mark.parametrize(
    ("cmd", "failures", "reason"),
    [
        ("leave", 2, "the rule ended the process"),
        ("block", 2, "the rule took longer than 0.5 s, and no signal reached it"),
        ("sleep", 0, "the rule took longer than 0.5 s"),
    ],
)
def test_a_shard_goes_on_over_a_rule_that_ends_the_function_and_its_neighbours_are_applied(
    emulator: Emulator,
    table: str,
    bucket: str,
    invoke: Invoke,
    event: Callable[..., Any],
    cmd: str,
    failures: int,
    reason: str,
) -> None:
    batch = event(1, "count", cmd, "count", "elsewhere", cmd, "count")
    outcomes = [invoke(batch) for _ in range(failures)]
    assert outcomes == [None] * failures
    # One that is searched for may take half of an invocation's time: then the rest is delivered again.
    while batch["Records"]:
        found = invoke(batch)
        if found is not None:
            left = [int(one["itemIdentifier"]) for one in found["batchItemFailures"]] or [10**56]
            batch["Records"] = [one for one in batch["Records"] if int(one["kinesis"]["sequenceNumber"]) >= left[0]]
    found = invoke(event(7, "count"))
    assert found is not None
    assert found["batchItemFailures"] == []
    entities = Entities(emulator.client("dynamodb"), table).load(["k", "other"])
    assert {key: entity.document for key, entity in entities.items()} == {"k": {"n": 4}, "other": {"n": 1}}
    s3 = emulator.client("s3")
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
    kept = [json.load(s3.get_object(Bucket=bucket, Key=key)["Body"]) for key in keys]
    found_reasons = sorted((one["id"], one["reason"].removesuffix(SLEEPING)) for one in kept)
    assert found_reasons == [("r2", reason), ("r5", reason)]


@pytest.mark.parametrize(
    ("cmd", "ends", "reason"),
    [
        ("leave", True, "the rule ended the process"),
        ("block", True, "the rule took longer than 0.5 s, and no signal reached it"),
        ("sleep", False, "the rule took longer than 0.5 s"),
    ],
)
def test_a_direct_request_whose_rule_ends_the_function_is_quarantined_when_it_comes_again(
    emulator: Emulator, table: str, start: Callable[[str], Invoke], cmd: str, ends: bool, reason: str
) -> None:
    invoke = start("tidemill_consumers.direct.handler")

    def call(n: int, cmd: str) -> tuple[int, Any] | None:
        request = Request(id=f"r{n}", cmd=cmd, key="k", client="c", writer="w", counter=n, data={})
        found = invoke({"requestContext": {"timeEpoch": 1_764_000_000_000 + n}, "body": encode(request).decode()})
        return None if found is None else (found["statusCode"], json.loads(found["body"]))

    assert call(1, "count") == (200, {"id": "r1", "status": "accepted"})
    if ends:
        assert call(2, cmd) is None
    for n in (2, 3, 3):  # another of the command costs no other process
        found = call(n, cmd)
        assert found is not None
        assert (found[0], found[1]["id"], found[1]["status"]) == (422, f"r{n}", "quarantined")
        assert found[1]["error"].removesuffix(SLEEPING) == reason
    assert call(4, "count") == (200, {"id": "r4", "status": "accepted"})
    assert Entities(emulator.client("dynamodb"), table).load(["k"])["k"].document == {"n": 2}
