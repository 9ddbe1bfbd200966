"""A stack of a table, a queue and a topic, on the emulator's CloudFormation."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.conftest import Names
from tidemill_deploy.stack.code_bucket import CodeBucket
from tidemill_deploy.stack.kept import Kept, kept, to_json
from tidemill_deploy.stack.rollout import Rollout
from tidemill_deploy.stack.stack import Imported, Stack, StackError, pauses
from tidemill_deploy.stack.takedown import Takedown
from tidemill_local.emulator import Emulator

TEMPLATE: dict[str, Any] = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Parameters": {"Seconds": {"Type": "Number", "Default": 30}, "Name": {"Type": "String", "Default": ""}},
    "Conditions": {"IsNamed": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Name"}, ""]}]}},
    "Resources": {
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "DeletionPolicy": "RetainExceptOnCreate",
            "Properties": {
                "TableName": {"Fn::If": ["IsNamed", {"Ref": "Name"}, {"Ref": "AWS::NoValue"}]},
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
            },
        },
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": {"Ref": "Seconds"}}},
    },
    "Outputs": {"TableName": {"Value": {"Ref": "Table"}}},
}


@pytest.fixture
def bucket(emulator: Emulator) -> CodeBucket:
    account = emulator.client("sts").get_caller_identity()["Account"]
    made = CodeBucket(emulator.client("s3"), account, emulator.client("s3").meta.region_name)
    made.make()
    return made


@pytest.fixture
def stack(emulator: Emulator, names: Names) -> Iterator[Stack]:
    made = Stack(emulator.client("cloudformation"), names("stack"))
    yield made
    made.delete(said.append)


said: list[str] = []


def rollout(stack: Stack, bucket: CodeBucket, given: Mapping[str, str] | None = None, **resources: Any) -> Rollout:
    template = {**TEMPLATE, "Resources": {**TEMPLATE["Resources"], **resources}}
    return Rollout(stack, bucket, json.dumps(template).encode(), template, given or {})


def deployed(wanted: Rollout) -> Mapping[str, str]:
    change_set = wanted.prepare()
    assert change_set is not None
    return wanted.execute(change_set, said.append).outputs


def test_a_stack_is_made_and_its_resources_are_told(stack: Stack, bucket: CodeBucket) -> None:
    lines: list[str] = []
    wanted = rollout(stack, bucket)
    change_set = wanted.prepare()
    assert change_set is not None
    assert {(one.kind, one.logical_id) for one in change_set.changes} == {("create", "Table"), ("create", "Queue")}
    state = wanted.execute(change_set, lines.append)
    assert (state.status, sorted(state.outputs)) == ("CREATE_COMPLETE", ["TableName"])
    assert any(line.startswith("CREATE_COMPLETE") and line.endswith("Queue") for line in lines)
    assert stack.resources()["Table"] == ("AWS::DynamoDB::Table", state.outputs["TableName"])


def test_the_same_again_is_nothing_to_do(stack: Stack, bucket: CodeBucket) -> None:
    deployed(rollout(stack, bucket))
    assert rollout(stack, bucket).prepare() is None


def test_a_changed_parameter_changes_its_resource_and_the_others_keep_their_values(
    stack: Stack, bucket: CodeBucket, emulator: Emulator
) -> None:
    deployed(rollout(stack, bucket, {"Seconds": "40"}))
    change_set = rollout(stack, bucket, {"Seconds": "50"}).prepare()
    assert change_set is not None
    assert [(one.kind, one.logical_id) for one in change_set.changes] == [("change", "Queue")]
    stack.execute(change_set, said.append)
    queue = stack.resources()["Queue"][1]
    assert seconds_of(emulator, queue) == "50"
    assert rollout(stack, bucket).prepare() is None  # it keeps 50, and not the default


def seconds_of(emulator: Emulator, queue: str) -> str:
    sqs = emulator.client("sqs")
    return str(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]["VisibilityTimeout"])


def test_a_discarded_change_set_leaves_nothing_of_a_new_stack(stack: Stack, bucket: CodeBucket) -> None:
    change_set = rollout(stack, bucket).prepare()
    assert change_set is not None
    stack.discard(change_set)
    assert stack.state() is None


def test_of_two_first_deployments_at_once_the_one_that_is_not_agreed_to_leaves_the_other_alone(
    stack: Stack, bucket: CodeBucket
) -> None:
    one, other = rollout(stack, bucket), rollout(stack, bucket)
    first, second = one.prepare(), other.prepare()
    assert first is not None
    assert second is not None
    stack.discard(first)
    assert other.execute(second, said.append).status == "CREATE_COMPLETE"


def test_of_two_deployments_at_once_the_later_one_says_that_the_stack_has_changed_and_does_nothing(
    stack: Stack, bucket: CodeBucket
) -> None:
    deployed(rollout(stack, bucket))
    one, other = rollout(stack, bucket, {"Seconds": "40"}), rollout(stack, bucket, {"Seconds": "50"})
    first, second = one.prepare(), other.prepare()
    assert first is not None
    assert second is not None
    one.execute(first, said.append)
    with pytest.raises(StackError, match="by somebody else meanwhile: nothing was done here"):
        other.execute(second, said.append)
    stack.discard(second)
    state = stack.state()
    assert state is not None
    assert (state.status, state.parameters["Seconds"]) == ("UPDATE_COMPLETE", "40")


def test_a_replaced_table_is_a_loss(stack: Stack, bucket: CodeBucket, names: Names) -> None:
    deployed(rollout(stack, bucket))
    change_set = rollout(stack, bucket, {"Name": names("table")}).prepare()
    assert change_set is not None
    first = change_set.changes[0]
    assert (first.kind, first.logical_id, bool(first.loss)) == ("replace", "Table", True)
    stack.discard(change_set)
    assert stack.state() is not None


def test_what_was_kept_and_is_gone_is_told_and_nothing_is_made(stack: Stack, bucket: CodeBucket) -> None:
    gone = Imported("Table", "AWS::DynamoDB::Table", {"TableName": "gone"})
    bucket.write_record(stack.name, to_json(Kept((gone,), {})))
    with pytest.raises(StackError, match=r"cannot be made: .*gone does not exist"):
        rollout(stack, bucket).prepare()
    assert stack.state() is None
    bucket.drop_record(stack.name)


def test_what_cloudformation_refuses_is_told(stack: Stack) -> None:
    with pytest.raises(StackError, match=f"the stack {stack.name} is refused: .*does not exist"):
        stack.prepare("UPDATE", None, {})


def test_a_failed_update_is_rolled_back_and_says_why(stack: Stack, bucket: CodeBucket) -> None:
    deployed(rollout(stack, bucket))
    wanted = rollout(stack, bucket, Policy=UNMAKEABLE)
    change_set = wanted.prepare()
    assert change_set is not None
    with pytest.raises(StackError, match=r"UPDATE_ROLLBACK_COMPLETE:\n  Policy: "):
        wanted.execute(change_set, said.append)
    assert rollout(stack, bucket).prepare() is None


UNMAKEABLE = {
    "Type": "AWS::Kinesis::ResourcePolicy",
    "Properties": {
        "ResourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/nowhere",
        "ResourcePolicy": {"Version": "2012-10-17", "Statement": []},
    },
}


def test_a_stack_whose_creation_failed_is_made_anew(stack: Stack, bucket: CodeBucket) -> None:
    wanted = rollout(stack, bucket, Policy=UNMAKEABLE)
    change_set = wanted.prepare()
    assert change_set is not None
    with pytest.raises(StackError, match="ROLLBACK_COMPLETE"):
        wanted.execute(change_set, said.append)
    again = rollout(stack, bucket)
    with pytest.raises(StackError, match="deleted first"):
        again.prepare()
    state = stack.state()
    assert state is not None
    assert state.is_unmade
    stack.delete(said.append)
    change_set = again.prepare()
    assert change_set is not None
    assert again.execute(change_set, said.append).status == "CREATE_COMPLETE"


def test_a_new_stack_takes_over_what_an_earlier_one_has_left(
    stack: Stack, bucket: CodeBucket, emulator: Emulator
) -> None:
    table = deployed(rollout(stack, bucket, {"Seconds": "40"}))["TableName"]
    emulator.client("dynamodb").put_item(TableName=table, Item={"pk": {"S": "a"}})
    state = stack.state()
    assert state is not None
    bucket.write_record(stack.name, to_json(kept(TEMPLATE, stack.resources(), state.parameters)))
    stack.delete(said.append)
    again = rollout(stack, bucket)
    change_set = again.prepare()
    assert change_set is not None
    assert [(one.kind, one.logical_id) for one in change_set.changes] == [("take over", "Table")]
    state = again.execute(change_set, said.append)
    assert state.outputs["TableName"] == table
    assert seconds_of(emulator, stack.resources()["Queue"][1]) == "40"  # with the parameters of its first life
    assert emulator.client("dynamodb").get_item(TableName=table, Key={"pk": {"S": "a"}})["Item"]
    assert bucket.read_record(stack.name) is None


PROTECTED: dict[str, Any] = {
    **TEMPLATE,
    "Parameters": {
        **TEMPLATE["Parameters"],
        "DeletionProtection": {"Type": "String", "Default": "on", "AllowedValues": ["on", "off", "later"]},
    },
    "Conditions": {**TEMPLATE["Conditions"], "IsProtected": {"Fn::Equals": [{"Ref": "DeletionProtection"}, "on"]}},
    "Resources": {
        "Queue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {"VisibilityTimeout": {"Fn::If": ["IsProtected", 1, 2]}},
        }
    },
}
"""Its queue stands for what is protected."""


@pytest.mark.parametrize(("given", "then"), [({}, "on"), ({"DeletionProtection": "off"}, "off")])
def test_a_deployment_that_was_stopped_is_ended_by_the_next_which_protects(
    stack: Stack, bucket: CodeBucket, emulator: Emulator, given: dict[str, str], then: str
) -> None:
    first = Rollout(stack, bucket, json.dumps(PROTECTED).encode(), PROTECTED, given)
    change_set = first.prepare()
    assert change_set is not None
    stack.execute(change_set, said.append)  # CloudFormation ends what it has begun, and the command does not
    again = Rollout(stack, bucket, json.dumps(PROTECTED).encode(), PROTECTED, {})
    if further := again.prepare():
        again.execute(further, said.append)
    state = stack.state()
    assert state is not None
    assert state.parameters["DeletionProtection"] == then
    assert seconds_of(emulator, stack.resources()["Queue"][1]) == {"on": "1", "off": "2"}[then]
    assert again.prepare() is None


def test_what_an_earlier_stack_has_left_is_not_forgotten_with_a_later_one_that_was_never_whole(
    stack: Stack, bucket: CodeBucket, emulator: Emulator
) -> None:
    kept_before = Kept((Imported("Table", "AWS::DynamoDB::Table", {"TableName": "before"}),), {"Seconds": "40"})
    for is_executed in (False, True):
        bucket.write_record(stack.name, to_json(kept_before))
        change_set = stack.prepare("CREATE", bucket.url(bucket.upload(UNMADE, ".template")), {})
        assert change_set is not None
        if is_executed:
            with pytest.raises(StackError, match="ROLLBACK_COMPLETE"):
                stack.execute(change_set, said.append)
        takedown = Takedown(stack, bucket, TEMPLATE, emulator, said.append)
        assert takedown.delete(with_data=False) == kept_before.resources
        assert stack.state() is None
        assert bucket.read_record(stack.name) == to_json(kept_before)
    bucket.drop_record(stack.name)


UNMADE = json.dumps({**TEMPLATE, "Resources": {"Policy": UNMAKEABLE}}).encode()


def test_a_stack_that_is_not_there_has_no_state_and_is_deleted_without_a_word(emulator: Emulator, names: Names) -> None:
    gone = Stack(emulator.client("cloudformation"), names("gone"))
    assert gone.state() is None
    gone.delete(said.append)


def test_pauses_grow_to_a_limit() -> None:
    found = pauses()
    first = [next(found) for _ in range(20)]
    assert first == sorted(first)
    assert (first[0], first[-1]) == (0.05, 3.0)
