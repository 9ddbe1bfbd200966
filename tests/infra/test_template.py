"""infra/template.yaml: what users rely on that no emulator shows, each rule stated for all resources of a kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.tree import ROOT
from tidemill.contract.places import CACHED, UPLOADS
from tidemill_consumers.core.stage.leaving import periods_in
from tidemill_deploy.template import load

PATH = ROOT / "infra/template.yaml"
TEMPLATE = load(PATH)
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]

STATEFUL = {"AWS::Cognito::IdentityPool", "AWS::Cognito::UserPool", "AWS::Cognito::UserPoolClient"}
STATEFUL |= {"AWS::Kinesis::Stream", "AWS::S3::Bucket"}
"""Types of which each resource holds what nobody can make again, as do tables, but for one."""


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: one.get("Properties", {}) for name, one in RESOURCES.items() if one["Type"] == kind}


def test_cloudformation_takes_it_as_it_is() -> None:
    """Its parser refuses anchors and aliases, and a template of more than 1 MB."""
    events = list(yaml.parse(PATH.read_text()))
    assert not [one for one in events if isinstance(one, yaml.AliasEvent)]
    assert not [one for one in events if getattr(one, "anchor", None)]
    assert PATH.stat().st_size < 1_000_000


def test_what_cannot_be_made_again_outlives_the_stack_and_a_replacement() -> None:
    kept = {name for name, one in RESOURCES.items() if one["Type"] in STATEFUL} - {"Aggregated"}  # written again
    kept |= of_type("AWS::DynamoDB::Table").keys() - {"Deliveries"} | of_type("AWS::SQS::Queue").keys()
    policies = {name: (one.get("DeletionPolicy"), one.get("UpdateReplacePolicy")) for name, one in RESOURCES.items()}
    assert {name for name, (deletion, _) in policies.items() if deletion} == kept
    assert {policies[name] for name in kept} == {("RetainExceptOnCreate", "Retain")}


def test_what_is_kept_refuses_to_be_deleted_unless_the_parameter_says_otherwise() -> None:
    protected = {name for name, one in of_type("AWS::DynamoDB::Table").items() if "DeletionProtectionEnabled" in one}
    assert protected == {"Entities", "Devices", "ForgottenWriters"}
    assert {one["DeletionProtection"]["Fn::If"][0] for one in of_type("AWS::Cognito::UserPool").values()} == {
        "IsProtected"
    }
    assert TEMPLATE["Parameters"]["DeletionProtection"]["Default"] == "on"


def test_everything_that_is_stored_is_encrypted_by_the_users_key_if_there_is_one() -> None:
    key = {"Ref": "KeyArn"}

    def chosen(value: Any, otherwise: Any) -> bool:
        return bool(value == {"Fn::If": ["HasKey", key, otherwise]})

    none = {"Ref": "AWS::NoValue"}
    for stream in of_type("AWS::Kinesis::Stream").values():
        assert chosen(stream["StreamEncryption"]["KeyId"], "alias/aws/kinesis")
    topic = of_type("AWS::SNS::Topic")["Replies"]
    assert chosen(topic["KmsMasterKeyId"], "alias/aws/sns")
    (secret,) = of_type("AWS::SecretsManager::Secret").values()
    assert chosen(secret["KmsKeyId"], none)
    for table in of_type("AWS::DynamoDB::Table").values():
        assert table["SSESpecification"]["Fn::If"][1]["KMSMasterKeyId"] == key
    for bucket in of_type("AWS::S3::Bucket").values():
        (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert chosen(rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"], none)


def test_policies_of_resources_name_the_account_and_the_role_in_a_condition() -> None:
    """SNS refuses a policy whose principal is a role that IAM has just made; conditions are compared with each call."""
    policy = RESOURCES["RepliesPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    allow, deny = policy
    assert allow["Principal"] == {"AWS": {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"}}
    assert allow["Condition"] == {"ArnEquals": {"aws:PrincipalArn": {"Fn::GetAtt": ["ApplyRole", "Arn"]}}}
    assert (allow["Action"], deny["Effect"]) == ("sns:Publish", "Deny")
    assert "Role" not in str([one["PolicyDocument"] for one in of_type("AWS::S3::BucketPolicy").values()])


def test_each_role_that_touches_what_is_stored_may_use_that_key() -> None:
    for name in (
        "ApplyRole",
        "DirectRole",
        "SweepRole",
        "MediaRole",
        "ThumbnailRole",
        "IndexRole",
        "ArchiveRole",
        "ClientRole",
    ):
        statements = [one for one in statements_of(name) if one.get("Sid") == "UseKey"]
        assert [one["Resource"] for one in statements] == [{"Ref": "KeyArn"}], name


def statements_of(role: str) -> Iterator[dict[str, Any]]:
    """A role's statements; of those that depend on a condition, the one if it holds."""
    for policy in RESOURCES[role]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def test_buckets_are_closed_to_the_public_and_to_plain_http_and_keep_what_is_overwritten() -> None:
    policies = {one["Bucket"]["Ref"]: one["PolicyDocument"] for one in of_type("AWS::S3::BucketPolicy").values()}
    buckets = of_type("AWS::S3::Bucket")
    assert policies.keys() == buckets.keys()
    for name, bucket in buckets.items():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {"true"} or all(
            bucket["PublicAccessBlockConfiguration"].values()
        )
        (deny,) = policies[name]["Statement"]
        assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "s3:*")
        assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert len(deny["Resource"]) == 2
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        rules = {one["Id"]: one for one in bucket["LifecycleConfiguration"]["Rules"]}
        noncurrent = rules["noncurrent-versions"]["NoncurrentVersionExpiration"]["NoncurrentDays"]
        assert noncurrent == {"Ref": "NoncurrentDays"}


