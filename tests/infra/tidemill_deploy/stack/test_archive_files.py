import gzip
from datetime import UTC, datetime, timedelta

import pytest

from tidemill_deploy.stack.archive_files import ArchiveFiles, hours
from tidemill_local.emulator import Emulator

NOW = datetime.now(UTC)


def put(emulator: Emulator, bucket: str, name: str, body: bytes, moment: datetime = NOW) -> str:
    key = f"landing/dt={moment:%Y-%m-%d}/hour={moment:%H}/{name}"
    emulator.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    return key


def test_a_file_is_given_once_and_later_ones_when_they_come(emulator: Emulator, bucket: str) -> None:
    files = ArchiveFiles(emulator.client("s3"), bucket, "landing/", NOW)
    first = put(emulator, bucket, "1.gz", gzip.compress(b"a\nb\n"))
    assert list(files.new(NOW)) == [first]
    second = put(emulator, bucket, "2.gz", gzip.compress(b"c\n"))
    assert list(files.new(NOW)) == [second]
    assert [list(files.lines(one)) for one in (first, second)] == [[b"a\n", b"b\n"], [b"c\n"]]


def test_lines_of_a_file_that_is_not_compressed_are_read_too(emulator: Emulator, bucket: str) -> None:
    files = ArchiveFiles(emulator.client("s3"), bucket, "landing/", NOW)
    assert list(files.lines(put(emulator, bucket, "plain.ndjson", b"a\nb\n"))) == [b"a", b"b"]


def test_folders_of_earlier_hours_are_not_listed(emulator: Emulator, bucket: str) -> None:
    put(emulator, bucket, "old.gz", b"", NOW - timedelta(hours=3))
    assert list(ArchiveFiles(emulator.client("s3"), bucket, "landing/", NOW).new(NOW)) == []


def test_files_that_are_older_than_clocks_differ_are_left_out(emulator: Emulator, bucket: str) -> None:
    put(emulator, bucket, "1.gz", b"")
    later = NOW + timedelta(hours=1)
    assert list(ArchiveFiles(emulator.client("s3"), bucket, "landing/", later).new(later)) == []


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ((23, 58), (23, 59), ["landing/dt=2026-11-29/hour=23/"]),
        ((22, 59), (24, 1), [f"landing/dt=2026-11-{at}/" for at in ("29/hour=22", "29/hour=23", "30/hour=00")]),
    ],
)
def test_the_folders_of_all_hours_are_looked_into(
    first: tuple[int, int], last: tuple[int, int], expected: list[str]
) -> None:
    def moment(hour: int, minute: int) -> datetime:
        return datetime(2026, 11, 29 + hour // 24, hour % 24, minute, tzinfo=UTC)

    assert hours("landing/", moment(*first), moment(*last)) == expected
