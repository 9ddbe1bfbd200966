"""The files of the archive that came since a moment, and their lines.

Room: deploy, I/O: S3 alone. Firehose files by the hour in which a file's first record came, so the prefixes of hours
are listed, and not the whole archive.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CLOCKS_DIFFER = timedelta(minutes=15)
"""How much this machine's clock and S3's may differ, or how long the template's delivery stream may fill a file."""

GZIPPED = ".gz"


class ArchiveFiles:
    """Files of the archive, each of which is given once.

    Args:
        s3: a boto3 client.
        bucket: the archive's.
        prefix: of its files, up to the day.
        since: the moment; files that may be that old by another clock are given too.
    """

    def __init__(self, s3: S3Client, bucket: str, prefix: str, since: datetime) -> None:
        self._s3, self._bucket, self._prefix = s3, bucket, prefix
        self._since = since - CLOCKS_DIFFER
        self._given = set[str]()

    def new(self, now: datetime) -> Iterator[str]:
        """The keys of the files that came up to now and were not given yet."""
        for hour in hours(self._prefix, self._since, now + CLOCKS_DIFFER):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=hour)
            for page in pages:
                for one in page.get("Contents", ()):
                    if one["Key"] not in self._given and one["LastModified"] >= self._since:
                        self._given.add(one["Key"])
                        yield one["Key"]

    def lines(self, key: str) -> Iterator[bytes]:
        """The lines of a file, as they are read."""
        body: Any = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
        with closing(body):
            yield from gzip.GzipFile(fileobj=body) if key.endswith(GZIPPED) else body.iter_lines()


def hours(prefix: str, first: datetime, last: datetime) -> list[str]:
    """The prefixes of all hours from one moment to another, as the template's delivery stream has them."""
    begin = first.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    count = int((last - begin) / timedelta(hours=1)) + 1
    moments = [begin + timedelta(hours=number) for number in range(count)]
    return [f"{prefix}dt={one:%Y-%m-%d}/hour={one:%H}/" for one in moments]
