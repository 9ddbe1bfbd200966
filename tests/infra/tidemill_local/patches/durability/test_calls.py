"""Calls: their names are read from their requests, and those that change state are kept."""

import pytest

from tidemill_local.patches.durability.calls import Effect, action_of, effect_of, service_of


def test_a_call_is_known_by_its_header_or_its_form() -> None:
    scope = "AWS4-HMAC-SHA256 Credential=test/20261124/us-east-1/sns/aws4_request, SignedHeaders=host"
    form = {"authorization": scope, "content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert (service_of(form), action_of(form, b"Action=Publish&Message=x")) == ("sns", "Publish")
    assert action_of({"x-amz-target": "DynamoDB_20120810.PutItem"}, b"") == "PutItem"
    assert (service_of({}), action_of({}, b"")) == ("", "")


@pytest.mark.parametrize(
    ("service", "action", "path", "effect"),
    [
        ("dynamodb", "PutItem", "/", Effect(journaled=True)),
        ("dynamodb", "CreateTable", "/", Effect(journaled=True, snapshot="at once")),
        ("dynamodb", "Query", "/", Effect()),
        ("sqs", "SendMessage", "/", Effect(journaled=True)),
        ("sqs", "DeleteMessage", "/", Effect()),
        ("sns", "Publish", "/", Effect(journaled=True)),
        ("kinesis", "PutRecords", "/", Effect()),
        ("kinesis", "CreateStream", "/", Effect(snapshot="at once")),
        ("lambda", "", "/2015-03-31/functions/f/invocations", Effect()),
        ("lambda", "", "/2015-03-31/functions", Effect(snapshot="soon")),
        ("s3", "", "/bucket/key", Effect()),
        ("s3", "", "/bucket", Effect(snapshot="soon")),
        ("sts", "AssumeRole", "/", Effect()),
        ("cognito-identity", "GetId", "/", Effect(snapshot="soon")),
    ],
)
def test_what_has_to_be_kept_of_a_call(service: str, action: str, path: str, effect: Effect) -> None:
    assert effect_of(service, action, path) == effect
