"""What conditions are held against: a request tells the partition key of the item that it is about."""

from types import SimpleNamespace
from typing import Any

import pytest
from ministack.core.iam_evaluator import ParsedStatement

from tidemill_local.patches.policy_conditions import IDENTITY, as_by_tls, by_role, with_leading_key, with_own_resources


@pytest.mark.parametrize(
    ("body", "leading"),
    [
        (b'{"TableName": "t", "Key": {"pk": {"S": "ada"}}}', ["ada"]),
        (b'{"TableName": "t", "Item": {"sk": {"S": "x"}, "pk": {"N": "7"}}}', ["7"]),
        (b'{"TableName": "t", "Key": {"sk": {"S": "ada"}}}', None),
        (b'{"TableName": "t", "Key": {"pk": {}}}', None),
        (b'{"TableName": "t", "Key": []}', None),
        (b'{"TableName": "other", "Key": {"pk": {"S": "ada"}}}', None),
        (b'{"Statement": "SELECT"}', None),
        (b"[]", None),
        (b"", None),
    ],
)
def test_a_request_about_one_item_tells_its_partition_key(body: bytes, leading: list[str] | None) -> None:
    schema = [{"AttributeName": "sk", "KeyType": "RANGE"}, {"AttributeName": "pk", "KeyType": "HASH"}]
    context = with_leading_key(lambda _: {"dynamodb:Select": "ALL"}, {"t": {"KeySchema": schema}})
    assert context(body) == {"dynamodb:Select": "ALL"} | ({"dynamodb:LeadingKeys": leading} if leading else {})


def test_a_call_on_this_machine_counts_as_encrypted_on_the_way_and_nothing_else_changes() -> None:
    value = as_by_tls(lambda key, context: (key, context))
    assert value("aws:SecureTransport", "call") == "true"
    assert value("aws:PrincipalArn", "call") == ("aws:PrincipalArn", "call")


@pytest.mark.parametrize(("known", "named"), [({IDENTITY: "us-east-1:ann"}, "us-east-1:ann"), ({}, f"${{{IDENTITY}}}")])
def test_a_resource_is_named_by_the_callers_identity(known: dict[str, str], named: str) -> None:
    statement = ParsedStatement("own", "Allow", resources=[f"arn:aws:s3:::b/uploads/${{{IDENTITY}}}/*", "*"])
    found: list[Any] = []
    match = with_own_resources(lambda context, statements, effect: found.extend(statements))
    match(SimpleNamespace(principal_keys=known), [statement], "Allow")
    assert found[0].resources == [f"arn:aws:s3:::b/uploads/{named}/*", "*"]


@pytest.mark.parametrize(
    ("principal", "known"),
    [
        ("arn:aws:sts::123456789012:assumed-role/apply/session", "arn:aws:iam::123456789012:role/path/apply"),
        ("arn:aws:iam::123456789012:user/ann", "arn:aws:iam::123456789012:user/ann"),
        (None, None),
    ],
)
def test_a_session_is_known_by_its_role(principal: str | None, known: str | None) -> None:
    value = by_role(lambda _, context: context, lambda account, name: f"arn:aws:iam::{account}:role/path/{name}")
    assert value("aws:PrincipalArn", principal) == known
    assert value("aws:userid", principal) == principal
