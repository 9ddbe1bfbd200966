"""The policies of buckets and of the topic, as deployed, held against calls by an evaluator of IAM policies.

Calls to the local platform count as encrypted on the way, so what refuses plain HTTP cannot be shown by calling it.
"""

from __future__ import annotations

import json

import pytest
from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy

from tidemill_local.deployment import Deployment
from tidemill_local.emulator import Emulator

ACCOUNT = "000000000000"


def decision(policy: str, action: str, resource: str, role: str, *, by_tls: bool = True) -> str:
    """What the policy says of a role's call."""
    call = EvalContext(
        principal_arn=role,
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=resource,
        region="us-east-1",
        source_ip="192.0.2.1",
        secure_transport=by_tls,
    )
    said: str = evaluate_resource_policy(json.loads(policy), call).decision
    return said


@pytest.mark.parametrize("output", ["ArchiveBucketName", "QuarantineBucketName", "ContentBucketName"])
@pytest.mark.parametrize(
    ("action", "beyond"),
    [("s3:GetObject", "/k"), ("s3:PutObject", "/k"), ("s3:DeleteObject", "/k"), ("s3:ListBucket", "")],
)
def test_a_bucket_refuses_plain_http_and_leaves_the_rest_to_roles(
    emulator: Emulator, deployment: Deployment, output: str, action: str, beyond: str
) -> None:
    bucket = deployment.outputs[output]
    policy = emulator.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]
    call = (policy, action, f"arn:aws:s3:::{bucket}{beyond}", f"arn:aws:iam::{ACCOUNT}:role/anybody")
    assert decision(*call, by_tls=False) == "Deny"
    assert decision(*call) == "ImplicitDeny"


def test_the_topic_takes_messages_of_the_apply_functions_role_alone_and_by_tls_alone(
    emulator: Emulator, deployment: Deployment
) -> None:
    topic = deployment.outputs["RepliesTopicArn"]
    policy = emulator.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]
    configuration = emulator.client("lambda").get_function_configuration(
        FunctionName=deployment.outputs["ApplyFunctionName"]
    )
    role = configuration["Role"]
    assert decision(policy, "sns:Publish", topic, role) == "Allow"
    assert decision(policy, "sns:Publish", topic, role, by_tls=False) == "Deny"
    assert decision(policy, "sns:Subscribe", topic, role) == "ImplicitDeny"
    assert decision(policy, "sns:Publish", topic, deployment.outputs["ClientRoleArn"]) == "ImplicitDeny"
    assert decision(policy, "sns:Publish", topic, role.replace(ACCOUNT, "999999999999")) == "ImplicitDeny"
