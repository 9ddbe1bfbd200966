"""`tidemill smoke` on the local platform: every step passes, by the permissions that the page lists; and where a part
of the stack is broken, exactly the steps fail that need it."""

from __future__ import annotations

import argparse
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.tree import ROOT
from tests.walkthrough import blocks_in
from tidemill_cli.commands import smoke
from tidemill_cli.commands.smoke import steps
from tidemill_cli.commands.smoke.hearing import Hearing
from tidemill_cli.commands.smoke.subject import under_test
from tidemill_local.emulator import Emulator
from tidemill_local.platform import Platform

pytestmark = pytest.mark.timeout(300)

PAGE = (ROOT / "docs/how-to/running-on-aws.md").read_text()
STEPS = [*steps.STEPS, steps.REMOVAL]
PARAMETERS = {
    "DirectEndpoint": "on",
    "BatchingWindowSeconds": "0",
    "ArchiveIntervalSeconds": "1",
    "ShardCount": "1",
    "ApplicationSecret": "s" * 43,
}
ANYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}

BATCH = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sqs:DeleteMessageBatch", "Resource": "*"}],
}
"""For the emulator: on AWS this call needs sqs:DeleteMessage."""

Names: TypeAlias = Callable[[str], str]
Smoke: TypeAlias = Callable[..., tuple[int, dict[str, str]]]
Environment: TypeAlias = Mapping[str, str]


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform(0, PARAMETERS) as platform:
        yield platform


