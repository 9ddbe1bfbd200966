"""Puts objects into a bucket, and retries until they are stored.

Room: local platform, I/O.
Tests: tests/infra/tidemill_local/firehose/test_delivery_stream.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from types_boto3_s3 import S3Client

    from tidemill_local.firehose.buffering import S3Object
    from tidemill_local.firehose.troubles import Troubles

FIRST_RETRY_SECONDS = 0.1
LONGEST_RETRY_SECONDS = 10.0


class GaveUp(Exception):
    """An object is not stored, because the writer was told to give up."""


class ObjectWriter:
    """Stores objects, and tries each again until it is stored.

    Args:
        s3: a boto3 S3 client.
        bucket: the bucket's name.
        giving_up: set to end all retries.
        troubles: records that a put fails.
    """

    def __init__(self, s3: S3Client, bucket: str, giving_up: threading.Event, troubles: Troubles) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._giving_up = giving_up
        self._troubles = troubles

    def put(self, item: S3Object) -> None:
        """Store one object. Each attempt has the same key, so a repeated put makes no second copy.

        Raises:
            GaveUp: `giving_up` was set before it was stored.
        """
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                self._s3.put_object(Bucket=self._bucket, Key=item.key, Body=item.body)
            except Exception as error:  # any error: records that were read and not stored would be lost
                self._troubles.begin("put", error)
                if self._giving_up.wait(delay):
                    raise GaveUp from error
                delay = min(2 * delay, LONGEST_RETRY_SECONDS)
            else:
                self._troubles.end("put")
                return
