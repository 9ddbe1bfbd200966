"""Deletes what a stack has kept: the stream, tables, buckets with all that they hold, and the pools.

Room: deploy, I/O. What is gone already is no error, so that it can be done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from botocore.exceptions import ClientError

from tidemill_deploy.stack.stack import Imported, Say

KEYS_A_CALL = 1_000
"""DeleteObjects' limit."""

RESHARDED = {"Delay": 5, "MaxAttempts": 360}
"""Half an hour, until a stream whose shards are being changed can be deleted."""

_GONE = ("ResourceNotFoundException", "NoSuchBucket", "404")


class Clients(Protocol):
    """Where the resources are."""

    def client(self, service: str) -> Any:
        """The boto3 client of `service`."""


def remove(resource: Imported, clients: Clients, say: Say) -> None:
    """Delete the resource and all that it holds.

    Raises:
        ClientError, BotoCoreError: it cannot be deleted.
    """
    delete = _DELETE.get(resource.type)
    if delete is None:
        return
    say(f"deleting {resource.logical_id} ({', '.join(resource.identifier.values())})")
    try:
        delete(clients, resource.identifier)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _GONE:
            raise


def _stream(clients: Clients, of: Mapping[str, str]) -> None:
    kinesis = clients.client("kinesis")
    if kinesis.describe_stream_summary(StreamName=of["Name"])["StreamDescriptionSummary"]["StreamStatus"] == "UPDATING":
        kinesis.get_waiter("stream_exists").wait(StreamName=of["Name"], WaiterConfig=RESHARDED)
    kinesis.delete_stream(StreamName=of["Name"], EnforceConsumerDeletion=True)


def _table(clients: Clients, of: Mapping[str, str]) -> None:
    dynamodb, name = clients.client("dynamodb"), of["TableName"]
    if dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
        dynamodb.get_waiter("table_exists").wait(TableName=name)
    dynamodb.delete_table(TableName=name)


def _bucket(clients: Clients, of: Mapping[str, str]) -> None:
    s3, name = clients.client("s3"), of["BucketName"]
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        every = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found]
        for first in range(0, len(every), KEYS_A_CALL):
            answer = s3.delete_objects(
                Bucket=name, Delete={"Objects": every[first : first + KEYS_A_CALL], "Quiet": True}
            )
            if errors := answer.get("Errors"):
                raise ClientError({"Error": errors[0]}, "DeleteObjects")
    s3.delete_bucket(Bucket=name)


def _user_pool(clients: Clients, of: Mapping[str, str]) -> None:
    cognito, pool = clients.client("cognito-idp"), of["UserPoolId"]
    if cognito.describe_user_pool(UserPoolId=pool)["UserPool"].get("DeletionProtection") == "ACTIVE":
        cognito.update_user_pool(UserPoolId=pool, DeletionProtection="INACTIVE")
    cognito.delete_user_pool(UserPoolId=pool)


def _identity_pool(clients: Clients, of: Mapping[str, str]) -> None:
    clients.client("cognito-identity").delete_identity_pool(IdentityPoolId=of["Id"])


_DELETE: Mapping[str, Callable[[Clients, Mapping[str, str]], None]] = {
    "AWS::Kinesis::Stream": _stream,
    "AWS::DynamoDB::Table": _table,
    "AWS::S3::Bucket": _bucket,
    "AWS::Cognito::UserPool": _user_pool,  # its client goes with it
    "AWS::Cognito::IdentityPool": _identity_pool,
}
