"""What a sweep deletes of a bucket that keeps versions, and what it leaves, over the emulator's bucket and table."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pytest
from botocore.stub import Stubber

from tidemill.contract.places import object_name
from tidemill.contract.request import Document
from tidemill_consumers.adapters.content.objects import ObjectStore
from tidemill_consumers.adapters.entities import Entities
from tidemill_consumers.core.batch import Blob, Entity, Object, Position, Time, Write, ref
from tidemill_consumers.operations.sweep import DAY, Sweep, Unfinished, Version, number_of
from tidemill_local.emulator import Emulator

Stub: TypeAlias = Callable[[str], tuple[Any, Stubber]]

HOUR = 3_600.0
LATER = HOUR + DAY + 60.0


def name_of(data: bytes) -> str:
    return ref(Blob(data))["object"]


@pytest.fixture
def s3(emulator: Emulator) -> Any:
    return emulator.client("s3")


@pytest.fixture
def put(s3: Any, content_bucket: str) -> Callable[..., None]:
    def act(*every: bytes) -> None:
        for data in every:
            s3.put_object(Bucket=content_bucket, Key=name_of(data), Body=data)

    return act


@pytest.fixture
def save(emulator: Emulator, table: str) -> Callable[[str, Document], None]:
    entities = Entities(emulator.client("dynamodb"), table)

    def act(key: str, document: Document) -> None:
        write = Write(key, 0, Entity(key, 1, document), Position(1, 0), (), (), None)
        assert entities.save([write]) == {}

    return act


@pytest.fixture
def sweep(emulator: Emulator, s3: Any, content_bucket: str, table: str) -> Callable[[float], Sweep]:
    """A sweep so many seconds from now."""

    def make(later: float = LATER) -> Sweep:
        dynamodb = emulator.client("dynamodb")
        return Sweep(s3, content_bucket, dynamodb, table, HOUR, clock=lambda: time.time() + later)

    return make


def swept(sweep: Sweep) -> set[str]:
    return {one.name for some in sweep.delete(sweep.unnamed(sweep.find())) for one in some}


def left(s3: Any, bucket: str) -> list[str]:
    return sorted(one["Key"] for one in s3.list_object_versions(Bucket=bucket).get("Versions", []))


def test_what_no_document_names_is_deleted_and_everything_else_stays(
    put: Any, save: Any, sweep: Any, s3: Any, content_bucket: str
) -> None:
    put(b"named", b"deep", b"orphan", b"in a text")
    s3.put_object(Bucket=content_bucket, Key="photos/ann/content/1", Body=b"a photo")
    s3.put_object(Bucket=content_bucket, Key="objects/abc", Body=b"not by its hash")
    save("a", {"picture": ref(Blob(b"named"))})
    save("b", {"list": [{"deep": ref(Blob(b"deep"))}], "text": f"see {name_of(b'in a text')}."})
    found = sweep().find()
    assert (len(found), found.unnamed) == (4, 1)
    assert swept(sweep()) == {name_of(b"orphan")}
    stay = [name_of(b"named"), name_of(b"deep"), name_of(b"in a text"), "objects/abc", "photos/ann/content/1"]
    assert left(s3, content_bucket) == sorted(stay)
    assert swept(sweep()) == set()


def test_an_object_stays_for_the_retention_and_a_day(put: Any, sweep: Any, s3: Any, content_bucket: str) -> None:
    put(b"young")
    assert swept(sweep(HOUR + DAY - 60.0)) == set()
    assert left(s3, content_bucket) == [name_of(b"young")]
    assert swept(sweep()) == {name_of(b"young")}
    assert s3.list_object_versions(Bucket=content_bucket).get("DeleteMarkers", []) == []


def test_a_version_that_is_put_while_a_sweep_looks_stays(
    put: Any, save: Any, sweep: Any, s3: Any, content_bucket: str
) -> None:
    put(b"picture")
    sweeping = sweep()
    old = sweeping.find()
    assert old.unnamed == 1
    objects = ObjectStore(s3, content_bucket, HOUR, clock=lambda: time.time() + LATER)
    stored = Object(name_of(b"picture"), b"picture", "image/png")
    assert objects.store([Write("a", 0, Entity("a", 1), Position(1, 0), (), (), None, objects=(stored,))]) == set()
    save("a", {"picture": ref(Blob(b"picture"))})
    (first, second) = s3.list_object_versions(Bucket=content_bucket)["Versions"]
    oldest = min(first, second, key=lambda one: one["LastModified"])
    listed = [one for one in sweeping.unnamed(old) if one.id == oldest["VersionId"]]
    assert [len(gone) for gone in sweeping.delete(listed)] == [1]
    assert s3.get_object(Bucket=content_bucket, Key=name_of(b"picture"))["Body"].read() == b"picture"


def test_names_are_found_over_many_pages_of_both(put: Any, save: Any, sweep: Any, s3: Any, content_bucket: str) -> None:
    every = [b"%d" % n for n in range(60)]
    put(*every)
    for n in range(0, 60, 2):
        save(f"k{n}", {"picture": ref(Blob(every[n]))})
    assert swept(sweep()) == {name_of(every[n]) for n in range(1, 60, 2)}
    assert left(s3, content_bucket) == sorted(name_of(every[n]) for n in range(0, 60, 2))


def test_lists_and_scans_go_on_where_the_last_page_ended(stub: Stub) -> None:
    s3, of_s3 = stub("s3")
    dynamodb, of_table = stub("dynamodb")
    old = datetime.fromtimestamp(time.time() - LATER, UTC)

    def version(name: str, number: str) -> dict[str, Any]:
        return {"Key": name, "VersionId": number, "Size": 1, "LastModified": old}

    first, second = object_name("0" + "a" * 63), object_name("0" + "b" * 63)
    page = {"Versions": [version(first, "1")], "IsTruncated": True, "NextKeyMarker": first, "NextVersionIdMarker": "1"}
    of_s3.add_response("list_object_versions", page, {"Bucket": "b", "Prefix": "objects/0"})
    of_s3.add_response(
        "list_object_versions",
        {"Versions": [version(first, "0"), version(second, "2")], "IsTruncated": False},
        {"Bucket": "b", "Prefix": "objects/0", "KeyMarker": first, "VersionIdMarker": "1"},
    )
    for digit in "123456789abcdef":
        of_s3.add_response(
            "list_object_versions", {"IsTruncated": False}, {"Bucket": "b", "Prefix": f"objects/{digit}"}
        )
    last = {"pk": {"S": "k"}}
    wanted = {"TableName": "t", "ConsistentRead": True, "Segment": 0, "TotalSegments": 32}
    of_table.add_response("scan", {"Items": [], "LastEvaluatedKey": last}, wanted)
    of_table.add_response("scan", {"Items": [{"doc": {"S": second}}]}, {**wanted, "ExclusiveStartKey": last})
    for segment in range(1, 32):
        of_table.add_response("scan", {"Items": []}, {**wanted, "Segment": segment})
    with of_s3, of_table:
        found = Sweep(s3, "b", dynamodb, "t", HOUR, map).find()
    of_s3.assert_no_pending_responses()
    of_table.assert_no_pending_responses()
    assert (len(found), found.unnamed) == (2, 1)
    assert (found.is_unnamed(first), found.is_unnamed(second)) == (True, False)


def test_without_time_nothing_is_deleted(put: Any, sweep: Any, stub: Stub, s3: Any, content_bucket: str) -> None:
    put(b"orphan")
    sweeping = sweep()
    client, stubber = stub("s3")
    page = {"IsTruncated": True, "NextKeyMarker": "k", "NextVersionIdMarker": "1"}
    stubber.add_response("list_object_versions", page)
    over: Any = Sweep(client, "b", None, "t", HOUR, map)  # type: ignore[arg-type] # it does not come to the table
    with stubber, pytest.raises(Unfinished, match="no time to list"):
        over.find(Time(lambda: 1.0, 1.0))
    assert len(sweeping.find(Time(lambda: 1.0, 1.0))) == 1, "what is read by one call each needs no more time"
    assert left(s3, content_bucket) == [name_of(b"orphan")]


def test_what_s3_does_not_delete_is_not_told_as_gone(stub: Stub, caplog: pytest.LogCaptureFixture) -> None:
    s3, stubber = stub("s3")
    first, second = object_name("0" * 64), object_name("1" * 64)
    answer = {
        "Deleted": [{"Key": first, "VersionId": "1"}],
        "Errors": [{"Key": second, "VersionId": "2", "Code": "InternalError"}],
    }
    wanted = {"Objects": [{"Key": first, "VersionId": "1"}, {"Key": second, "VersionId": "2"}]}
    stubber.add_response("delete_objects", answer, {"Bucket": "b", "Delete": wanted})
    every = [Version(first, "1", 7), Version(second, "2", 8)]
    with stubber:
        gone = list(Sweep(s3, "b", None, "t", HOUR, map).delete(every))  # type: ignore[arg-type] # no table is read
    assert gone == [[every[0]]]
    assert "cannot delete 1 objects" in caplog.text


def test_numbers_sort_as_names_do() -> None:
    names = sorted(name_of(b"%d" % n) for n in range(200))
    assert sorted(names, key=number_of) == names
