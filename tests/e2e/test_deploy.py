"""`tidemill deploy` and `destroy` against the emulator's CloudFormation: a stack from its first to its second life."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tidemill_cli.commands.deploy.parameters import Parameters
from tidemill_cli.errors import CommandError
from tidemill_deploy.packaging.errors import RulesNotFound
from tidemill_deploy.stack.stack import State
from tidemill_deploy.template import TemplateError, load, template_path
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
        done = self.run("deploy", "--stack", "shop", "--yes", "--json", "deploy.json", *self.defaults, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """Why one fails."""
        done = self.run("deploy", "--stack", "shop", "--yes", *self.defaults, *arguments)
        assert done.returncode == 1, done.stdout
        return done.stderr

    @property
    def defaults(self) -> tuple[str, str]:
        """The arguments that name the template; later ones prevail."""
        return "--template", self.template()

    @property
    def changes(self) -> dict[str, str]:
        """What the last one did to each resource."""
        found = json.loads((self.folder / "deploy.json").read_text())["changes"]
        return {one["resource"]: one["kind"] for one in found}

    @property
    def outputs(self) -> dict[str, str]:
        """The stack's."""
        (found,) = self.emulator.client("cloudformation").describe_stacks(StackName="shop")["Stacks"]
        return {one["OutputKey"]: one["OutputValue"] for one in found["Outputs"]}

    @property
    def stacks(self) -> dict[str, str]:
        """The state of each stack that is not deleted."""
        found = self.emulator.client("cloudformation").describe_stacks()["Stacks"]
        return {one["StackName"]: one["StackStatus"] for one in found}

    def template(self, name: str = "template.json", **changed: Any) -> str:
        """A file of Tidemill's template, with some resources changed.

        Its alarms of several metrics are left out, which the emulator does not make.
        """
        document = load(template_path())
        kept = {logical: body for logical, body in document["Resources"].items() if not is_math(body)}
        (self.folder / name).write_text(json.dumps({**document, "Resources": {**kept, **changed}}))
        return name


