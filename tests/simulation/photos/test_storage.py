"""The bucket in memory does what S3's pages say, where correctness rests on it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.simulation.photos.bus import event_of
from tests.simulation.photos.orders import Steps
from tests.simulation.photos.storage import BUCKET, Storage, Version
from tests.simulation.world import World


class Quiet(World):
    """A world whose calls take no time."""

    def sleep(self, seconds: float) -> None:
        """Pass the time."""
        self.leap(seconds)


@pytest.fixture
def storage() -> Storage:
    return Storage(Quiet(1, 0.0))


def put(storage: Storage, name: str, body: bytes, **conditions: str) -> str:
    asked: Any = {"Key": name, "Body": body, **conditions}
    etag: str = storage.put_object(Bucket=BUCKET, **asked)["ETag"]
    return etag


def refusal(failing: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response: Any = failing.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_condition_is_of_the_current_version(storage: Storage) -> None:
    first = put(storage, "a", b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as taken:
        put(storage, "a", b"2", IfNoneMatch="*")
    assert refusal(taken) == ("PreconditionFailed", 412)
    put(storage, "a", b"2", IfMatch=first)
    with pytest.raises(ClientError) as changed:
        put(storage, "a", b"3", IfMatch=first)
    assert refusal(changed) == ("PreconditionFailed", 412)
    storage.delete_object(Bucket=BUCKET, Key="a")
    with pytest.raises(ClientError) as gone:
        put(storage, "a", b"3", IfMatch=first)
    assert refusal(gone) == ("NoSuchKey", 404)
    put(storage, "a", b"4", IfNoneMatch="*")
    assert storage.bodies("") == {"a": b"4"}


def test_a_deleted_object_keeps_its_versions(storage: Storage) -> None:
    storage.put("a", b"1")
    storage.delete("a")
    (first,) = storage.list_object_versions(Bucket=BUCKET)["Versions"]
    with pytest.raises(storage.exceptions.NoSuchKey):
        storage.get_object(Bucket=BUCKET, Key="a")
    assert storage.get_object(Bucket=BUCKET, Key="a", VersionId=first["VersionId"])["Body"].read() == b"1"
    storage.delete("a", first["VersionId"])
    assert [one.body for one in storage.versions["a"]] == [None]


def test_sequencers_grow_when_padded_on_the_right_and_not_as_numbers(storage: Storage) -> None:
    sequencers = [storage.put("a", b"1").sequencer for _ in range(200)]
    padded = [one.lower().ljust(20, "0") for one in sequencers]
    assert all(one < after for one, after in pairwise(padded))
    numbers = [int(one, 16) for one in sequencers]
    assert sum(one > after for one, after in pairwise(numbers)) > 20


def test_lists_come_in_pages() -> None:
    world = Quiet(1, 1e-9)
    storage = Storage(world)
    for name in ("b", "a", "c"):
        for body in (b"1", b"2"):
            storage.put(name, body)
    storage.delete("b")
    objects = [
        one["Key"]
        for page in storage.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        for one in page.get("Contents", ())
    ]
    assert objects == ["a", "c"]
    pages = [*storage.get_paginator("list_object_versions").paginate(Bucket=BUCKET)]
    assert [one["Key"] for page in pages for one in page.get("Versions", ())] == ["a", "a", "b", "b", "c", "c"]
    assert [one["Key"] for page in pages for one in page.get("DeleteMarkers", ())] == ["b"]


def test_a_notification_has_the_form_of_eventbridge() -> None:
    told: list[tuple[str, str, Version]] = []
    storage = Storage(Steps(None), lambda *what: told.append(what))
    storage.put("photos/ann/content/1", b"12345")
    storage.delete("photos/ann/content/1")
    created, deleted = (event_of(*what) for what in told)
    assert (created["detail-type"], created["source"]) == ("Object Created", "aws.s3")
    assert created["detail"]["bucket"] == {"name": BUCKET}
    assert created["detail"]["object"] == {
        "key": "photos/ann/content/1",
        "size": 5,
        "etag": "827ccb0eea8a706c4c34a16891f84e7b",
        "version-id": told[0][2].id,
        "sequencer": told[0][2].sequencer,
    }
    assert deleted["detail"]["deletion-type"] == "Delete Marker Created"
    assert "size" not in deleted["detail"]["object"]
