"""Objects in a bucket that keeps versions: stored once, put again if the sweep may be at them, and failures told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from tidemill_consumers.adapters.content.objects import ObjectStore
from tidemill_consumers.core.batch import Blob, Entity, Object, Position, Write, ref
from tidemill_local.emulator import Emulator

Clients: TypeAlias = Callable[[str], Any]
Stub: TypeAlias = Callable[[str], tuple[Any, Stubber]]

HOUR = 3_600.0


def made(*blobs: Blob) -> tuple[Object, ...]:
    return tuple(Object(ref(one)["object"], one.data, one.content_type) for one in blobs)


def write(key: str, *blobs: Blob) -> Write:
    return Write(key, 0, Entity(key, 1), Position(1, 0), (), (), None, objects=made(*blobs))


PICTURE, OTHER = Blob(b"picture", "image/png"), Blob(b"other")
NAME = ref(PICTURE)["object"]


@pytest.fixture
def versions(emulator: Emulator, content_bucket: str) -> Callable[[], list[str]]:
    """The names of all versions in the bucket."""
    s3 = emulator.client("s3")
    return lambda: [one["Key"] for one in s3.list_object_versions(Bucket=content_bucket).get("Versions", [])]


def test_objects_are_stored_with_their_types(emulator: Emulator, content_bucket: str) -> None:
    s3 = emulator.client("s3")
    objects = ObjectStore(s3, content_bucket, HOUR)
    assert objects.store([write("a", PICTURE, OTHER), write("b", PICTURE), write("c")]) == set()
    found = s3.get_object(Bucket=content_bucket, Key=NAME)
    assert (found["Body"].read(), found["ContentType"]) == (b"picture", "image/png")
    assert s3.get_object(Bucket=content_bucket, Key=ref(OTHER)["object"])["Body"].read() == b"other"
    assert (objects.count, objects.puts) == (2, 2)


def test_an_object_that_is_there_is_not_put_again(
    emulator: Emulator, content_bucket: str, versions: Callable[[], list[str]]
) -> None:
    objects = ObjectStore(emulator.client("s3"), content_bucket, HOUR)
    assert objects.store([write("a", PICTURE)]) == objects.store([write("b", PICTURE)]) == set()
    assert versions() == [NAME]
    assert (objects.count, objects.puts) == (2, 2)


def test_an_old_object_is_put_again_as_a_version_for_the_sweep_may_be_about_to_delete_it(
    emulator: Emulator, content_bucket: str, versions: Callable[[], list[str]]
) -> None:
    s3 = emulator.client("s3")
    ObjectStore(s3, content_bucket, HOUR).store([write("a", PICTURE)])
    stored = s3.head_object(Bucket=content_bucket, Key=NAME)["LastModified"].timestamp()
    ObjectStore(s3, content_bucket, HOUR, clock=lambda: stored + HOUR).store([write("a", PICTURE)])
    assert versions() == [NAME]
    later = ObjectStore(s3, content_bucket, HOUR, clock=lambda: stored + HOUR + 1)
    assert later.store([write("a", PICTURE)]) == set()
    assert versions() == [NAME, NAME]
    assert later.puts == 2


def test_an_object_that_was_deleted_meanwhile_is_put_again(stub: Stub) -> None:
    s3, stubber = stub("s3")
    stubber.add_client_error("put_object", "PreconditionFailed", http_status_code=412)
    stubber.add_client_error("head_object", "404", http_status_code=404)
    stubber.add_response("put_object", {"ETag": '"e"'})
    with stubber:
        assert ObjectStore(s3, "b", HOUR, map).store([write("a", PICTURE)]) == set()
    stubber.assert_no_pending_responses()


def test_a_put_that_meets_another_is_made_again(stub: Stub) -> None:
    s3, stubber = stub("s3")
    stubber.add_client_error("put_object", "ConditionalRequestConflict", http_status_code=409)
    stubber.add_client_error("head_object", "404", http_status_code=404)
    stubber.add_response("put_object", {"ETag": '"e"'})
    with stubber:
        assert ObjectStore(s3, "b", HOUR, map).store([write("a", PICTURE)]) == set()
    stubber.assert_no_pending_responses()


def test_the_bytes_are_checked_by_s3_and_replace_nothing(stub: Stub) -> None:
    s3, stubber = stub("s3")
    params = {
        "Bucket": "b",
        "Key": "objects/2cea274d0bedc39ec4ab6ba9e59ec889e3ed6fb56a1cf088a64d9b383378dc97",
        "Body": b"picture",
        "ContentType": "image/png",
        "ChecksumSHA256": "LOonTQvtw57Eq2up5Z7IiePtb7VqHPCIpk2bODN43Jc=",
        "IfNoneMatch": "*",
    }
    stubber.add_response("put_object", {"ETag": '"e"'}, params)
    with stubber:
        assert ObjectStore(s3, "b", HOUR, map).store([write("a", PICTURE)]) == set()


def test_the_keys_are_told_of_which_an_object_could_not_be_stored(
    content_bucket: str, new_client: Clients, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(params: dict[str, Any], **_: object) -> None:
        if NAME in params["url"]:
            raise EndpointConnectionError(endpoint_url="somewhere")

    s3 = new_client("s3")
    s3.meta.events.register("before-call.s3.PutObject", refuse)
    objects = ObjectStore(s3, content_bucket, HOUR)
    with caplog.at_level(logging.WARNING):
        assert objects.store([write("a", OTHER, PICTURE), write("b", OTHER), write("c", PICTURE)]) == {"a", "c"}
    assert objects.count == 1
    assert f"cannot store {NAME}" in caplog.text


def test_a_refusal_is_no_sign_that_the_object_is_there(stub: Stub) -> None:
    s3, stubber = stub("s3")
    stubber.add_client_error("put_object", "AccessDenied", http_status_code=403)
    with stubber:
        assert ObjectStore(s3, "b", HOUR, map).store([write("a", PICTURE)]) == {"a"}
    stubber.assert_no_pending_responses()
