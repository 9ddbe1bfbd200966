"""Deletes the thumbnails that nobody needs any more, and those that were made of the same photos when asked for.

Room: adapters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tidemill.contract.places import CACHED, THUMBNAILS, thumbnails_prefix
from tidemill_consumers.adapters.calls import MapCalls
from tidemill_media.adapters.objects import delete_all, names_below
from tidemill_media.indexing.outdated import Outdated

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


class OldThumbnails:
    """The thumbnails in the content bucket, by what they are of.

    Args:
        s3: a boto3 S3 client.
        bucket: the content bucket.
        calls: makes several calls.
    """

    def __init__(self, s3: S3Client, bucket: str, calls: MapCalls) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._map = calls

    def delete(self, outdated: Sequence[Outdated]) -> None:
        """Delete these thumbnails, as far as they are there: two calls for each photo, and one for a thousand of them.

        Raises:
            Undeleted: S3 says so of some.
            ClientError, BotoCoreError: a call failed.
        """
        wanted = [(one, prefix) for one in outdated for prefix in (THUMBNAILS, CACHED)]
        delete_all(self._s3, self._bucket, [name for names in self._map(self._names, wanted) for name in names])

    def _names(self, wanted: tuple[Outdated, str]) -> list[str]:
        outdated, prefix = wanted
        begin = thumbnails_prefix(outdated.photo, prefix)
        names = names_below(self._s3, self._bucket, begin)
        return [name for name in names if outdated.holds(name.removeprefix(begin).partition("/")[0])]