def test_every_log_group_has_a_retention_and_every_function_one_of_its_own() -> None:
    groups = of_type("AWS::Logs::LogGroup")
    assert all(one["RetentionInDays"] == {"Ref": "LogRetentionDays"} for one in groups.values())
    used = []
    for function in of_type("AWS::Serverless::Function").values():
        logging = function["LoggingConfig"]
        # Metrics are lines without a level, which Lambda takes for INFO: a higher level would lose them.
        assert (logging["LogFormat"], logging["ApplicationLogLevel"]) == ("JSON", "INFO")
        used.append(logging["LogGroup"]["Ref"])
    (archive,) = of_type("AWS::KinesisFirehose::DeliveryStream").values()
    errors = archive["ExtendedS3DestinationConfiguration"]["CloudWatchLoggingOptions"]
    used.append(errors["LogGroupName"]["Ref"])
    used.append(of_type("AWS::Logs::LogStream")["StageLogStream"]["LogGroupName"]["Ref"])
    assert sorted(used) == sorted(groups)


def test_nothing_is_applied_and_no_client_may_send_before_the_archive_reads() -> None:
    """Firehose begins at the end that the stream has then."""
    assert RESOURCES["ApplyFromRequests"]["DependsOn"] == RESOURCES["ApplyFromAggregated"]["DependsOn"] == "Archive"
    assert RESOURCES["ClientRole"]["DependsOn"] == "Archive"
    senders = [
        name
        for name, one in RESOURCES.items()
        if one["Type"] == "AWS::IAM::Role"
        and any(is_put(statement) for statement in statements_of(name))
        and name
        not in (
            "ApplyRole",
            "DirectRole",
            "MediaRole",
            "StageRole",  # to its own stream
        )  # what emits after something was applied, or a client could upload
    ]
    assert senders == ["ClientRole"]


def is_put(statement: dict[str, Any]) -> bool:
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    return any(one.startswith("kinesis:Put") for one in actions)


def test_no_secret_is_a_variable_of_a_function() -> None:
    hidden = {name for name, one in TEMPLATE["Parameters"].items() if "NoEcho" in one}
    assert hidden == {"ApplicationSecret"}
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert not [name for name, value in variables.items() if any(one in str(value) for one in hidden)]


def test_a_stream_on_demand_is_told_to_place_records_by_their_key() -> None:
    # CloudFormation's schema: "This property can ONLY be set when StreamMode is ON_DEMAND".
    strategy = {"Fn::If": ["IsProvisioned", {"Ref": "AWS::NoValue"}, "USER_PARTITION_KEY"]}
    for stream in of_type("AWS::Kinesis::Stream").values():
        assert stream["RecordDistributionStrategy"] == strategy


@pytest.mark.parametrize("function", ["Direct", "Media", "Thumbnail"])
def test_a_rush_on_another_function_leaves_the_apply_function_its_concurrency(function: str) -> None:
    limit = RESOURCES[function]["Properties"]["ReservedConcurrentExecutions"]
    limited, parameter = f"Is{function}Limited", f"{function}Concurrency"
    assert limit == {"Fn::If": [limited, {"Ref": parameter}, {"Ref": "AWS::NoValue"}]}
    assert 0 < int(TEMPLATE["Parameters"][parameter]["Default"]) <= 100