def is_math(body: Any) -> bool:
    return body["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in body["Properties"]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """One whose stack is deployed; each test leaves it so."""
    with Emulator(port=0) as running:
        made = Account(running, tmp_path_factory.mktemp("account"))
        planned = made.deploy("--plan")
        assert "create       Requests" in planned
        assert "a month at 100 requests a second" in planned
        assert "nothing was changed; the same without --plan makes these changes" in planned
        assert made.stacks == {}
        said = made.deploy()
        assert f'Producer("{made.outputs["StreamArn"]}")' in said
        yield made


@pytest.mark.slow
def test_the_functions_have_the_packages_that_were_made(account: Account) -> None:
    name = account.outputs["ApplyFunctionName"]
    found: Any = account.emulator.client("lambda").get_function(FunctionName=name)["Configuration"]
    assert found["CodeSize"] > 1_000_000
    assert found["Architectures"] == ["arm64"]


def test_what_holds_data_is_protected_once_the_stack_stands(account: Account) -> None:
    described = account.emulator.client("dynamodb").describe_table(TableName=account.outputs["TableName"])["Table"]
    assert described["DeletionProtectionEnabled"]


def test_the_same_again_changes_nothing(account: Account) -> None:
    assert "nothing is to be changed" in account.deploy()


@pytest.mark.slow
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


def renamed(account: Account) -> str:
    """A template whose stream has another name, and so is another stream."""
    stream = load(template_path())["Resources"]["Requests"]
    return account.template(
        "renamed.json", Requests={**stream, "Properties": {**stream["Properties"], "Name": "other"}}
    )


def test_a_replaced_stream_is_refused_and_nothing_is_done(account: Account) -> None:
    why = account.refused("--template", renamed(account))
    assert "it would replace Requests: its requests that are not applied yet are lost" in why
    assert account.stacks == {"shop": "UPDATE_COMPLETE"}
    assert account.outputs["StreamName"] in account.emulator.client("kinesis").list_streams()["StreamNames"]


def test_a_replacement_is_only_planned_without_agreement(account: Account) -> None:
    planned = account.deploy("--plan", "--template", renamed(account))
    assert "replace      Requests" in planned
    assert "without --plan and with --replace makes these changes, and loses what is told above" in planned


@pytest.mark.slow
def test_many_shards_are_reached_by_steps(account: Account) -> None:
    account.deploy("--parameter", "ShardCount=2")
    said = account.deploy("--parameter", "ShardCount=9")
    assert "by way of 4, 8 shards" in said
    kinesis = account.emulator.client("kinesis")
    summary = kinesis.describe_stream_summary(StreamName=account.outputs["StreamName"])["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 9
    assert "nothing is to be changed" in account.deploy()


@pytest.mark.slow
def test_more_shards_than_a_day_allows_are_refused(account: Account) -> None:
    assert "10 are allowed in 24 hours" in account.refused("--parameter", "ShardCount=10000")
    assert account.stacks == {"shop": "UPDATE_COMPLETE"}


def test_a_secret_is_not_taken_from_the_command_line(account: Account) -> None:
    done = account.run("deploy", "--stack", "shop", "--parameter", f"ApplicationSecret={'x' * 43}")
    assert done.returncode == 2
    assert "ApplicationSecret=@FILE" in done.stderr


def test_rules_of_the_stack_that_are_not_here_are_asked_for(tmp_path: Path) -> None:
    stack = State("arn", "CREATE_COMPLETE", {"Rules": "nowhere_at_all"}, {})
    args = argparse.Namespace(rules=None, architecture=None, parameter=[])
    with pytest.raises(CommandError, match=r"the stack has the rules of nowhere_at_all; .* --rules: no module"):
        Parameters(args, load(template_path()), stack).packages(tmp_path, print)
    args.rules = "another_that_is_nowhere"
    with pytest.raises(RulesNotFound, match="no module another_that_is_nowhere"):
        Parameters(args, load(template_path()), stack).packages(tmp_path, print)


def test_uploads_that_would_expire_before_their_requests_are_told() -> None:
    stack = State("arn", "CREATE_COMPLETE", {"RetentionHours": "168"}, {})
    args = argparse.Namespace(rules=None, architecture=None, parameter=[("ContentDays", "7")])
    with pytest.raises(TemplateError, match=r"ContentDays=7 is no longer than RetentionHours=168.*use ContentDays=8"):
        Parameters(args, load(template_path()), stack).values()
    args.parameter = [("ContentDays", "a week")]
    with pytest.raises(TemplateError, match="the parameter ContentDays is a number, and 'a week' is none"):
        Parameters(args, load(template_path()), stack).values()
    args.parameter = [("ContentDays", "8")]
    assert Parameters(args, load(template_path()), stack).values()["ContentDays"] == "8"


def test_an_unknown_parameter_is_told(account: Account) -> None:
    assert "the template has no parameter Shards" in account.refused("--parameter", "Shards=4")


@pytest.mark.slow
def test_a_failed_update_is_rolled_back_and_told(account: Account) -> None:
    properties = {
        "ResourceArn": {"Fn::Sub": "arn:aws:kinesis:${AWS::Region}:${AWS::AccountId}:stream/nowhere"},
        "ResourcePolicy": {"Version": "2012-10-17", "Statement": []},
    }
    unmade = {"Type": "AWS::Kinesis::ResourcePolicy", "Properties": properties}
    why = account.refused("--template", account.template("unmade.json", Unmade=unmade))
    assert "the stack shop is UPDATE_ROLLBACK_COMPLETE:\n  Unmade: " in why
    account.deploy()


@pytest.mark.slow
def test_what_a_failed_creation_has_left_is_deleted_once_somebody_agrees(account: Account) -> None:
    nowhere = {"ResourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/nowhere"}
    unmade = {"Type": "AWS::Kinesis::ResourcePolicy", "Properties": nowhere}
    document = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Unmade": unmade}}
    cloudformation = account.emulator.client("cloudformation")
    cloudformation.create_stack(StackName="failed", TemplateBody=json.dumps(document))
    assert account.stacks["failed"] == "ROLLBACK_COMPLETE"
    for more, told in ((["--plan", "--yes"], "nothing can be planned before"), ([], "add --yes to delete it")):
        done = account.run("deploy", "--stack", "failed", *account.defaults, *more)
        assert (done.returncode, told in done.stderr) == (1, True), done.stdout + done.stderr
        assert account.stacks["failed"] == "ROLLBACK_COMPLETE"
    assert account.run("destroy", "--stack", "failed", "--yes").returncode == 0
    assert "failed" not in account.stacks


def test_without_a_terminal_nobody_can_agree(account: Account) -> None:
    done = account.run("deploy", "--stack", "shop", *account.defaults, "--parameter", "BatchSize=600")
    assert done.returncode == 1
    assert "add --yes" in done.stderr
    assert batch_size(account) != 600


def test_a_template_that_is_none_is_told(account: Account) -> None:
    broken = account.folder / "broken.yaml"
    for text in ("a: [", "- 1", "Parameters: {}"):
        broken.write_text(text)
        assert "broken.yaml is not" in account.refused("--template", str(broken))


@pytest.mark.slow
def test_a_second_life_takes_over_what_was_kept(account: Account) -> None:
    account.deploy("--parameter", "ShardCount=4")  # more than the default
    before = account.outputs
    table = account.emulator.client("dynamodb")
    table.put_item(TableName=before["TableName"], Item={"pk": {"S": "content/1"}})
    gone = account.run("destroy", "--stack", "shop", "--yes", "--without-draining")
    assert gone.returncode == 0, gone.stderr
    assert account.stacks == {}
    account.deploy()
    assert account.changes["Entities"] == "take over"
    kinesis = account.emulator.client("kinesis")
    summary = kinesis.describe_stream_summary(StreamName=before["StreamName"])["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 4
    for name in ("TableName", "StreamName", "ArchiveBucketName", "UserPoolId", "UserPoolClientId", "IdentityPoolId"):
        assert account.outputs[name] == before[name]
    assert table.get_item(TableName=before["TableName"], Key={"pk": {"S": "content/1"}})["Item"]


def test_destroying_what_is_not_there_is_told(account: Account) -> None:
    done = account.run("destroy", "--stack", "nowhere", "--yes")
    assert (done.returncode, done.stderr) == (1, "tidemill destroy: there is no stack nowhere in us-east-1\n")


@pytest.mark.slow
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
