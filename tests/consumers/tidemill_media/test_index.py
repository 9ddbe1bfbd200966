"""The index function: indexes that are right whoever else writes, however often a batch comes."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from threading import Thread
from typing import Any

import pytest

from tests.conftest import Clients
from tests.consumers.tidemill_media.contents import document, image, photo, record
from tidemill import Reader
from tidemill.contract.content_index import Entry, Manifest, Page, UnreadableIndex
from tidemill.contract.places import Photo, photo_version, thumbnail_name
from tidemill_consumers.adapters.calls import MapCalls, at_once
from tidemill_local.emulator import Emulator
from tidemill_media.adapters.documents import Documents
from tidemill_media.adapters.index_files import IndexFiles
from tidemill_media.adapters.mending import LostFile
from tidemill_media.adapters.old_thumbnails import OldThumbnails
from tidemill_media.index import Contended, Indexing, index
from tidemill_media.indexing.entries import entry_of
from tidemill_media.indexing.pages import Change, updated
from tidemill_media.rebuilding import rebuild


class Table:
    """A table of contents and the records of its changes."""

    def __init__(self, dynamodb: Any, name: str) -> None:
        self.dynamodb, self.name = dynamodb, name
        self.documents: dict[str, Mapping[str, Any] | None] = {}

    def put(self, key: str, new: Mapping[str, Any]) -> dict[str, Any]:
        self.dynamodb.put_item(TableName=self.name, Item=image(key, new))
        old, self.documents[key] = self.documents.get(key), new
        return record(key, old, new)


@pytest.fixture
def contents_table(emulator: Emulator, table: str) -> Table:
    return Table(emulator.client("dynamodb"), table)


def made_of(s3: Any, dynamodb: Any, bucket: str, table: str, calls: MapCalls = map) -> Indexing:
    thumbnails = OldThumbnails(s3, bucket, calls)
    return Indexing(IndexFiles(s3, bucket), Documents(dynamodb, table), thumbnails, calls)


@pytest.fixture
def parts(emulator: Emulator, table: str, bucket: str) -> Indexing:
    return made_of(emulator.client("s3"), emulator.client("dynamodb"), bucket, table)


def listed(parts: Indexing, folder: str = "index/all/") -> list[Entry]:
    pages = parts.files.manifest(folder).manifest.pages
    return [entry for page in pages for entry in parts.files.page(folder, page.name)]


def keys(parts: Indexing, folder: str = "index/all/") -> list[str]:
    return [entry.key for entry in listed(parts, folder)]


def shown(uploaded: int, owner: str = "ada", **other: Any) -> dict[str, Any]:
    return document(owner=owner, photo=photo(uploaded=uploaded), **other)


def batch(*records: dict[str, Any]) -> Any:
    return {"Records": records}


def test_what_is_published_is_listed_newest_first_and_what_is_deleted_is_gone(
    parts: Indexing, contents_table: Table
) -> None:
    put = contents_table.put
    index(batch(put("content/1", shown(1)), put("content/2", shown(2, "bob")), put("content/3", shown(3))), parts)
    assert keys(parts) == ["content/3", "content/2", "content/1"]
    assert keys(parts, "index/by/ada/") == ["content/3", "content/1"]
    assert keys(parts, "index/by/bob/") == ["content/2"]
    index(batch(put("content/3", {"deleted": True}), put("content/1", shown(4, title="Lake"))), parts)
    assert [(one.key, one.title) for one in listed(parts)] == [("content/1", "Lake"), ("content/2", "Sea")]
    assert keys(parts, "index/by/ada/") == ["content/1"]


def test_views_write_nothing(parts: Indexing, contents_table: Table) -> None:
    put = contents_table.put
    index(batch(put("content/1", shown(1))), parts)
    before = parts.files.manifest("index/all/")
    index(batch(put("content/1", shown(1, views=1)), put("content/1", shown(1, views=2))), parts)
    assert parts.files.manifest("index/all/") == before


def test_the_thumbnails_of_what_was_replaced_or_deleted_are_gone(
    parts: Indexing, contents_table: Table, emulator: Emulator, bucket: str
) -> None:
    s3, put = emulator.client("s3"), contents_table.put
    versions = [photo_version(digit) for digit in "123"]
    names = [thumbnail_name(Photo("ada", "content/1"), version, 512, "webp") for version in versions]
    for name in names:
        s3.put_object(Bucket=bucket, Key=name)
    records = [put("content/1", document(photo=photo(version=version))) for version in versions[:2]]
    index(batch(records[0]), parts)
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix="thumbnails/")["Contents"]] == names
    index(batch(*records), parts)
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix="thumbnails/")["Contents"]] == names[1:]
    gone = {"by": "ada", "version": versions[1], "status": "removed"}
    index(batch(put("content/1", {"deleted": True, "photo": gone})), parts)
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix="thumbnails/")["Contents"]] == names[2:]
    index(batch(put("content/1", {"deleted": True, "photo": {**gone, "version": versions[2], "late": 1}})), parts)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="thumbnails/")


def test_a_late_repeat_does_not_bring_back_what_is_gone(parts: Indexing, contents_table: Table) -> None:
    first = batch(contents_table.put("content/1", shown(1)))
    second = batch(contents_table.put("content/1", shown(2)))
    third = batch(contents_table.put("content/1", {"deleted": True}))
    for event in (first, second, third):
        index(event, parts)
    for event in (second, first):
        index(event, parts)
    assert listed(parts) == []


def test_a_photo_that_is_replaced_faster_than_it_is_listed_is_listed_once(
    parts: Indexing, contents_table: Table
) -> None:
    put = contents_table.put
    events = [batch(put("content/1", shown(1)))]
    index(events[0], parts)
    events += [batch(put("content/1", shown(uploaded))) for uploaded in (2, 3, 4)]
    index(events[1], parts)
    assert [one.uploaded for one in listed(parts)] == [4]
    events += [batch(put("content/1", shown(uploaded))) for uploaded in (5, 6)]
    for event in (*events[2:], *events):
        index(event, parts)
        assert len(listed(parts)) == len(listed(parts, "index/by/ada/")) == 1
    assert [one.uploaded for one in listed(parts)] == [6]


def test_however_batches_are_cut_and_repeated_the_end_is_the_same(parts: Indexing, contents_table: Table) -> None:
    chance = random.Random(7)
    every: list[dict[str, Any]] = []
    for number in range(60):
        key = f"content/{chance.randrange(12)}"
        new = shown(number, chance.choice("ab")) if chance.random() < 0.7 else {"deleted": True}
        every.append(contents_table.put(key, new))
    begin = 0
    while begin < len(every):
        end = begin + chance.randrange(1, 12)
        index(batch(*every[begin:end]), parts)
        begin = chance.randrange(max(0, begin - 3), end + 1)  # a part of it comes again
    now = {key: shown for key, shown in contents_table.documents.items() if shown and "photo" in shown}
    assert keys(parts) == sorted(now, key=lambda key: -now[key]["photo"]["uploaded"])
    for owner in "ab":
        assert set(keys(parts, f"index/by/{owner}/")) == {key for key, shown in now.items() if shown["owner"] == owner}


def test_two_writers_at_once_lose_nothing_and_list_nothing_twice(
    emulator: Emulator, contents_table: Table, table: str, bucket: str, new_client: Clients
) -> None:
    """Of 1,000 contents each writer gets half, and both get some; a few are changed and deleted meanwhile."""
    chance = random.Random(3)
    records = [contents_table.put(f"content/{one}", shown(one, chance.choice("abc"))) for one in range(1_000)]
    records += [contents_table.put(f"content/{one}", {"deleted": True}) for one in range(0, 1_000, 10)]
    halves = records[: len(records) // 2 + 50], records[len(records) // 2 :]

    def write(half: Sequence[dict[str, Any]]) -> None:
        parts = made_of(new_client("s3"), new_client("dynamodb"), bucket, table, at_once(4, "test"))
        for begin in range(0, len(half), 50):
            index(batch(*half[begin : begin + 50]), parts)

    writers = [Thread(target=write, args=[half]) for half in halves]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    parts = made_of(emulator.client("s3"), emulator.client("dynamodb"), bucket, table)
    wanted = [f"content/{one}" for one in reversed(range(1_000)) if one % 10]
    assert keys(parts) == wanted
    every = [key for owner in "abc" for key in keys(parts, f"index/by/{owner}/")]
    assert sorted(every) == sorted(wanted)


@pytest.mark.slow
def test_of_a_hundred_thousand_only_touched_pages_are_read_and_written(
    parts: Indexing, contents_table: Table, new_client: Clients, bucket: str
) -> None:
    entries = [entry_of(f"content/{one}", shown(one, "bob")) for one in range(100_000)]
    change = Change(frozenset(), tuple(entry for entry in entries if entry))
    first = updated(Manifest(), {}, change, 0)
    assert first is not None
    for name, page in first.pages.items():
        parts.files.put_page("index/all/", name, page)
    assert parts.files.swap("index/all/", first.manifest, None)
    old = shown(50_000, "bob")
    contents_table.documents["content/50000"] = old
    event = batch(
        *(contents_table.put(f"content/new-{one}", shown(200_000 + one)) for one in range(20)),
        contents_table.put("content/50000", {**old, "title": "Lake"}),
        record("content/7", shown(7, "bob"), {"deleted": True}),
    )
    calls = list[str]()
    s3 = new_client("s3")
    for call in ("GetObject", "PutObject", "ListObjectsV2", "DeleteObjects"):
        s3.meta.events.register(f"before-parameter-build.s3.{call}", partial(_count, calls, call))
    index(event, replace(parts, files=IndexFiles(s3, bucket)))
    names = [call for call in calls if " index/all/" in call]
    assert Counter(names) == {
        "GetObject index/all/manifest.json": 1,
        **{f"GetObject index/all/{first.manifest.pages[place].name}": 1 for place in (0, 195, 390)},
        **{f"PutObject index/all/{page.name}": 1 for page in changed_pages(parts, first.manifest)},
        "PutObject index/all/manifest.json": 1,
    }
    assert len(names) == 8
    assert parts.files.manifest("index/all/").manifest.count == 100_019
    assert len(calls) == 8 + 2 * 4, "two owners' new indexes are looked for twice, and two files written for each"


def versions_of(s3: Any, bucket: str, name: str) -> list[dict[str, Any]]:
    answer = s3.list_object_versions(Bucket=bucket, Prefix=name)
    return [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]


def gone(s3: Any, bucket: str, name: str) -> None:
    s3.delete_object(Bucket=bucket, Key=name)


def no_gzip(s3: Any, bucket: str, name: str) -> None:
    s3.put_object(Bucket=bucket, Key=name, Body=b"\x1f\x8bno")


def gone_after_that(s3: Any, bucket: str, name: str) -> None:
    no_gzip(s3, bucket, name)
    gone(s3, bucket, name)


def gone_with_all_versions(s3: Any, bucket: str, name: str) -> None:
    for one in versions_of(s3, bucket, name):
        s3.delete_object(Bucket=bucket, Key=name, VersionId=one["VersionId"])


@pytest.fixture
def kept(emulator: Emulator, table: str, content_bucket: str) -> Indexing:
    """Parts with a bucket that keeps versions."""
    return made_of(emulator.client("s3"), emulator.client("dynamodb"), content_bucket, table)


@pytest.mark.parametrize("damage", [gone, no_gzip, gone_after_that])
@pytest.mark.parametrize("file", ["a page", "the manifest"])
def test_a_file_that_somebody_deletes_or_damages_is_put_back(
    kept: Indexing,
    contents_table: Table,
    emulator: Emulator,
    content_bucket: str,
    file: str,
    damage: Callable[[Any, str, str], None],
) -> None:
    put, all_contents = contents_table.put, "index/all/"
    index(batch(*(put(f"content/{one}", shown(one)) for one in range(3))), kept)
    index(batch(put("content/3", shown(3))), kept)
    (page,) = kept.files.manifest(all_contents).manifest.pages
    damage(emulator.client("s3"), content_bucket, all_contents + (page.name if file == "a page" else "manifest.json"))
    index(batch(put("content/4", shown(4)), put("content/1", {"deleted": True})), kept)
    assert keys(kept) == keys(kept, "index/by/ada/") == ["content/4", "content/3", "content/2", "content/0"]
    manifest = kept.files.manifest(all_contents).manifest
    assert manifest.incomplete is None
    assert manifest.version > 2


@pytest.mark.parametrize("file", ["a page", "the manifest"])
def test_without_a_file_that_is_lost_the_index_goes_on_and_says_so(
    kept: Indexing, contents_table: Table, emulator: Emulator, content_bucket: str, file: str
) -> None:
    put, all_contents = contents_table.put, "index/all/"
    index(batch(put("content/0", shown(0))), kept)
    index(batch(put("content/1", shown(1))), kept)
    (page,) = kept.files.manifest(all_contents).manifest.pages
    lost = all_contents + (page.name if file == "a page" else "manifest.json")
    gone_with_all_versions(emulator.client("s3"), content_bucket, lost)
    event = batch(put("content/2", shown(2)))
    with pytest.raises(LostFile, match=f"{lost} is lost; its .*contents are missing until `tidemill reindex`"):
        index(event, kept)
    index(event, kept)
    index(batch(put("content/3", shown(3))), kept)
    assert keys(kept) == ["content/3", "content/2"]
    assert keys(kept, "index/by/ada/") == ["content/3", "content/2", "content/1", "content/0"]
    reader = Reader(contents_table.name, content_bucket, dynamodb=contents_table.dynamodb, s3=emulator.client("s3"))
    entries = reader.contents()
    assert [next(entries).key, next(entries).key] == ["content/3", "content/2"]
    with pytest.raises(UnreadableIndex, match="index/all/ is incomplete"):
        next(entries)
    rebuild(kept)
    assert [one.key for one in reader.contents()] == ["content/3", "content/2", "content/1", "content/0"]


def test_a_new_index_is_none_that_was_lost(kept: Indexing, contents_table: Table) -> None:
    """A page whose manifest was not written yet is of a writer that crashed, or is not done."""
    first = entry_of("content/9", shown(9))
    assert first
    kept.files.put_page("index/all/", "1-ab.json", [first])
    index(batch(contents_table.put("content/0", shown(0))), kept)
    assert keys(kept) == ["content/0"]
    assert kept.files.manifest("index/all/").manifest.incomplete is None


def _count(calls: list[str], call: str, params: Mapping[str, Any], **_: Any) -> None:
    calls.append(f"{call} {params.get('Key', '')}")


def changed_pages(parts: Indexing, before: Manifest) -> list[Page]:
    return [page for page in parts.files.manifest("index/all/").manifest.pages if page not in before.pages]


def test_documents_are_read_after_the_manifest_that_is_replaced(parts: Indexing, contents_table: Table) -> None:
    """Else what another writer has listed meanwhile would be put back to what it was."""
    events = [batch(contents_table.put("content/1", shown(1)))]
    manifest = parts.files.manifest

    def overtaken(folder: str) -> Any:
        if folder == "index/all/" and len(events) == 1:
            events.append(batch(contents_table.put("content/1", shown(1, title="Lake"))))
            index(events[1], parts)
        return manifest(folder)

    parts.files.manifest = overtaken  # type: ignore[method-assign] # another writer comes first
    index(events[0], parts)
    assert [one.title for one in listed(parts)] == ["Lake"]


def test_a_writer_that_always_loses_says_so(parts: Indexing, contents_table: Table) -> None:
    event = batch(contents_table.put("content/1", shown(1)))
    index(event, parts)
    event = batch(contents_table.put("content/1", shown(2)))
    swap = parts.files.swap

    def faster(folder: str, manifest: Any, etag: str | None) -> bool:
        held = parts.files.manifest(folder)
        assert swap(folder, held.manifest.__class__(held.manifest.version + 1, held.manifest.pages), held.etag)
        return swap(folder, manifest, etag)

    parts.files.swap = faster  # type: ignore[method-assign] # another writer comes first
    waited: list[float] = []
    with pytest.raises(Contended, match="2 indexes, of which one is index/all/"):
        index(event, replace(parts, pause=waited.append))
    assert len(waited) == 19
    assert Counter(one < 1 for one in waited) == {True: 19}
