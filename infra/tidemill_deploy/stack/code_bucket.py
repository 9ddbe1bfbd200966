"""The bucket for what a deployment uploads: functions' code and templates under their hashes, and a record of what was
kept of a stack.

Room: deploy, I/O: S3 alone. One bucket an account and region, made when it is needed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_MISSING = ("404", "NoSuchKey", "NotFound")

_HOME = "us-east-1"
"""The region whose buckets name none."""


class CodeBucket:
    """The bucket of an account and region.

    Args:
        s3: a boto3 client.
        account: its number; a bucket of the same name in somebody else's account is refused.
        region: its name.
    """

    def __init__(self, s3: S3Client, account: str, region: str) -> None:
        self._s3 = s3
        self._region = region
        self._owner: Any = {"ExpectedBucketOwner": account}
        self.name = f"tidemill-code-{account}-{region}"

    def exists(self) -> bool:
        """Whether it was made.

        Raises:
            ClientError: it is somebody else's, or S3 cannot be asked.
        """
        try:
            self._s3.head_bucket(Bucket=self.name, **self._owner)
        except ClientError as error:
            if error.response["Error"]["Code"] in (*_MISSING, "NoSuchBucket"):
                return False
            raise
        return True

    def make(self) -> None:
        """Make it, closed to the public, unless it exists."""
        if self.exists():
            return
        place: Any = {"CreateBucketConfiguration": {"LocationConstraint": self._region}}
        self._s3.create_bucket(Bucket=self.name, **(place if self._region != _HOME else {}))
        closed: Any = dict.fromkeys(
            ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
        )
        self._s3.put_public_access_block(Bucket=self.name, PublicAccessBlockConfiguration=closed)

    def upload(self, contents: bytes, suffix: str) -> str:
        """Upload the contents under their hash, unless they are there; the key."""
        key = f"{hashlib.sha256(contents).hexdigest()}{suffix}"
        try:
            self._s3.head_object(Bucket=self.name, Key=key, **self._owner)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _MISSING:
                raise
            self._s3.put_object(Bucket=self.name, Key=key, Body=contents, **self._owner)
        return key

    def url(self, key: str) -> str:
        """The address that CloudFormation takes a template from."""
        host = self._s3.meta.endpoint_url
        return f"{host.rstrip('/')}/{self.name}/{key}"

    def record_of(self, stack: str) -> str:
        """Where the record of a stack is, for people."""
        return f"s3://{self.name}/{_record(stack)}"

    def read_record(self, stack: str) -> bytes | None:
        """The record of what was kept of a stack; None if there is none."""
        try:
            found = self._s3.get_object(Bucket=self.name, Key=_record(stack), **self._owner)
        except ClientError as error:
            if error.response["Error"]["Code"] in (*_MISSING, "NoSuchBucket"):
                return None
            raise
        return found["Body"].read()

    def write_record(self, stack: str, record: bytes) -> None:
        """Write the record of what is kept of a stack."""
        self._s3.put_object(Bucket=self.name, Key=_record(stack), Body=record, **self._owner)

    def drop_record(self, stack: str) -> None:
        """Delete the record."""
        self._s3.delete_object(Bucket=self.name, Key=_record(stack), **self._owner)


def _record(stack: str) -> str:
    return f"kept/{stack}.json"
