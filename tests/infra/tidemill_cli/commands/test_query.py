"""`tidemill query` as a user meets it: the real command over a small archive."""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
from typing import TYPE_CHECKING

import pytest

from tidemill_cli.commands import query
from tidemill_local.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AWS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_CLOUDFORMATION", "AWS_PROFILE")
STACK = {
    "Resources": {"Archive": {"Type": "AWS::S3::Bucket"}},
    "Outputs": {"ArchiveBucketName": {"Value": {"Ref": "Archive"}}},
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*AWS, "TIDEMILL_ARCHIVE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive" / "landing" / "dt=2026-11-24" / "hour=07"
    folder.mkdir(parents=True)
    (folder / "a.ndjson.gz").write_bytes(gzip.compress(b"\n".join([*map(view, range(60)), b"\x1b[2J\xff"])))
    return tmp_path / "archive"


def view(number: int) -> bytes:
    body = {"v": 1, "id": f"r{number}", "cmd": "content.view", "key": f"content/{number:03}", "data": {}}
    return json.dumps(body | {"at": 1_764_000_000_000}).encode()


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="tidemill query")
    query.add_arguments(parser)
    return query.run(parser.parse_args([str(argument) for argument in arguments]))


def test_without_a_name_it_lists_the_queries(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    listing = capsys.readouterr().out

    assert "top-content" in listing
    assert "contents by views" in listing
    assert "tidemill query NAME" in listing


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")

    assert "tidemill query top-content" in capsys.readouterr().out


def test_a_table_is_cut_and_says_so(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("top-content", "--archive", archive) == 0
    shown = capsys.readouterr().out

    assert shown.count("content/") == query.ROWS_SHOWN
    assert "50 of 60 rows" in shown
    assert "\x1b" not in shown, "no colour into a pipe"


def test_a_limit_is_kept_everywhere(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    assert run("top-content", "--archive", archive, "--limit", 55, "--json", out) == 0

    assert capsys.readouterr().out.count("content/") == 55
    assert len(json.loads(out.read_text())) == 55


def test_csv_is_whole_and_nothing_else(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("top-content", "--archive", archive, "--format", "csv") == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))

    assert len(lines) == 60
    assert lines[0] == {"key": "content/000", "views": "1", "likes": "0", "viewers": "0"}


def test_json_is_whole_and_nothing_else(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    assert run("top-content", "--archive", archive, "--format", "json", "--json", out) == 0
    printed = capsys.readouterr().out

    assert printed == out.read_text()
    assert len(json.loads(printed)) == 60
    assert json.loads(printed)[0] == {"key": "content/000", "views": 1, "likes": 0, "viewers": 0}


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_terminal_is_not_steered_by_either(
    form: str, archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run("unreadable", "--archive", archive, "--format", form) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_csv_on_a_terminal_does_not_steer_it(
    archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("unreadable", "--archive", archive, "--format", "csv") == 0
    assert "\x1b[2J" in capsys.readouterr().out  # as it is, into a file or a pipe
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run("unreadable", "--archive", archive, "--format", "csv") == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\\x1b[2J" in shown


def test_sql_is_answered_and_json_has_typed_records(archive: Path, tmp_path: Path) -> None:
    out, sql = tmp_path / "out.json", "SELECT count(*) AS n, min(sent_at) AS first, NULL AS gap FROM requests"
    assert run("--sql", sql, "--archive", archive, "--json", out) == 0

    assert json.loads(out.read_text()) == [{"n": 60, "first": "2025-11-24T16:00:00.000", "gap": None}]


def test_numbers_are_exact_however_they_are_shown(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    large, money = "9007199254741013::HUGEINT AS total", "'12345678901234567.89'::DECIMAL(20, 2) AS money"
    sql = f"SELECT sum(1) AS n, {large}, {money} FROM requests"
    for form in ("csv", "table"):
        assert run("--sql", sql, "--archive", archive, "--json", out, "--format", form) == 0
        last = capsys.readouterr().out.splitlines()
        row = last[-1] if form == "csv" else last[-2]
        assert row.translate(str.maketrans("│,", "  ")).split() == ["60", "9007199254741013", "12345678901234567.89"]
    assert "".join(out.read_text().split()) == '[{"n":60,"total":9007199254741013,"money":12345678901234567.89}]'


def test_what_clients_sent_does_not_steer_the_terminal(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("unreadable", "--archive", archive) == 0
    shown = capsys.readouterr().out

    assert "\x1b" not in shown
    assert "\\x1b[2J\\xff" in shown


def test_colour_is_for_terminals_unless_it_is_unwanted(
    archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    run("commands", "--archive", archive)
    coloured = capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    run("commands", "--archive", archive)

    assert "\x1b[1m" in coloured
    assert "\x1b[3" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nope"], "there is no query 'nope'"),
        (["--sql", "SELEC"], "Parser Error"),
        (["clients", "--sql", "SELECT 1"], "not both"),
        (["clients", "--json", "/nowhere/out.json"], "/nowhere/out.json cannot be written"),
    ],
)
def test_an_error_is_a_message_and_an_exit_code(
    archive: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(*arguments, "--archive", archive) == 1
    printed = capsys.readouterr()

    assert printed.out == ""
    assert printed.err.startswith("tidemill query: ")
    assert message in printed.err
    assert "Traceback" not in printed.err


def test_the_environment_names_the_archive(
    archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEMILL_ARCHIVE", str(archive))

    assert run("--sql", "SELECT count(*) AS n FROM requests", "--format", "csv") == 0
    assert capsys.readouterr().out == "n\n60\n"


def test_where_nothing_runs_it_names_the_command_that_starts_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    assert run("clients") == 1
    assert "tidemill up" in capsys.readouterr().err


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(port=0) as running:
        yield running


def test_the_running_platforms_archive_is_found(
    emulator: Emulator, archive: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator.endpoint_url)
    assert run("clients") == 1, "no stack yet"
    assert "tidemill up" in capsys.readouterr().err

    cloudformation = emulator.client("cloudformation")
    cloudformation.create_stack(StackName="tidemill", TemplateBody=json.dumps(STACK))
    cloudformation.get_waiter("stack_create_complete").wait(StackName="tidemill")
    (bucket,) = emulator.client("s3").list_buckets()["Buckets"]
    assert run("clients") == 1, "nothing in it yet"
    told = capsys.readouterr().err
    assert "nothing has landed" in told
    assert "tidemill.Producer" in told
    assert "tidemill send" not in told

    (landed,) = archive.rglob("*.gz")
    key = landed.relative_to(archive).as_posix()
    emulator.client("s3").put_object(Bucket=bucket["Name"], Key=key, Body=landed.read_bytes())
    assert run("--sql", "SELECT count(*) AS n FROM interactions", "--format", "csv") == 0
    assert capsys.readouterr().out == "n\n61\n"
    assert run("commands", "--archive", f"s3://{bucket['Name']}") == 0
