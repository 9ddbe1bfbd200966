"""The bucket's events for the tests, in the form that AWS documents.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

from typing import Any

from tidemill.contract.places import photo_name

AT = "2026-05-01T12:00:00Z"
AT_MS = 1_777_636_800_000


def _event(detail_type: str, bucket: str, stored: dict[str, Any], **more: str) -> dict[str, Any]:
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": detail_type,
        "source": "aws.s3",
        "account": "111122223333",
        "time": AT,
        "region": "ca-central-1",
        "resources": [f"arn:aws:s3:::{bucket}"],
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": stored,
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": "123456789012",
            "source-ip-address": "1.2.3.4",
            **more,
        },
    }


def created(
    sequencer: str,
    version_id: str = "v",
    *,
    bucket: str = "content",
    name: str = photo_name("ann", "content/1"),
    etag: str = "b1946ac92492d2347c6235b4d2611184",
    size: int = 5,
) -> dict[str, Any]:
    stored = {"key": name, "size": size, "etag": etag, "version-id": version_id, "sequencer": sequencer}
    return _event("Object Created", bucket, stored, reason="PutObject")


def deleted(
    sequencer: str,
    version_id: str = "v",
    *,
    bucket: str = "content",
    name: str = photo_name("ann", "content/1"),
    for_good: bool = False,
) -> dict[str, Any]:
    stored = {"key": name, "etag": "d41d8cd98f00b204e9800998ecf8427e", "version-id": version_id, "sequencer": sequencer}
    how = "Permanently Deleted" if for_good else "Delete Marker Created"
    reason = "Lifecycle Expiration" if for_good else "DeleteObject"
    return _event("Object Deleted", bucket, stored, **{"reason": reason, "deletion-type": how})
