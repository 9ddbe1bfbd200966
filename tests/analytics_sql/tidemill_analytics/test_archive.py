"""What analysts rely on: every archived line is there, requests count once, and SQL harms nothing."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from tidemill_analytics.archive import (
    Archive,
    ArchiveEmptyError,
    ArchiveError,
    SqlError,
    UnknownQueryError,
    queries,
)
from tidemill_local.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_TIMED = (
    "SELECT * EXCLUDE (sent_at, arrived_at, time), CAST(sent_at AS VARCHAR) AS sent, "
    "CAST(arrived_at AS VARCHAR) AS arrived, CAST(time AS VARCHAR) AS time FROM interactions"
)
LANDING = "landing/dt=2026-11-24/hour=07/a.ndjson.gz"
MINUTE = 1_764_000_000_000 - 1_764_000_000_000 % 60_000


def request(number: int, cmd: str = "content.view", key: str = "content/1", **fields: Any) -> bytes:
    body = {"v": 1, "id": f"r{number}", "cmd": cmd, "key": key, "client": "ada", "data": {}, **fields}
    return json.dumps(body).encode()


def land(root: Path, lines: Iterable[bytes], path: str = LANDING) -> Archive:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress(b"".join(line + b"\n" for line in lines)))
    return Archive(root)


def rows(archive: Archive, sql: str) -> list[tuple[Any, ...]]:
    return list(archive.sql(sql).itertuples(index=False, name=None))


def test_a_request_is_a_row_with_typed_columns(tmp_path: Path) -> None:
    line = request(1, w="w1", n=17, at=MINUTE + 1, data={"title": "Tide", "tags": [1, 2.5]})
    frame = land(tmp_path, [line]).sql(_TIMED)

    assert frame.iloc[0].dropna().to_dict() == {
        "id": "r1",
        "cmd": "content.view",
        "key": "content/1",
        "client": "ada",
        "writer": "w1",
        "counter": 17,
        "at": MINUTE + 1,
        "data": '{"title":"Tide","tags":[1,2.5]}',
        "dt": "2026-11-24",
        "hour": "07",
        "file": LANDING,
        "sent": "2025-11-24 16:00:00.001",
        "arrived": "2026-11-24 07:00:00",
        "time": "2025-11-24 16:00:00.001",
    }


TYPES = dict.fromkeys(("id", "cmd", "key", "client", "writer", "data", "raw", "error", "dt", "hour", "file"), "VARCHAR")


@pytest.mark.parametrize("first", [[b"no request"], [b"no request"] * 100, [request(1)]])
def test_a_column_has_its_type_though_a_files_are_all_null(tmp_path: Path, first: list[bytes]) -> None:
    land(tmp_path, first)
    archive = land(tmp_path, [request(2, w="w", n=2**63 - 1, at=-(2**62))], LANDING.replace("a.nd", "b.nd"))
    types = {**TYPES, "counter": "BIGINT", "at": "BIGINT"}
    columns = ", ".join(f'list(DISTINCT typeof("{name}")) AS "{name}"' for name in types)
    found = archive.sql(f"SELECT {columns} FROM interactions").iloc[0]
    assert {name: list(found[name]) for name in types} == {name: [kind] for name, kind in types.items()}
    sql = "SELECT counter, \"at\", writer FROM interactions WHERE id = 'r2'"
    assert rows(archive, sql) == [(2**63 - 1, -(2**62), "w")]


@pytest.mark.parametrize(
    ("line", "raw", "reason"),
    [
        (b'{"v":1,"id":"r1","cmd":', '{"v":1,"id":"r1","cmd":', "truncated"),
        (b"plain text", "plain text", "malformed"),
        (b"caf\xe9 \xff", "caf\\xe9 \\xff", "malformed"),
        (b'{"name":"tap"}', '{"name":"tap"}', "missing required field"),
        (b'"quoted"', '"quoted"', "Expected `object`"),
        (
            b'{"v":1,"id":"a","cmd":"c","data":{"x":NaN}}',
            '{"v":1,"id":"a","cmd":"c","data":{"x":NaN}}',
            "malformed",
        ),
        (b'{"v":1,"id":"a","id":"b","cmd":"c","data":{}}', None, "twice"),
        (b"[" * 100_000, None, ""),
        (b"a\0b", "a\0b", "malformed"),
    ],
)
def test_a_line_that_is_no_request_is_a_row_too(tmp_path: Path, line: bytes, raw: str | None, reason: str) -> None:
    archive = land(tmp_path, [request(1), line, request(2)])
    found = rows(archive, "SELECT raw, error FROM interactions WHERE error IS NOT NULL")

    assert len(found) == 1
    assert found[0][0] == (line.decode() if raw is None else raw)
    assert reason in found[0][1]
    assert rows(archive, "SELECT count(*) FROM requests") == [(2,)]


def test_what_failed_on_its_way_is_a_row_with_its_error(tmp_path: Path) -> None:
    failed = {
        "attemptsMade": 1,
        "errorCode": "DeAggregation",
        "errorMessage": "MD5 differs",
        "rawData": "84ma",
    }
    land(tmp_path, [request(1)])
    path = "landing-errors/processing-failed/dt=2026-11-24/e.ndjson.gz"
    archive = land(tmp_path, [json.dumps(failed).encode(), b"?", b""], path)

    assert rows(archive, "SELECT error, dt, hour IS NULL FROM interactions WHERE error IS NOT NULL ORDER BY error") == [
        ("DeAggregation: MD5 differs", "2026-11-24", True),
        ("in the error output, and not in its form", "2026-11-24", True),
    ]
    assert "84ma" in archive.query("unreadable").to_string()


def test_copies_of_a_request_count_once_and_all_are_kept(tmp_path: Path) -> None:
    land(tmp_path, [request(1), request(2), request(1)])
    later = "landing/dt=2026-11-24/hour=08/b.ndjson.gz"
    archive = land(tmp_path, [request(1), request(1, key="content/2")], later)

    assert rows(archive, "SELECT count(*) FROM interactions") == [(5,)]
    assert rows(archive, "SELECT id, key, hour, copies FROM requests ORDER BY id, key") == [
        ("r1", "content/1", "07", 3),
        ("r1", "content/2", "08", 1),
        ("r2", "content/1", "07", 1),
    ]


def test_hostile_numbers_do_not_spoil_the_table(tmp_path: Path) -> None:
    numbers = [10**30, -(10**30), 2**63 - 1, 0]
    archive = land(tmp_path, [request(n, at=at) for n, at in enumerate(numbers)])

    assert rows(archive, "SELECT count(*), count(sent_at) FROM interactions") == [(4, 1)]


def test_a_damaged_object_gives_what_can_be_read_and_one_row_that_names_it(tmp_path: Path) -> None:
    archive = land(tmp_path, [request(1)])
    damaged = tmp_path / "landing/dt=2026-11-24/hour=09/torn.ndjson.gz"
    damaged.parent.mkdir()
    packed = gzip.compress(b"".join(request(n) + b"\n" for n in range(2, 4002)))
    damaged.write_bytes(packed[: len(packed) // 2])

    ids = [number for (number,) in rows(archive, "SELECT id FROM interactions WHERE hour = '09' AND error IS NULL")]
    assert 1000 < len(ids) < 3000
    assert ids == [f"r{number}" for number in range(2, 2 + len(ids))]
    ((raw, error),) = rows(archive, "SELECT raw, error FROM interactions WHERE error IS NOT NULL")
    assert request(2 + len(ids)).decode().startswith(raw)
    assert error == "damaged gzip object landing/dt=2026-11-24/hour=09/torn.ndjson.gz: it ends too early"


def test_bytes_behind_the_compressed_ones_cost_no_request(tmp_path: Path) -> None:
    archive = land(tmp_path, [])
    (tmp_path / LANDING).write_bytes(gzip.compress(request(1) + b"\n" + request(2)) + b"rubbish")
    ((error,),) = rows(archive, "SELECT error FROM interactions WHERE error IS NOT NULL")
    assert error == f"damaged gzip object {LANDING}: 7 bytes behind its compressed ones"
    assert rows(archive, "SELECT id FROM requests ORDER BY id") == [("r1",), ("r2",)]


def test_a_request_over_several_lines_is_one_row(tmp_path: Path) -> None:
    indented = json.dumps(json.loads(request(2)), indent=2).encode()
    archive = land(tmp_path, [request(1) + b"\n", indented, b"?"])
    assert rows(archive, "SELECT coalesce(id, raw) FROM interactions ORDER BY id NULLS LAST") == [
        ("r1",),
        ("r2",),
        ("?",),
    ]


def test_objects_that_are_not_compressed_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "landing/dt=2026-11-24/hour=09/plain.ndjson"
    path.parent.mkdir(parents=True)
    path.write_bytes(request(1) + b"\n" + request(2))

    assert rows(Archive(tmp_path), "SELECT id FROM requests ORDER BY id") == [("r1",), ("r2",)]


# The analysts' queries


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return land(
        tmp_path,
        [
            request(1, at=MINUTE),
            request(1, at=MINUTE),
            request(2, at=MINUTE + 59_999, client="bela"),
            request(3, at=MINUTE + 60_000, key="content/2"),
            request(4, "content.like", at=MINUTE + 61_000),
            request(5, "content.publish", "content/3"),
            b"?",
        ],
    )


def test_each_query_says_what_it_shows_and_runs(archive: Archive) -> None:
    assert {
        "interactions",
        "top-content",
        "per-minute",
        "hourly",
        "commands",
        "clients",
        "unreadable",
    } == set(queries())
    for name, description in queries().items():
        assert description
        assert len(archive.query(name)) > 0


def answers(archive: Archive, name: str, *columns: str) -> list[tuple[Any, ...]]:
    return list(archive.query(name)[list(columns)].itertuples(index=False, name=None))


def test_interactions_shows_every_line(archive: Archive) -> None:
    assert len(archive.query("interactions")) == 7


def test_top_content_counts_each_view_once(archive: Archive) -> None:
    assert answers(archive, "top-content", "key", "views", "likes", "viewers") == [
        ("content/1", 2, 1, 2),
        ("content/2", 1, 0, 1),
    ]


def test_per_minute_goes_by_the_clients_clocks_and_else_by_arrival(archive: Archive) -> None:
    found = answers(archive, "per-minute", "minute", "requests", "by_arrival")
    assert [(str(minute), *counts) for minute, *counts in found] == [
        ("2025-11-24 16:00:00", 2, 0),
        ("2025-11-24 16:01:00", 2, 0),
        ("2026-11-24 07:00:00", 1, 1),
    ]


@pytest.mark.parametrize(
    ("path", "arrived"),
    [
        ("landing/dt=2026-11-24/hour=07/Archive-1-2026-11-24-07-42-59-0f3a.ndjson.gz", "2026-11-24 07:42:59"),
        ("landing/dt=2026-11-24/hour=07/a-2-1-2026-11-24-07-42-59-0f3a-11-2b.gz", "2026-11-24 07:42:59"),
        ("landing/dt=2026-11-24/hour=07/by-hand.gz", "2026-11-24 07:00:00"),
        ("landing/dt=2026-11-24/hour=07/Archive-1-2026-99-24-07-42-59-0f3a.gz", "2026-11-24 07:00:00"),
        ("landing/dt=2026-11-24/hour=07/of-2020-01-01-00-00-00-x-1-2026-11-24-07-42-59-0.gz", "2026-11-24 07:42:59"),
        ("landing/dt=2026-11-24/c.gz", "2026-11-24 00:00:00"),
        ("landing/c.gz", "NaT"),
    ],
)
def test_arrival_is_known_as_far_as_the_objects_name_tells(tmp_path: Path, path: str, arrived: str) -> None:
    archive = land(tmp_path, [request(1), request(2, at=MINUTE)], path)
    assert [str(time) for (time,) in rows(archive, "SELECT arrived_at FROM requests")] == [arrived] * 2
    assert archive.query("per-minute")["requests"].sum() == 2


def test_hourly_goes_by_arrival(archive: Archive) -> None:
    assert answers(archive, "hourly", "dt", "hour", "cmd", "requests") == [
        ("2026-11-24", "07", "content.view", 3),
        ("2026-11-24", "07", "content.like", 1),
        ("2026-11-24", "07", "content.publish", 1),
    ]


def test_commands_have_shares_and_repeats(archive: Archive) -> None:
    assert answers(archive, "commands", "cmd", "requests", "percent", "repeats") == [
        ("content.view", 3, 60.0, 1),
        ("content.like", 1, 20.0, 0),
        ("content.publish", 1, 20.0, 0),
    ]


def test_clients_are_ranked_by_requests(archive: Archive) -> None:
    assert answers(archive, "clients", "client", "requests", "keys") == [("ada", 4, 3), ("bela", 1, 1)]


# Errors and limits


def test_an_unknown_query_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownQueryError, match=r"'top'.*clients, commands.*top-content"):
        Archive(tmp_path).query("top")


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT nothing FROM requests", "SELECT 'x'::INTEGER FROM requests"])
def test_bad_sql_is_answered_with_what_duckdb_says(archive: Archive, sql: str) -> None:
    with pytest.raises(SqlError, match="Error: ") as told:
        archive.sql(sql)
    assert "word of SQL" not in str(told.value)


@pytest.mark.parametrize("sql", ["SELECT min(at) FROM requests", "SELECT id, At FROM requests"])
def test_a_bare_at_is_told_how_it_is_written(archive: Archive, sql: str) -> None:
    with pytest.raises(SqlError, match='The column at is a word of SQL: write "at", or use sent_at'):
        archive.sql(sql)
    assert len(archive.sql('SELECT min("at") AS at FROM requests')) == 1


@pytest.mark.parametrize(
    "sql", ['SELECT "at" FORM requests x y', "SELECT 'at', FROM FROM", "SELECT sent_at attic,, data"]
)
def test_another_error_is_not_laid_on_at(archive: Archive, sql: str) -> None:
    with pytest.raises(SqlError, match="Error: ") as told:
        archive.sql(sql)
    assert "word of SQL" not in str(told.value)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{file}'",
        "ATTACH '{file}'",
        "EXPORT DATABASE '{file}'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "DROP VIEW interactions",
        "SELECT 1; COPY (SELECT 1) TO '{file}'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}'",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM glob('{secret}')",
        "SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')",
        "SELECT * FROM query('COPY (SELECT 1) TO ''{file}''')",
        "SELECT * FROM caller_s_frame",
        "",
    ],
)
def test_sql_reads_the_archive_and_nothing_else(tmp_path: Path, archive: Archive, sql: str) -> None:
    secret, file = tmp_path / "secret.csv", tmp_path / "written"
    caller_s_frame = archive.sql("SELECT 1 AS a")
    secret.write_text("a\n1\n")
    with pytest.raises(SqlError):
        archive.sql(sql.format(secret=secret, file=file))

    assert len(caller_s_frame) == 1
    assert not file.exists()
    assert len(archive.query("interactions")) == 7


def test_an_empty_archive_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ArchiveEmptyError, match="tidemill up"):
        Archive(tmp_path).query("clients")


def test_a_place_that_is_no_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"missing is neither a folder nor s3://"):
        Archive(tmp_path / "missing").query("clients")


def test_an_s3_that_does_not_answer_is_an_error_of_one_line() -> None:
    closed = Archive("s3://bucket", "http://127.0.0.1:9", "test", "test")
    with pytest.raises(ArchiveError, match="s3://bucket cannot be read") as raised:
        closed.query("clients")

    assert "\n" not in str(raised.value)


def test_the_archive_is_read_from_s3(tmp_path: Path) -> None:
    with Emulator(port=0) as emulator:
        s3 = emulator.client("s3")
        s3.create_bucket(Bucket="archive")
        s3.put_object(Bucket="archive", Key="events/landing/", Body=b"")
        for number in range(20):
            key = f"events/landing/dt=2026-11-24/hour={number:02}/x.ndjson.gz"
            s3.put_object(Bucket="archive", Key=key, Body=gzip.compress(request(number) + b"\n\xff\n"))
        archive = Archive("s3://archive/events/", emulator.endpoint_url, "test", "test")

        assert rows(archive, "SELECT count(id), count(error), max(hour) FROM interactions") == [(20, 20, "19")]
        with pytest.raises(ArchiveError, match="s3://nowhere"):
            Archive("s3://nowhere", emulator.endpoint_url, "test", "test").query("clients")
