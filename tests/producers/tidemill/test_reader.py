"""The reader: documents, the index while it changes, thumbnails, and what is near."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Names
from tests.consumers.tidemill_media.contents import document, image, photo
from tidemill import Near, Reader, Shown, TooFar, UnreadableIndex
from tidemill.contract.content_index import Entry
from tidemill.contract.geohash import Point, geohash_of, point_of
from tidemill.reader import fitting
from tidemill.reading.nearby import distance_km
from tidemill_consumers.codec.items import to_item
from tidemill_consumers.core.batch import Entity
from tidemill_local.emulator import Emulator
from tidemill_media.adapters.index_files import IndexFiles
from tidemill_media.indexing.pages import Change, touched, updated


@pytest.fixture
def placed(emulator: Emulator, names: Names) -> str:
    """A table with the index by place, as the template's."""
    name = names("placed")
    keys = [{"AttributeName": "cell", "KeyType": "HASH"}, {"AttributeName": "geohash", "KeyType": "RANGE"}]
    emulator.client("dynamodb").create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "cell", "geohash")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {"IndexName": "places", "KeySchema": keys, "Projection": {"ProjectionType": "KEYS_ONLY"}}
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture
def reader(emulator: Emulator, placed: str, bucket: str) -> Reader:
    return Reader(placed, bucket, dynamodb=emulator.client("dynamodb"), s3=emulator.client("s3"))


@pytest.fixture
def change(emulator: Emulator, bucket: str) -> Callable[..., list[str]]:
    """Lists contents; gives the names of the pages that were replaced."""
    files = IndexFiles(emulator.client("s3"), bucket)

    def apply(*entries: Entry, cleared: tuple[Entry, ...] = ()) -> list[str]:
        manifest, etag = files.manifest("index/all/")
        wanted = Change(frozenset(one.position for one in cleared), entries)
        pages = {place: files.page("index/all/", manifest.pages[place].name) for place in touched(manifest, wanted)}
        update = updated(manifest, pages, wanted, 0)
        assert update
        for name, page in update.pages.items():
            files.put_page("index/all/", name, page)
        assert files.swap("index/all/", update.manifest, etag)
        return [f"index/all/{one.name}" for one in update.manifest.replaced]

    return apply


def entry(uploaded: int, **other: Any) -> Entry:
    return Entry(f"content/{uploaded}", "Sea", "ada", uploaded, 640, 480, **other)


def test_a_document_by_its_key(reader: Reader, emulator: Emulator, placed: str) -> None:
    written = document(views=7, photo=photo())
    emulator.client("dynamodb").put_item(TableName=placed, Item=image("content/1", written))
    emulator.client("dynamodb").put_item(TableName=placed, Item=image("content/2", None))
    assert reader.document("content/1") == written
    assert reader.document("content/2") is None
    assert reader.document("content/3") is None


def test_contents_newest_first_whatever_is_written_meanwhile(
    reader: Reader, emulator: Emulator, bucket: str, change: Callable[..., list[str]]
) -> None:
    assert list(reader.contents()) == []
    assert list(reader.contents("ada")) == []
    change(*(entry(number) for number in range(600)))
    assert [one.uploaded for one in reader.contents()] == list(reversed(range(600)))
    reading = reader.contents()
    first = [next(reading).uploaded for _ in range(300)]
    gone = change(entry(600), cleared=(entry(50),))
    for name in gone:
        emulator.client("s3").delete_object(Bucket=bucket, Key=name)
    rest = [one.uploaded for one in reading]
    assert first + rest == [number for number in reversed(range(600)) if number != 50], "none missing, none twice"


def test_an_index_that_lacks_a_page_is_not_taken_for_a_shorter_one(
    reader: Reader, emulator: Emulator, bucket: str, change: Callable[..., list[str]]
) -> None:
    change(entry(1))
    (name,) = [
        one["Key"] for one in emulator.client("s3").list_objects_v2(Bucket=bucket, Prefix="index/all/1-")["Contents"]
    ]
    emulator.client("s3").delete_object(Bucket=bucket, Key=name)
    with pytest.raises(UnreadableIndex, match="is not there, or this role may not read it"):
        list(reader.contents())


def test_a_thumbnail_of_at_least_a_size(reader: Reader, emulator: Emulator, bucket: str) -> None:
    shown = [
        Shown(size, size, size, f"image/{kind}", f"thumbnails/{size}.{kind}", 1)
        for size in (512, 64, 256)
        for kind in ("webp", "jpeg")
    ]
    for one in shown:
        emulator.client("s3").put_object(Bucket=bucket, Key=one.name, Body=one.name.encode())
    content = entry(1, thumbnails=tuple(shown))
    assert reader.thumbnail(content, 65) == b"thumbnails/256.webp"
    assert reader.thumbnail(content, 9_000) == b"thumbnails/512.webp"
    assert reader.thumbnail(content, 64, "image/jpeg") == b"thumbnails/64.jpeg"
    assert reader.thumbnail(content, 64, "image/png") is None
    assert reader.thumbnail(entry(1, thumbnails=(Shown(1, 1, 1, "image/webp", "thumbnails/none", 1),)), 1) is None
    assert fitting([], 1) is None


@pytest.mark.parametrize(
    ("centre", "kilometres", "spread"),
    [
        (Point(52.52, 13.405), 1.5, 0.05),
        (Point(45.0, 0.0), 20.0, 0.4),
        (Point(0.0, 180.0), 30.0, 0.5),
        (Point(89.95, 20.0), 15.0, 0.3),
        (Point(-90.0, 0.0), 400.0, 8.0),
    ],
)
def test_what_is_near_is_what_brute_force_finds(
    reader: Reader, emulator: Emulator, placed: str, centre: Point, kilometres: float, spread: float
) -> None:
    chance, dynamodb, every = random.Random(5), emulator.client("dynamodb"), dict[str, str]()
    for number in range(150):
        latitude = max(-90.0, min(90.0, centre.latitude + chance.uniform(-spread, spread)))
        around = 180.0 if abs(centre.latitude) > 80 else spread
        longitude = (centre.longitude + chance.uniform(-around, around) + 180) % 360 - 180
        every[f"content/{number}"] = geohash_of(Point(latitude, longitude))
    for key, geohash in every.items():
        dynamodb.put_item(TableName=placed, Item=to_item(Entity(key, 1, {"geohash": geohash})))
    distances = {key: distance_km(centre, point_of(geohash)) for key, geohash in every.items()}
    wanted = sorted((far, key) for key, far in distances.items() if far <= kilometres)
    assert 5 < len(wanted) < 150
    found = reader.near(*centre, kilometres)
    assert [(one.kilometres, one.key) for one in found] == wanted
    assert found[0] == Near(wanted[0][1], wanted[0][0], point_of(every[wanted[0][1]]))


def test_what_cannot_be_searched_is_refused(reader: Reader) -> None:
    with pytest.raises(TooFar, match="20000 km around 0, 0 are too many"):
        reader.near(0, 0, 20_000)
    with pytest.raises(ValueError, match="is no radius"):
        reader.near(0, 0, -1)
    with pytest.raises(ValueError, match="is no place"):
        reader.near(91, 0, 1)
