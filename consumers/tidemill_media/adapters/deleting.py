"""Deletes objects, a thousand a call.

Room: adapters. Tests: tests/consumers/tidemill_media/adapters/test_index_files.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tidemill_consumers.adapters.entities import chunks

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

NAMES_PER_CALL = 1_000
"""DeleteObjects' limit."""


class Undeleted(RuntimeError):
    """S3 did not delete some objects; the batch is delivered again."""


def delete_all(s3: S3Client, bucket: str, names: Iterable[str]) -> None:
    """Delete the objects of these names; those that are not there are no error.

    Raises:
        Undeleted: S3 says so of some.
        ClientError, BotoCoreError: a call failed.
    """
    for some in chunks(names, NAMES_PER_CALL):
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": name} for name in some], "Quiet": True})
        if errors := answer.get("Errors"):
            first = errors[0]
            raise Undeleted(f"{len(errors)} objects, the first {first.get('Key')}: {first.get('Message')}")
