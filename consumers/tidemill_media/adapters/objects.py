"""Objects of the content bucket, whatever they are: listing their names, deleting them, and S3's words for one that is
not there.

Room: adapters. Tests: tests/consumers/tidemill_media/adapters/test_index_files.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tidemill_consumers.adapters.entities import chunks

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

NAMES_PER_CALL = 1_000
"""DeleteObjects' limit."""


GONE = frozenset({"NoSuchKey", "NoSuchVersion", "404", "PreconditionFailed", "412"})
"""Codes of an answer about an object, or a version, that is not there, or is another one by now."""


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


def names_below(s3: S3Client, bucket: str, prefix: str) -> Iterator[str]:
    """The names of the objects that begin with a prefix.

    Raises:
        ClientError, BotoCoreError: a call failed.
    """
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for one in page.get("Contents", ()):
            yield one["Key"]


def is_gone(error: ClientError) -> bool:
    """Whether an error says that the object is not there."""
    return code_of(error) in GONE


def code_of(error: ClientError) -> str:
    """The code of an answer that is an error."""
    return str(error.response.get("Error", {}).get("Code"))
