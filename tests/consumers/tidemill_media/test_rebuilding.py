"""The index made anew from the table: what is missing, what is stale, and what was lost or damaged of its files."""

from collections.abc import Callable, Mapping
from threading import Thread
from typing import Any

import msgspec
import pytest

from tests.conftest import Clients
from tests.consumers.tidemill_media.test_index import Table, batch, keys, listed, made_of, shown
from tidemill.contract.content_index import Manifest, read_manifest, write_manifest
from tidemill_consumers.adapters.calls import at_once
from tidemill_local.emulator import Emulator
from tidemill_media.index import Indexing, index
from tidemill_media.rebuilding import Rebuilt, rebuild

ALL, ADA, BOB = "index/all/", "index/by/ada/", "index/by/bob/"


@pytest.fixture
def contents_table(emulator: Emulator, table: str) -> Table:
    return Table(emulator.client("dynamodb"), table)


@pytest.fixture
def parts(emulator: Emulator, table: str, bucket: str) -> Indexing:
    return made_of(emulator.client("s3"), emulator.client("dynamodb"), bucket, table)


def fill(contents_table: Table, parts: Indexing, count: int = 600) -> list[str]:
    """Contents of ada and bob, listed; gives the keys, newest first."""
    records = [contents_table.put(f"content/{one}", shown(one, "ada" if one % 3 else "bob")) for one in range(count)]
    for begin in range(0, count, 300):
        index(batch(*records[begin : begin + 300]), parts)
    return [f"content/{one}" for one in reversed(range(count))]


def is_right(parts: Indexing, every: list[str], documents: Mapping[str, Any]) -> bool:
    """Whether each index lists its contents, each once, as the table has them."""
    by_owner = {owner: [key for key in every if documents[key]["owner"] == owner] for owner in ("ada", "bob")}
    titles = {one.key: one.title for one in listed(parts)}
    return (
        keys(parts) == every
        and keys(parts, ADA) == by_owner["ada"]
        and keys(parts, BOB) == by_owner["bob"]
        and titles == {key: documents[key]["title"] for key in every}
    )


def test_an_index_that_is_right_is_left_alone(parts: Indexing, contents_table: Table) -> None:
    fill(contents_table, parts)
    contents_table.put("user/ada", shown(1))
    before = [parts.files.manifest(folder) for folder in (ALL, ADA, BOB)]
    told: list[str] = []
    assert rebuild(parts, told.append) == Rebuilt(600, 3, 0, 0)
    assert [parts.files.manifest(folder) for folder in (ALL, ADA, BOB)] == before
    assert told[31] == "600 contents found; 32 of 32 parts of the table read"
    assert told[-1] == "3 of 3 indexes compared; 0 contents differ"


@pytest.mark.slow
def test_what_the_stream_lost_is_listed_and_what_is_stale_goes(parts: Indexing, contents_table: Table) -> None:
    """Each of these changes is one whose record was lost."""
    every = fill(contents_table, parts)
    contents_table.put("content/1000", shown(1000, "ada"))
    contents_table.put("content/7", {"deleted": True})
    contents_table.put("content/8", shown(8, "ada", title="Lake"))
    contents_table.put("content/9", shown(1001, "bob"))
    contents_table.put("content/10", shown(10, "bob"))
    contents_table.dynamodb.delete_item(TableName=contents_table.name, Key={"pk": {"S": "content/11"}})
    assert rebuild(parts) == Rebuilt(599, 3, 0, 6)
    gone = {f"content/{one}" for one in (7, 9, 11)}
    wanted = ["content/9", "content/1000", *(key for key in every if key not in gone)]
    assert is_right(parts, wanted, contents_table.documents)
    assert rebuild(parts).relisted == 0


def delete_all(s3: Any, bucket: str, parts: Indexing) -> None:
    for one in s3.list_objects_v2(Bucket=bucket, Prefix="index/")["Contents"]:
        s3.delete_object(Bucket=bucket, Key=one["Key"])


def delete_manifest(s3: Any, bucket: str, parts: Indexing) -> None:
    s3.delete_object(Bucket=bucket, Key=f"{ALL}manifest.json")


def delete_page(s3: Any, bucket: str, parts: Indexing) -> None:
    s3.delete_object(Bucket=bucket, Key=f"{ALL}{parts.files.manifest(ALL).manifest.pages[1].name}")


def damage_page(s3: Any, bucket: str, parts: Indexing) -> None:
    s3.put_object(Bucket=bucket, Key=f"{BOB}{parts.files.manifest(BOB).manifest.pages[0].name}", Body=b"\x1f\x8bno")


def damage_manifest(s3: Any, bucket: str, parts: Indexing) -> None:
    s3.put_object(Bucket=bucket, Key=f"{ALL}manifest.json", Body=b'{"pages": 7}')


def changed_manifest(change: Callable[[Manifest], Manifest]) -> Callable[[Any, str, Indexing], None]:
    def damage(s3: Any, bucket: str, parts: Indexing) -> None:
        manifest = change(read_manifest(write_manifest(parts.files.manifest(ALL).manifest)))
        s3.put_object(Bucket=bucket, Key=f"{ALL}manifest.json", Body=write_manifest(manifest))

    return damage


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        delete_all,
        delete_manifest,
        delete_page,
        damage_page,
        damage_manifest,
        pytest.param(
            changed_manifest(lambda one: msgspec.structs.replace(one, pages=one.pages[::-1])), id="pages in disorder"
        ),
        pytest.param(
            changed_manifest(lambda one: msgspec.structs.replace(one, pages=one.pages[:1] * 2)), id="a page twice"
        ),
        pytest.param(
            changed_manifest(
                lambda one: msgspec.structs.replace(
                    one, pages=(msgspec.structs.replace(one.pages[0], count=1), *one.pages[1:])
                )
            ),
            id="a wrong count",
        ),
        pytest.param(changed_manifest(lambda one: Manifest(one.version)), id="no pages"),
    ],
)
def test_lost_and_damaged_files_are_made_anew(
    parts: Indexing,
    contents_table: Table,
    emulator: Emulator,
    bucket: str,
    damage: Callable[[Any, str, Indexing], None],
) -> None:
    every = fill(contents_table, parts)
    damage(emulator.client("s3"), bucket, parts)
    rebuild(parts)
    assert is_right(parts, every, contents_table.documents)
    assert rebuild(parts) == Rebuilt(600, 3, 0, 0)
    index(batch(contents_table.put("content/600", shown(600, "bob"))), parts)
    assert is_right(parts, ["content/600", *every], contents_table.documents), "the function goes on from there"


@pytest.mark.slow
def test_beside_the_function_nothing_is_lost_and_nothing_comes_back(
    parts: Indexing, contents_table: Table, table: str, bucket: str, new_client: Clients
) -> None:
    fill(contents_table, parts)
    parts.files.drop(ALL, {parts.files.manifest(ALL).manifest.pages[0].name})
    records = [contents_table.put(f"content/{one}", shown(1000 + one, "bob")) for one in range(0, 600, 20)]
    records += [contents_table.put(f"content/{one}", {"deleted": True}) for one in range(1, 600, 20)]

    def write() -> None:
        own = made_of(new_client("s3"), new_client("dynamodb"), bucket, table, at_once(4, "test"))
        for one in records:
            index(batch(one), own)

    writer = Thread(target=write)
    writer.start()
    rebuild(parts)
    writer.join()
    now = {key: one for key, one in contents_table.documents.items() if one and "photo" in one}
    assert len(now) == 570
    assert is_right(parts, sorted(now, key=lambda key: -now[key]["photo"]["uploaded"]), now)
