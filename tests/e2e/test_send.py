"""`tidemill send` as a developer meets it: the real command, the local platform, real replies."""

from __future__ import annotations

import argparse
import io
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from tidemill import BufferFull, Producer, Stats, StillPending
from tidemill_cli.commands import send
from tidemill_cli.commands.send import lines as send_lines
from tidemill_consumers.codec.items import from_item
from tidemill_local.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform(0, {"BatchingWindowSeconds": "0", "ShardCount": "1"}) as platform:
        yield platform


@pytest.fixture(autouse=True)
def _environment(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in platform.emulator.environment.items():
        monkeypatch.setenv(name, value)


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser(prog="tidemill send")
    send.add_arguments(parser)
    return send.run(parser.parse_args([str(argument) for argument in arguments]))


def queues(platform: Platform) -> list[str]:
    urls: list[str] = (
        platform.emulator.client("sqs").list_queues(QueueNamePrefix="tidemill-client-").get("QueueUrls", [])
    )
    return urls


def document(platform: Platform, key: str) -> Any:
    dynamodb = platform.emulator.client("dynamodb")
    item = dynamodb.get_item(TableName=platform.outputs["TableName"], Key={"pk": {"S": key}}, ConsistentRead=True)
    return from_item(item["Item"]).document


def test_a_request_is_sent_and_its_reply_shown(
    platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = tmp_path / "result.json"
    data = '{"title": "Tide", "owner": "user/a@b.org"}'
    assert run("content.publish", "content/1", data, "--client", "ann", "--json", result) == 0
    shown = capsys.readouterr().out
    assert "accepted" in shown
    told = json.loads(result.read_text())
    assert told["reply"]["id"] == told["id"]
    assert told["reply"]["status"] == "accepted"
    assert document(platform, "content/1")["title"] == "Tide"
    assert queues(platform) == []


def test_what_is_not_accepted_says_why_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("nobody.knows", "k") == 1
    assert "quarantined unknown command nobody.knows" in capsys.readouterr().out


def test_without_a_reply_it_ends_once_the_request_is_on_the_stream(
    platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("nobody.knows", "k", "--no-reply") == 0
    assert run("nobody.knows", "k", "--stream", platform.outputs["StreamName"]) == 0
    assert capsys.readouterr().out.count("is on the stream: shardId-") == 2


LINES = """\
{"cmd": "content.publish", "key": "content/2", "data": {"title": "Two", "owner": "user/a@b.org"}}
no json
{"cmd": "content.like", "key": "content/2", "data": {}, "extra": 1}

{"cmd": "content.like", "key": "content/2", "data": {"stars": NaN}}
{"cmd": "content.like"}
{"cmd": "content.like", "key": "content/2", "w": "phone", "n": 4, "id": "liked"}
"""


@pytest.mark.parametrize("plain", [(), ("--plain",)])
def test_a_file_is_sent_and_its_bad_lines_are_named(
    plain: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, result = tmp_path / "requests.ndjson", tmp_path / "result.json"
    file.write_text(LINES)
    assert run("--file", file, "--json", result, *plain) == 1
    streams = capsys.readouterr()
    assert "3 requests are on the stream" in streams.out
    assert all(f"line {number}:" in streams.err for number in (2, 5, 6))
    assert "3 lines are no requests" in streams.err
    told = json.loads(result.read_text())
    assert (told["requests"], told["bad_lines"], told["pending"]) == (3, 3, 0)


def test_standard_input_is_a_file(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(LINES.splitlines()[0].encode())))
    assert run("--file", "-") == 0
    assert "1 requests are on the stream" in capsys.readouterr().out


def large_data(letter: str) -> dict[str, list[str]]:
    return {"rows": [letter * 100] * 3000}


def uploads(platform: Platform) -> list[str]:
    s3 = platform.emulator.client("s3")
    found = s3.list_objects_v2(Bucket=platform.outputs["ContentBucketName"], Prefix="uploads/")
    return [one["Key"] for one in found.get("Contents", [])]


def test_large_data_comes_from_a_file_and_is_applied(
    platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "data.json"
    file.write_text(json.dumps(large_data("a"), indent=2))
    assert run("event.track", "key/large", "--data-file", file, "--client", "ann") == 0
    assert "accepted" in capsys.readouterr().out
    assert any(name.startswith("uploads/ann/") for name in uploads(platform))


def test_large_data_comes_from_standard_input_and_the_bucket_may_be_named(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = uploads(platform)
    stream, bucket = platform.outputs["StreamName"], platform.outputs["ContentBucketName"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(large_data("b")).encode())))
    assert run("event.track", "key/large", "--data-file", "-", "--stream", stream, "--bucket", bucket) == 0
    assert "is on the stream" in capsys.readouterr().out
    (new,) = set(uploads(platform)) - set(before)
    assert new.startswith("uploads/tidemill-send-")  # a sender of its own, for no other is named


def test_large_data_without_a_bucket_or_with_a_wrong_one_says_what_to_do(
    platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, too_much = tmp_path / "data.json", tmp_path / "more.json"
    file.write_text(json.dumps(large_data("d")))
    too_much.write_text(json.dumps({"text": "x" * 5 * 1024 * 1024}))
    for data, named, advice in (
        (file, ("--stream", platform.outputs["StreamName"]), "--bucket of `tidemill send`"),
        (file, ("--bucket", "no-such-bucket"), "NoSuchBucket"),
        (too_much, (), "5242880 are the most; upload a file by itself"),
    ):
        assert run("event.track", "key/large", "--data-file", data, "--no-reply", *named) == 1
        assert advice in capsys.readouterr().err


def test_lines_with_large_data_are_uploaded_and_end_at_the_first_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "requests.ndjson"
    small = {"cmd": "event.track", "key": "key/large", "client": "ann"}
    file.write_text("\n".join(json.dumps(one) for one in (small, small | {"data": large_data("e")}, small)))
    assert run("--file", file) == 0
    assert "3 requests are on the stream" in capsys.readouterr().out
    assert run("--file", file, "--bucket", "no-such-bucket") == 1
    streams = capsys.readouterr()
    assert "1 requests are on the stream" in streams.out
    assert "line 2: NoSuchBucket" in streams.err
    assert "this line and those after it are not sent" in streams.err


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        ((), "give CMD KEY"),
        (("c",), "tidemill send c KEY"),
        (("c", "k", "--file", "x"), "give CMD KEY"),
        (("c", "k", "{x}"), "not JSON"),
        (("c", "k", "[1]"), "no JSON object"),
        (("c", "k", "{}", "--data-file", "x"), "give the data once"),
        (("--file", "x", "--data-file", "x"), "give the data once"),
        (("c", "k", "--data-file", "/nonexistent/file"), "cannot read /nonexistent/file: No such file"),
        (("c", "k", "--data-file", ""), "cannot read"),
        (("c", "k", "--bucket", ""), "--bucket is empty"),
        (("c", "k" * 257), "key"),
        (("--file", "/nonexistent/file"), "/nonexistent/file"),
        (("c", "k", "--stream", "no-such"), "create it"),
        (("c", "k", "--stack", "no-such"), "compare its name, the keys and AWS_REGION"),
        (("c", "k", "--json", "/nonexistent/file"), "no such folder"),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(
    arguments: tuple[str, ...], advice: str, platform: Platform, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("tidemill send: ")
    assert advice in complaint
    assert queues(platform) == []


@pytest.mark.parametrize("seconds", ["0", "-1", "inf", "soon"])
def test_a_timeout_is_a_number_of_seconds(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("c", "k", "--timeout", seconds)
    assert "number of seconds" in capsys.readouterr().err


def test_a_request_that_nobody_takes_ends_and_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert run("content.view", "content/1", "--stream", "none", "--timeout", "0.2") == 1
    shown = capsys.readouterr()
    assert "was not acknowledged within 0.2 s. Compare AWS_ENDPOINT_URL and the network, or wait longer" in shown.err


def test_a_file_that_nobody_takes_ends_and_says_how_much_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(send_lines, "PROGRESS_SECONDS", 0.05)
    result, lines = tmp_path / "result.json", tmp_path / "lines"
    lines.write_text('{"cmd": "content.view", "key": "content/1"}\n' * 3)
    assert run("--file", lines, "--stream", "none", "--timeout", "0.2", "--json", result) == 1
    shown = capsys.readouterr()
    assert "nothing was acknowledged within 0.2 s; 3 requests are left" in shown.err
    assert "3 requests were given up, 0 of which may be on the stream" in shown.err
    told = json.loads(result.read_text())
    assert (told["requests"], told["refused"], told["pending"]) == (3, 3, 0)


class Full:
    """A producer that has room when something has been flushed for the third time, or never."""

    def __init__(self, ever: bool) -> None:
        self.flushed = 0
        self.ever = ever

    def flush(self, timeout: float) -> None:
        self.flushed += 1
        raise StillPending(7)

    def stats(self) -> Stats:
        return Stats(requests=10, pending=7)


def test_a_full_producer_is_asked_again_until_it_has_room_or_nothing_moves() -> None:
    def line(producer: Full) -> str | None:
        if producer.ever and producer.flushed == 3:
            return None
        raise BufferFull

    producer = Full(ever=True)
    assert send_lines.Room(cast("Producer", producer), 60).once_there_is_some(lambda: line(producer)) is None
    assert producer.flushed == 3
    stuck = Full(ever=False)
    with pytest.raises(send_lines.Stalled, match=r"within 0 s; 7 requests are left"):
        send_lines.Room(cast("Producer", stuck), 0).once_there_is_some(lambda: line(stuck))
