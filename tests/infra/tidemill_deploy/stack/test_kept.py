import pytest

from tidemill_deploy.stack.kept import Kept, NotKept, from_json, importing, kept, to_json
from tidemill_deploy.stack.stack import Imported
from tidemill_deploy.template import load, template_path

TABLE = Imported("Entities", "AWS::DynamoDB::Table", {"TableName": "shop-Entities-1"})
CLIENT = Imported("App", "AWS::Cognito::UserPoolClient", {"UserPoolId": "pool-1", "ClientId": "client-1"})
TEMPLATE = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Transform": "AWS::Serverless-2016-10-31",
    "Parameters": {"Hours": {"Type": "Number"}},
    "Conditions": {"Open": {"Fn::Equals": [{"Ref": "Hours"}, 24]}},
    "Outputs": {"Table": {"Value": {"Ref": "Entities"}}},
    "Resources": {
        "Entities": {"Type": "AWS::DynamoDB::Table", "DeletionPolicy": "RetainExceptOnCreate", "DependsOn": ["Role"]},
        "Users": {"Type": "AWS::Cognito::UserPool", "DeletionPolicy": "Retain"},
        "App": {
            "Type": "AWS::Cognito::UserPoolClient",
            "DeletionPolicy": "Retain",
            "Properties": {"UserPoolId": {"Ref": "Users"}},
        },
        "Deliveries": {"Type": "AWS::DynamoDB::Table"},
        "Role": {"Type": "AWS::IAM::Role", "DeletionPolicy": "Retain"},
    },
}
RESOURCES = {
    "Entities": ("AWS::DynamoDB::Table", "shop-Entities-1"),
    "Users": ("AWS::Cognito::UserPool", "pool-1"),
    "App": ("AWS::Cognito::UserPoolClient", "client-1"),
    "Deliveries": ("AWS::DynamoDB::Table", "shop-Deliveries-1"),
    "Role": ("AWS::IAM::Role", "shop-Role-1"),
}


def test_resources_that_are_retained_and_can_be_taken_over_are_kept_with_their_identifiers() -> None:
    users = Imported("Users", "AWS::Cognito::UserPool", {"UserPoolId": "pool-1"})
    assert kept(TEMPLATE, RESOURCES, {}).resources == (CLIENT, TABLE, users)


def test_parameters_are_kept_but_for_secret_ones() -> None:
    assert kept(TEMPLATE, RESOURCES, {"Hours": "48", "Secret": "****"}).parameters == {"Hours": "48"}


def test_a_record_is_read_as_it_was_written() -> None:
    left = Kept((CLIENT, TABLE), {"Hours": "48"})
    assert from_json(to_json(left), "s3://code/kept/shop.json") == left


NAMELESS = b'{"parameters": {}, "resources": [{"logical_id": "T", "type": "AWS::DynamoDB::Table", "identifier": {}}]}'
"""Whoever deletes it would not know what."""


@pytest.mark.parametrize("record", [b"", b"{}", b"[]", b'{"resources": [{}]}', b'{"resources": []}', b"1", NAMELESS])
def test_what_is_no_record_is_refused(record: bytes) -> None:
    with pytest.raises(NotKept, match=r"what was kept, s3://code/kept/shop\.json, cannot be read"):
        from_json(record, "s3://code/kept/shop.json")


def test_the_importing_template_has_these_resources_and_neither_outputs_nor_transforms() -> None:
    found = importing(TEMPLATE, (TABLE,))
    assert sorted(found) == ["AWSTemplateFormatVersion", "Conditions", "Parameters", "Resources"]
    assert sorted(found["Resources"]) == ["Entities"]
    assert "DependsOn" not in found["Resources"]["Entities"]


@pytest.mark.parametrize(
    ("resource", "problem"),
    [
        (Imported("Gone", "AWS::DynamoDB::Table", {}), "keeps no Gone"),
        (Imported("Entities", "AWS::S3::Bucket", {}), "keeps no Entities of type AWS::S3::Bucket"),
        (Imported("Deliveries", "AWS::DynamoDB::Table", {}), "keeps no Deliveries"),
        (CLIENT, "App refers to Users"),
    ],
)
def test_what_the_template_cannot_take_over_is_named(resource: Imported, problem: str) -> None:
    with pytest.raises(NotKept, match=problem):
        importing(TEMPLATE, (resource,))


def test_the_projects_template_can_take_over_all_that_it_keeps() -> None:
    template = load(template_path())
    resources = {name: (body["Type"], f"made-{name}") for name, body in template["Resources"].items()}
    found = kept(template, resources, {}).resources
    assert {one.type for one in found} >= {"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Kinesis::Stream"}
    assert {one.type for one in found} >= {"AWS::Cognito::UserPool", "AWS::Cognito::IdentityPool"}
    assert sorted(importing(template, found)["Resources"]) == sorted(one.logical_id for one in found)
