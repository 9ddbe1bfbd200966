"""The contents of the demo's stores: documents, quarantine and archive.

Room: command line, I/O. tests/e2e/test_demo.py holds it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidemill_consumers.core.batch import State
    from tidemill_local.platform import Platform


def copy_archive(platform: Platform, folder: Path) -> None:
    """Copy the archive's files."""
    from tidemill_event_source.files import naming

    s3, bucket = platform.emulator.client("s3"), platform.outputs["ArchiveBucketName"]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            path = folder / entry["Key"]
            with naming(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())


def documents(platform: Platform) -> dict[str, State]:
    """The document of each entity, by its key."""
    from tidemill_consumers.codec.items import from_item

    pages = platform.emulator.client("dynamodb").get_paginator("scan")
    found = pages.paginate(TableName=platform.outputs["TableName"], ConsistentRead=True)
    return {entity.key: entity.document for page in found for entity in map(from_item, page["Items"])}


def quarantined(platform: Platform) -> set[bytes]:
    """The payloads in the quarantine."""
    from tidemill_consumers.adapters.quarantine import read

    s3, bucket = platform.emulator.client("s3"), platform.outputs["QuarantineBucketName"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    every = (read(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys)
    return {part.payload for kept in every for part in kept.all_parts}
