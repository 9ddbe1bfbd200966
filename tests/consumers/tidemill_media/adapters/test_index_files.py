"""An index's files in the bucket: pages that stay, a manifest that is swapped, and what is deleted."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import Clients, Stub
from tidemill.contract.content_index import Entry, Manifest, Page, Replaced, UnreadableIndex
from tidemill_local.emulator import Emulator
from tidemill_media.adapters.index_files import Held, IndexFiles
from tidemill_media.adapters.objects import Undeleted, delete_all

FOLDER = "index/all/"
ENTRY = Entry("content/1", "Sea", "ada", 1_000, 640, 480)


def page(name: str) -> Page:
    return Page(name, 1, ENTRY.position, ENTRY.position)


@pytest.fixture
def files(emulator: Emulator, bucket: str) -> IndexFiles:
    return IndexFiles(emulator.client("s3"), bucket)


def test_what_is_written_is_read_and_says_how_it_is_packed(files: IndexFiles, emulator: Emulator, bucket: str) -> None:
    files.put_page(FOLDER, "1-ab.json", [ENTRY])
    assert files.swap(FOLDER, Manifest(1, (page("1-ab.json"),)), None)
    assert files.page(FOLDER, "1-ab.json") == (ENTRY,)
    assert files.manifest(FOLDER).manifest == Manifest(1, (page("1-ab.json"),))
    for name, keeping in (("1-ab.json", "max-age=31536000, immutable"), ("manifest.json", "no-cache")):
        head = emulator.client("s3").head_object(Bucket=bucket, Key=f"{FOLDER}{name}")
        assert (head["ContentType"], head["ContentEncoding"]) == ("application/json", "gzip")
        assert head["CacheControl"] == keeping


def test_of_two_writers_of_one_manifest_the_slower_is_told(files: IndexFiles) -> None:
    assert files.manifest(FOLDER) == Held(Manifest(), None)
    assert files.swap(FOLDER, Manifest(1), None)
    assert not files.swap(FOLDER, Manifest(1, (page("1-ab.json"),)), None), "it is there by now"
    held = files.manifest(FOLDER)
    assert files.swap(FOLDER, Manifest(2), held.etag)
    assert not files.swap(FOLDER, Manifest(2, (page("2-ab.json"),)), held.etag)
    assert files.manifest(FOLDER).manifest == Manifest(2)


def test_whose_manifest_is_gone_is_told_too(files: IndexFiles, emulator: Emulator, bucket: str) -> None:
    assert files.swap(FOLDER, Manifest(1), None)
    etag = files.manifest(FOLDER).etag
    emulator.client("s3").delete_object(Bucket=bucket, Key=f"{FOLDER}manifest.json")
    assert not files.swap(FOLDER, Manifest(2), etag)


def test_a_refusal_is_no_defeat(files: IndexFiles, stub: Stub) -> None:
    s3, answers = stub("s3")
    answers.add_client_error("put_object", "AccessDenied")
    with pytest.raises(ClientError, match="AccessDenied"):
        IndexFiles(s3, "bucket").swap(FOLDER, Manifest(1), None)


def test_a_manifest_that_cannot_be_read_is_not_taken_for_none(
    files: IndexFiles, emulator: Emulator, bucket: str
) -> None:
    emulator.client("s3").put_object(Bucket=bucket, Key=f"{FOLDER}manifest.json", Body=b"?")
    with pytest.raises(UnreadableIndex):
        files.manifest(FOLDER)


def test_pages_that_no_manifest_can_name_any_more_are_deleted(
    files: IndexFiles, emulator: Emulator, bucket: str
) -> None:
    for name in ("1-old.json", "3-slower.json", "2-listed.json", "2-replaced.json", "4-next.json"):
        files.put_page(FOLDER, name, [ENTRY])
    files.put_page("index/by/ada/", "1-other.json", [ENTRY])
    now = Manifest(3, (page("2-listed.json"),), (Replaced("2-replaced.json", 5),))
    assert files.swap(FOLDER, now, None)
    files.collect(FOLDER, now)
    left = emulator.client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    assert [one["Key"].removeprefix("index/") for one in left] == [
        "all/2-listed.json",
        "all/2-replaced.json",
        "all/4-next.json",
        "all/manifest.json",
        "by/ada/1-other.json",
    ]


def test_what_is_not_deleted_is_told(stub: Stub) -> None:
    s3, answers = stub("s3")
    error = {"Key": "a", "Code": "InternalError", "Message": "We encountered an internal error."}
    answers.add_response("delete_objects", {"Errors": [error]})
    with pytest.raises(Undeleted, match="1 objects, the first a: We encountered"):
        delete_all(s3, "bucket", ["a", "b"])


def test_many_are_deleted_a_thousand_a_call(emulator: Emulator, bucket: str, new_client: Clients) -> None:
    s3, calls = new_client("s3"), list[Any]()
    s3.meta.events.register("before-call.s3.DeleteObjects", lambda **call: calls.append(call))
    s3.put_object(Bucket=bucket, Key="name-1999")
    delete_all(s3, bucket, [f"name-{one}" for one in range(2_000)])
    assert len(calls) == 2
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