@pytest.fixture
def run(platform: Platform, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Smoke:
    """Runs the command on the platform of this module, perhaps with other keys and patience."""

    def call(timeout: float = 30.0, keys: Environment | None = None) -> tuple[int, dict[str, str]]:
        return smoke_test({**platform.emulator.environment, **(keys or {})}, timeout, monkeypatch, tmp_path)

    return call


def smoke_test(
    environment: Environment, timeout: float, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> tuple[int, dict[str, str]]:
    """The command's exit code, and each step's verdict and detail."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    parser = argparse.ArgumentParser(prog="tidemill smoke")
    smoke.add_arguments(parser)
    out = folder / "out.json"
    code = smoke.run(parser.parse_args(["--stack", "tidemill", "--timeout", str(timeout), "--json", str(out)]))
    told = json.loads(out.read_text())["steps"]
    assert [one["step"] for one in told] == STEPS
    return code, {one["step"]: f"{one['verdict']}: {one['detail']}" for one in told}


def failed(steps: Mapping[str, str]) -> list[str]:
    return [name for name, said in steps.items() if said.startswith("fail")]


def keys_of_user(emulator: Emulator, name: str, *policies: str | Mapping[str, Any]) -> Environment:
    """A new user of the account with these policies, by ARN or document; the variables with the user's keys."""
    iam = emulator.client("iam")
    iam.create_user(UserName=name)
    for number, policy in enumerate(policies):
        if isinstance(policy, str):
            iam.attach_user_policy(UserName=name, PolicyArn=policy)
        else:
            iam.put_user_policy(UserName=name, PolicyName=str(number), PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def without(*actions: str) -> Mapping[str, Any]:
    """A policy for whoever may do everything but these actions."""
    deny = {"Effect": "Deny", "Action": list(actions), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [*ANYTHING["Statement"], deny]}


def left(platform: Platform) -> dict[str, list[Any]]:
    """What there is in the stack that a smoke test could leave behind."""
    emulator, outputs = platform.emulator, platform.outputs
    s3, bucket = emulator.client("s3"), outputs["QuarantineBucketName"]
    items = emulator.client("dynamodb").scan(TableName=outputs["TableName"], ConsistentRead=True)["Items"]
    return {
        "items": [one["pk"]["S"] for one in items],
        "objects": [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])],
        "users": emulator.client("cognito-idp").list_users(UserPoolId=outputs["UserPoolId"])["Users"],
        "queues": emulator.client("sqs").list_queues(QueueNamePrefix="tidemill-client-").get("QueueUrls", []),
        "subscriptions": emulator.client("sns").list_subscriptions()["Subscriptions"],
    }


NOTHING: dict[str, list[Any]] = {"items": [], "objects": [], "users": [], "queues": [], "subscriptions": []}


def remove(platform: Platform) -> None:
    """Remove what a smoke test had to leave behind."""
    emulator, outputs = platform.emulator, platform.outputs
    for key in left(platform)["items"]:
        emulator.client("dynamodb").delete_item(TableName=outputs["TableName"], Key={"pk": {"S": key}})
    for name in left(platform)["objects"]:
        emulator.client("s3").delete_object(Bucket=outputs["QuarantineBucketName"], Key=name)


def test_the_page_says_of_each_step_what_it_proves() -> None:
    section = PAGE.partition("### The smoke test")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == STEPS


def test_all_of_a_stack_that_works_passes_and_nothing_is_left(
    platform: Platform, run: Smoke, capsys: pytest.CaptureFixture[str]
) -> None:
    (policy,) = [block.text for block in blocks_in(PAGE) if "AdminCreateUser" in block.text]
    operator = platform.outputs["OperatorPolicyArn"], json.loads(policy.replace("shop", "tidemill")), BATCH
    code, steps = run(keys=keys_of_user(platform.emulator, "operator", *operator))
    assert [one.partition(":")[0] for one in steps.values()] == ["pass"] * len(STEPS), steps
    assert code == 0
    assert left(platform) == NOTHING
    shown = capsys.readouterr().out
    assert "pass  sdk " in shown
    assert "all of it works" in shown


@pytest.mark.parametrize(
    ("action", "steps_of_it"),
    [("logs:FilterLogEvents", ["metrics"]), ("sqs:CreateQueue", ["sdk", "plain", "quarantine"])],
)
def test_a_permission_that_is_missing_is_named_by_the_steps_that_need_it(
    platform: Platform, run: Smoke, names: Names, action: str, steps_of_it: list[str]
) -> None:
    code, steps = run(keys=keys_of_user(platform.emulator, names("lesser"), without(action)))
    assert failed(steps) == steps_of_it, steps
    assert code == 1
    for one in steps_of_it:
        assert f"no permission for {action.partition(':')[2]}" in steps[one]
        assert "docs/how-to/running-on-aws.md" in steps[one]
    assert left(platform) == NOTHING


def test_users_who_may_read_are_reported(platform: Platform, run: Smoke) -> None:
    iam, role = platform.emulator.client("iam"), platform.outputs["ClientRoleArn"].rpartition("/")[2]
    grant = {"Effect": "Allow", "Action": "dynamodb:Scan", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [grant]})
    iam.put_role_policy(RoleName=role, PolicyName="reads", PolicyDocument=document)
    try:
        _, steps = run()
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="reads")
    assert failed(steps) == ["user"], steps
    assert f"may scan on {platform.outputs['TableName']}" in steps["user"]
    assert left(platform) == NOTHING


