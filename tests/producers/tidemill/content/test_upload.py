"""Photos get into a real bucket whole or not at all, in one call or in parts, and go on where they were interrupted."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.producers.tidemill.content.photos import photo
from tidemill import Producer, Uploaded
from tidemill.content.token import PART_BYTES
from tidemill_local.emulator import Emulator


@pytest.fixture
def s3(emulator: Emulator) -> Any:
    return emulator.client("s3")


@pytest.fixture
def producer(emulator: Emulator, stream: str, bucket: str, s3: Any) -> Iterator[Producer]:
    kinesis = emulator.client("kinesis")
    with Producer(stream, kinesis=kinesis, s3=s3, bucket=bucket, client="us-east-1:ann") as one:
        yield one


def stored(s3: Any, bucket: str, uploaded: Uploaded) -> Any:
    found = s3.get_object(Bucket=bucket, Key=uploaded.name, ChecksumMode="ENABLED")
    assert found.get("VersionId") == uploaded.version
    return found


@pytest.mark.parametrize("size", [100, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES])
@pytest.mark.parametrize("is_file", [True, False], ids=["file", "bytes"])
def test_a_photo_is_stored_as_it_is(
    producer: Producer, s3: Any, bucket: str, tmp_path: Path, size: int, is_file: bool
) -> None:
    data, path = photo(size), tmp_path / "photo.txt"
    path.write_bytes(data)
    seen: list[tuple[int, int, str | None]] = []
    done = producer.upload(path if is_file else data, key="content/4 2", progress=lambda *how: seen.append(how))
    assert done[:1] + done[2:] == ("photos/us-east-1:ann/content/4%202", size, "image/jpeg")
    found = stored(s3, bucket, done)
    assert hashlib.sha256(found["Body"].read()).digest() == hashlib.sha256(data).digest()
    assert (found["ContentType"], found["Metadata"]) == ("image/jpeg", {})
    assert found["ChecksumSHA256"].partition("-")[2] == ("" if size <= PART_BYTES else str(-(-size // PART_BYTES)))
    assert [how[0] for how in seen] == sorted(how[0] for how in seen)
    assert seen[-1][:2] == (size, size)
    assert all((how[2] is None) == (size <= PART_BYTES) for how in seen[1:])


def test_a_place_is_told_only_if_the_owner_says_so(producer: Producer, s3: Any, bucket: str) -> None:
    for data in (photo(100), photo(PART_BYTES + 1)):
        done = producer.upload(data, key="content/1", with_place=True)
        assert stored(s3, bucket, done)["Metadata"] == {"place": "yes"}
        done = producer.upload(data, key="content/1")
        assert stored(s3, bucket, done)["Metadata"] == {}
