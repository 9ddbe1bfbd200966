"""What is kept of a stack is deleted with all that it holds, though it is protected, and twice is no error."""

from typing import Any

import pytest

from tests.conftest import Names
from tidemill_deploy.stack.removing import remove
from tidemill_deploy.stack.stack import Imported
from tidemill_local.emulator import Emulator


def removed(emulator: Emulator, kind: str, **identifier: str) -> list[str]:
    said: list[str] = []
    for _ in range(2):
        remove(Imported("It", kind, identifier), emulator, said.append)
    return said


def test_a_protected_table(emulator: Emulator, names: Names) -> None:
    dynamodb, name = emulator.client("dynamodb"), names("table")
    dynamodb.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
        DeletionProtectionEnabled=True,
    )
    said = removed(emulator, "AWS::DynamoDB::Table", TableName=name)
    assert said[0] == f"deleting It ({name})"
    with pytest.raises(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.describe_table(TableName=name)


def test_a_bucket_with_versions(emulator: Emulator, names: Names) -> None:
    s3, name = emulator.client("s3"), names("bucket")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket=name, Key="a", Body=body)
    s3.delete_object(Bucket=name, Key="a")
    removed(emulator, "AWS::S3::Bucket", BucketName=name)
    assert name not in [one["Name"] for one in s3.list_buckets()["Buckets"]]


def test_a_stream_with_a_consumer(emulator: Emulator, names: Names) -> None:
    kinesis, name = emulator.client("kinesis"), names("stream")
    kinesis.create_stream(StreamName=name, ShardCount=1)
    arn = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamARN"]
    kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="reader")
    removed(emulator, "AWS::Kinesis::Stream", Name=name)
    assert name not in kinesis.list_streams()["StreamNames"]


def test_a_protected_user_pool_and_its_client_and_an_identity_pool(emulator: Emulator, names: Names) -> None:
    users, identities = emulator.client("cognito-idp"), emulator.client("cognito-identity")
    pool: Any = users.create_user_pool(PoolName=names("pool"), DeletionProtection="ACTIVE")["UserPool"]
    app: Any = users.create_user_pool_client(UserPoolId=pool["Id"], ClientName="app")["UserPoolClient"]
    made = identities.create_identity_pool(IdentityPoolName=names("pool"), AllowUnauthenticatedIdentities=False)
    removed(emulator, "AWS::Cognito::UserPoolClient", UserPoolId=pool["Id"], ClientId=app["ClientId"])
    removed(emulator, "AWS::Cognito::UserPool", UserPoolId=pool["Id"])
    removed(emulator, "AWS::Cognito::IdentityPool", Id=made["IdentityPoolId"])
    assert pool["Id"] not in [one["Id"] for one in users.list_user_pools(MaxResults=60)["UserPools"]]
    left = identities.list_identity_pools(MaxResults=60)["IdentityPools"]
    assert made["IdentityPoolId"] not in [one["IdentityPoolId"] for one in left]