def test_what_was_made_is_removed_where_the_command_is_interrupted(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in platform.emulator.environment.items():
        monkeypatch.setenv(name, value)
    begun = steps.outcomes(under_test("tidemill", 30), lambda _: None)
    first = next(begun)
    assert (first.step, first.verdict) == ("sdk", "pass")
    assert left(platform)["items"] != []
    begun.close()
    assert left(platform) == NOTHING


def test_a_request_that_cannot_be_redriven_is_told(
    platform: Platform, run: Smoke, names: Names, becomes: Callable[[Callable[[], bool]], bool]
) -> None:
    _, steps = run(keys=keys_of_user(platform.emulator, names("lesser"), without("s3:DeleteObject")))
    try:
        assert failed(steps) == ["quarantine", "removal"], steps
        assert "it is on the stream, but cannot be moved" in steps["quarantine"]
        assert "no permission for DeleteObject" in steps["removal"]
        assert becomes(lambda: len(left(platform)["objects"]) == 3), "two of its own, and the copy of one"
    finally:
        remove(platform)


def test_silence_tells_whether_the_request_is_applied(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in platform.emulator.environment.items():
        monkeypatch.setenv(name, value)
    with closing(under_test("tidemill", 30)) as stack:
        key = str(stack.request("silent").key)
        hearing = Hearing(stack)
        told = hearing.silence(key)
        assert "it is not applied: look whether the mapping is enabled" in told
        assert platform.outputs["ApplyLogGroupName"] in told
        dynamodb, table = platform.emulator.client("dynamodb"), platform.outputs["TableName"]
        dynamodb.put_item(TableName=table, Item={"pk": {"S": key}})
        try:
            assert "the request is applied" in hearing.silence(key)
        finally:
            dynamodb.delete_item(TableName=table, Key={"pk": {"S": key}})


@pytest.mark.slow
def test_without_a_mapping_the_steps_fail_that_need_a_reply(
    platform: Platform, run: Smoke, becomes: Callable[[Callable[[], bool]], bool]
) -> None:
    functions = platform.emulator.client("lambda")
    (mapping,) = functions.list_event_source_mappings()["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    assert becomes(lambda: not platform.event_sources)
    try:
        code, steps = run(timeout=600)
        assert failed(steps) == ["sdk", "plain", "quarantine", "metrics", "removal"], steps
        assert code == 1
        enable = f"update-event-source-mapping --uuid {mapping['UUID']} --enabled"
        assert all(enable in steps[one] for one in ("sdk", "plain", "quarantine", "metrics")), steps
        assert "not applied yet" in steps["removal"]
    finally:
        functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
        assert becomes(lambda: bool(left(platform)["objects"]) and len(left(platform)["items"]) == 4)
        remove(platform)


@pytest.mark.slow
def test_a_function_that_cannot_start_is_not_waited_for_and_its_error_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as file:
        file.writestr("nothing.py", "")
    with Platform(0, PARAMETERS | {"DirectEndpoint": "off"}) as platform:
        platform.emulator.client("lambda").update_function_code(
            FunctionName=platform.outputs["ApplyFunctionName"], ZipFile=empty.getvalue()
        )
        code, steps = smoke_test(platform.emulator.environment, 600, monkeypatch, tmp_path)
    assert failed(steps) == ["sdk", "plain", "quarantine", "metrics", "removal"], steps
    assert code == 1
    for one in ("sdk", "plain", "quarantine", "metrics"):
        assert "the mapping says PROBLEM: Function call failed" in steps[one]
        assert "Runtime.ImportModuleError: Unable to import module 'tidemill_consumers.apply'" in steps[one]


@pytest.mark.slow
def test_without_the_archive_its_step_fails_and_what_a_stack_lacks_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with Platform(0, PARAMETERS | {"DirectEndpoint": "off"}) as platform:
        for stream in platform.delivery_streams:
            stream.stop(flush=False)
        code, steps = smoke_test(platform.emulator.environment, 15, monkeypatch, tmp_path)
        assert left(platform) == NOTHING
    assert failed(steps) == ["archive"], steps
    assert code == 1
    assert "6 of 6 requests are not in the archive" in steps["archive"]
    assert steps["direct"].startswith("skip: the stack has no direct endpoint")


def test_a_stack_that_is_not_there_is_no_step(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in platform.emulator.environment.items():
        monkeypatch.setenv(name, value)
    parser = argparse.ArgumentParser(prog="tidemill smoke")
    smoke.add_arguments(parser)
    assert smoke.run(parser.parse_args(["--stack", "nobodys"])) == 1
    streams = capsys.readouterr()
    assert "no stack 'nobodys' answers" in streams.err
    assert streams.out == ""
