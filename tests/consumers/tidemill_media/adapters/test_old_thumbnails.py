"""Old thumbnails are deleted, and nobody else's."""

from tidemill.contract.places import CACHED, THUMBNAILS, Photo, thumbnail_name
from tidemill_local.emulator import Emulator
from tidemill_media.adapters.old_thumbnails import OldThumbnails
from tidemill_media.indexing.outdated import Outdated

OLD, NEW = ("1" * 32, "2" * 32)


def test_those_of_older_versions_go_from_both_folders(emulator: Emulator, bucket: str) -> None:
    s3 = emulator.client("s3")
    mine, longer = Photo("ada", "content/ö 1"), Photo("ada", "content/ö 1/2")
    every = [
        thumbnail_name(photo, version, 64, "webp", prefix)
        for photo in (mine, longer, Photo("bob", mine.key))
        for version in (OLD, NEW)
        for prefix in (THUMBNAILS, CACHED)
    ]
    for name in every:
        s3.put_object(Bucket=bucket, Key=name)
    thumbnails = OldThumbnails(s3, bucket, map)
    thumbnails.delete([Outdated(mine, NEW, False)])
    left = {one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert set(every) - left == {thumbnail_name(mine, OLD, 64, "webp", prefix) for prefix in (THUMBNAILS, CACHED)}
    thumbnails.delete([Outdated(mine, NEW, True), Outdated(longer, OLD, True)])
    left = {one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert len(left) == 6
    assert not {name for name in left if f"{mine.key}/v" in name}
