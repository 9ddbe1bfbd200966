"""`tidemill deploy` and `destroy` against the emulator's CloudFormation: a stack from its first to its second life."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidemill_deploy.template import template_path
from tidemill_local.emulator import Emulator

pytestmark = pytest.mark.timeout(300)


class Account:
    """The commands, in an account where nothing else is.

    Attributes:
        emulator: its AWS.
        folder: where they run.
    """

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator = emulator
        self.folder = folder

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).with_name("tidemill")), *arguments],
            cwd=self.folder,
            env={**os.environ, **self.emulator.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )

    def deploy(self, *arguments: str) -> str:
        """What one says that succeeds."""
        done = self.run("deploy", "--stack", "shop", "--yes", "--json", "deploy.json", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """Why one fails."""
        done = self.run("deploy", "--stack", "shop", "--yes", *arguments)
        assert done.returncode == 1, done.stdout
        return done.stderr

    @property
    def changes(self) -> dict[str, str]:
        """What the last one did to each resource."""
        found = json.loads((self.folder / "deploy.json").read_text())["changes"]
        return {one["resource"]: one["kind"] for one in found}

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's, by the last one."""
        found: dict[str, str] = json.loads((self.folder / "deploy.json").read_text())["outputs"]
        return found

    @property
    def stacks(self) -> dict[str, str]:
        """The state of each stack that is not deleted."""
        found = self.emulator.client("cloudformation").describe_stacks()["Stacks"]
        return {one["StackName"]: one["StackStatus"] for one in found}

    def template(self, old: str, new: str) -> Path:
        """A template with one change."""
        text = template_path().read_text()
        assert text.count(old) == 1
        changed = self.folder / "changed.yaml"
        changed.write_text(text.replace(old, new))
        return changed


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """One whose stack is deployed; each test leaves it so."""
    with Emulator(port=0) as running:
        made = Account(running, tmp_path_factory.mktemp("account"))
        planned = made.deploy("--plan")
        assert "create       Requests" in planned
        assert "a month at 100 requests a second" in planned
        assert made.stacks == {}
        said = made.deploy()
        assert f'Producer("{made.outputs["StreamArn"]}")' in said
        yield made


def test_the_functions_have_the_packages_that_were_made(account: Account) -> None:
    name = account.outputs["ApplyFunctionName"]
    found: Any = account.emulator.client("lambda").get_function(FunctionName=name)["Configuration"]
    assert found["CodeSize"] > 1_000_000
    assert found["Architectures"] == ["arm64"]


def test_the_same_again_changes_nothing(account: Account) -> None:
    assert "nothing is to be changed" in account.deploy()


def test_a_changed_parameter_is_changed_and_stays(account: Account) -> None:
    account.deploy("--parameter", "BatchSize=500")
    assert account.changes["ApplyFromRequests"] == "change"
    assert batch_size(account) == 500
    assert "nothing is to be changed" in account.deploy()


def batch_size(account: Account) -> int:
    name = account.outputs["ApplyFunctionName"]
    mapping: Any
    (mapping,) = account.emulator.client("lambda").list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    return int(mapping["BatchSize"])


def renamed(account: Account) -> Path:
    """A template whose stream has another name, and so is another stream."""
    old = "      RetentionPeriodHours: !Ref RetentionHours\n"
    return account.template(old, f"{old}      Name: another\n")


def test_a_replaced_stream_is_refused_and_nothing_is_done(account: Account) -> None:
    why = account.refused("--template", str(renamed(account)))
    assert "it would replace Requests: its requests that are not applied yet are lost" in why
    assert account.stacks == {"shop": "UPDATE_COMPLETE"}
    assert account.outputs["StreamName"] in account.emulator.client("kinesis").list_streams()["StreamNames"]


def test_a_replacement_is_only_planned_without_agreement(account: Account) -> None:
    planned = account.deploy("--plan", "--template", str(renamed(account)))
    assert "replace      Requests" in planned


def test_an_unknown_parameter_is_told(account: Account) -> None:
    assert "the template has no parameter Shards" in account.refused("--parameter", "Shards=4")


def test_a_failed_update_is_rolled_back_and_told(account: Account) -> None:
    template = account.template(
        "\nOutputs:\n",
        "\n  Unmade:\n    Type: AWS::Kinesis::ResourcePolicy\n    Properties:\n"
        '      ResourceArn: !Sub "arn:aws:kinesis:${AWS::Region}:${AWS::AccountId}:stream/nowhere"\n'
        '      ResourcePolicy: {Version: "2012-10-17", Statement: []}\n\nOutputs:\n',
    )
    why = account.refused("--template", str(template))
    assert "the stack shop is UPDATE_ROLLBACK_COMPLETE:\n  Unmade: " in why
    account.deploy()


def test_without_a_terminal_nobody_can_agree(account: Account) -> None:
    done = account.run("deploy", "--stack", "shop", "--parameter", "BatchSize=600")
    assert done.returncode == 1
    assert "add --yes" in done.stderr
    assert batch_size(account) != 600


def test_a_template_that_is_none_is_told(account: Account) -> None:
    broken = account.folder / "broken.yaml"
    for text in ("a: [", "- 1", "Parameters: {}"):
        broken.write_text(text)
        assert "broken.yaml is not" in account.refused("--template", str(broken))


def test_a_second_life_takes_over_what_was_kept(account: Account) -> None:
    before = account.outputs
    table = account.emulator.client("dynamodb")
    table.put_item(TableName=before["TableName"], Item={"pk": {"S": "content/1"}})
    gone = account.run("destroy", "--stack", "shop", "--yes", "--without-draining")
    assert gone.returncode == 0, gone.stderr
    assert account.stacks == {}
    account.deploy()
    assert account.changes["Entities"] == "take over"
    for name in ("TableName", "StreamName", "ArchiveBucketName", "UserPoolId", "UserPoolClientId", "IdentityPoolId"):
        assert account.outputs[name] == before[name]
    assert table.get_item(TableName=before["TableName"], Key={"pk": {"S": "content/1"}})["Item"]


def test_destroying_what_is_not_there_is_told(account: Account) -> None:
    done = account.run("destroy", "--stack", "nowhere", "--yes")
    assert (done.returncode, done.stderr) == (1, "tidemill destroy: there is no stack nowhere in us-east-1\n")


def test_data_is_deleted_only_when_it_is_asked_for(tmp_path: Path) -> None:
    with Emulator(port=0) as running:
        account = Account(running, tmp_path)
        account.deploy()
        table = account.outputs["TableName"]
        account.run("destroy", "--stack", "shop", "--yes", "--without-draining")
        assert table in running.client("dynamodb").list_tables()["TableNames"]
        done = account.run("destroy", "--stack", "shop", "--yes", "--delete-data")
        assert done.returncode == 0, done.stderr
        assert running.client("dynamodb").list_tables()["TableNames"] == []
        assert running.client("kinesis").list_streams()["StreamNames"] == []
        assert [one["Name"] for one in running.client("s3").list_buckets()["Buckets"]] == [
            "tidemill-code-000000000000-us-east-1"
        ]