def test_cached_thumbnails_expire_and_no_other_photo_does() -> None:
    rules = {one["Id"]: one for one in RESOURCES["ContentBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]}
    assert rules["cached-thumbnails"]["Prefix"] == CACHED
    assert rules["cached-thumbnails"]["ExpirationInDays"] == {"Ref": "CachedThumbnailDays"}
    assert {one["Prefix"] for one in rules.values() if "ExpirationInDays" in one} == {CACHED, UPLOADS}


def test_routes_are_for_those_alone_who_sign() -> None:
    routes = of_type("AWS::ApiGatewayV2::Route")
    assert {name: one["RouteKey"] for name, one in routes.items()} == {
        "DirectRoute": "POST /requests",
        "ThumbnailsRoute": "GET /thumbnails/{proxy+}",
    }
    assert {one["AuthorizationType"] for one in routes.values()} == {"AWS_IAM"}


NAMELESS = {"xray:PutSpans", "xray:PutSpansForIndexing", "xray:PutTraceSegments"}
"""Actions of no resource type: "If there is no value for this column, you must specify all resources ("*") to which the
policy applies in the Resource element of your policy statement."
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html"""


@pytest.mark.parametrize("role", [name for name, one in RESOURCES.items() if one["Type"] == "AWS::IAM::Role"])
def test_no_role_may_do_anything_to_everything(role: str) -> None:
    for statement in statements_of(role):
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not [one for one in actions if one.endswith("*")], statement
        assert statement["Resource"] != "*" or NAMELESS.issuperset(actions), statement


def test_sign_up_ends_with_an_address_that_was_proved() -> None:
    (pool,) = of_type("AWS::Cognito::UserPool").values()
    assert pool["UsernameAttributes"] == pool["AutoVerifiedAttributes"] == ["email"]
    assert pool["UserAttributeUpdateSettings"] == {"AttributesRequireVerificationBeforeUpdate": ["email"]}
    assert pool["UsernameConfiguration"]["CaseSensitive"] in (False, "false")


def test_without_an_analytics_stage_nothing_of_it_is_there() -> None:
    assert TEMPLATE["Parameters"]["Analytics"]["Default"] == "off"
    assert TEMPLATE["Parameters"]["AnalyticsPeriods"]["Default"] == ""
    of_stage = {name: one.get("Condition") for name, one in RESOURCES.items() if {"Aggregated", "Stage"} & words(name)}
    assert [name for name, condition in of_stage.items() if condition == "HasAnalytics"] == [
        "Aggregated",
        "ApplyFromAggregated",
    ]
    assert set(of_stage.values()) == {"HasAnalytics", "HasStage"}
    assert TEMPLATE["Conditions"]["HasStage"]["Fn::And"][0] == {"Condition": "HasAnalytics"}


def words(name: str) -> set[str]:
    """A resource's name: ThumbnailsStage and DirectStage are of HTTP APIs."""
    return set(re.findall("[A-Z][a-z]+", name.replace("ThumbnailsStage", "").replace("DirectStage", "")))


def test_the_stage_may_read_requests_put_totals_and_nothing_else() -> None:
    allowed = {one["Sid"]: one for one in statements_of("StageRole")}
    on = {sid: one["Resource"]["Fn::GetAtt"][0] for sid, one in allowed.items() if "Fn::GetAtt" in str(one["Resource"])}
    assert on == {"ReadRequests": "Requests", "PutTotals": "Aggregated"}
    writes = {sid for sid, one in allowed.items() if "Put" in str(one["Action"])}
    assert writes == {"PutTotals", "Log"}
    assert allowed["ReadCode"]["Resource"] == {
        "Fn::Sub": "arn:${AWS::Partition}:s3:::${CodeBucket}/${AnalyticsCodeKey}"
    }


def test_nobody_but_the_stage_may_put_totals() -> None:
    """A refusal by the stream holds for every identity; while the stack is taken down, its probes are let in."""
    (statement,) = RESOURCES["AggregatedPolicy"]["Properties"]["ResourcePolicy"]["Statement"]
    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert set(statement["Action"]) == {"kinesis:PutRecord", "kinesis:PutRecords"}
    but = statement["Condition"]["ArnNotLike"]["aws:PrincipalArn"]["Fn::If"]
    assert but == [
        "IsDrained",
        {"Fn::Split": [",", {"Fn::Sub": "${StageRole.Arn},${DrainedBy}"}]},
        {"Fn::GetAtt": ["StageRole", "Arn"]},
    ]
    may_put = [
        role
        for role in of_type("AWS::IAM::Role")
        for one in statements_of(role)
        if "kinesis:Put" in str(one["Action"]) and "Aggregated" in str(one["Resource"])
    ]
    assert may_put == ["StageRole"]


def test_both_streams_are_applied_alike() -> None:
    """The mappings of the two streams: a shard's batches come one by one, and no record is ever given up."""
    mappings = [dict(RESOURCES[f"ApplyFrom{name}"]["Properties"]) for name in ("Requests", "Aggregated")]
    assert [one.pop("EventSourceArn")["Fn::GetAtt"][0] for one in mappings] == ["Requests", "Aggregated"]
    assert mappings[0] == mappings[1]


@pytest.mark.parametrize(
    ("setting", "is_taken"),
    [("", True), ("1764000000-", True), ("1764000000-1764003600,1764090000-", True), ("now", False), ("1-2,", False)],
)
def test_the_stages_periods_are_written_as_the_functions_read_them(setting: str, is_taken: bool) -> None:
    allowed = re.fullmatch(TEMPLATE["Parameters"]["AnalyticsPeriods"]["AllowedPattern"], setting)
    assert (allowed is not None) == is_taken
    if is_taken:
        periods_in(setting)
    else:
        with pytest.raises(ValueError, match="the stage's periods"):
            periods_in(setting)
