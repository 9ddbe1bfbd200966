"""`tidemill scale` while a producer sends, `tidemill hot-keys`, and emits that loop, on the local platform."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tidemill import Producer
from tidemill_cli.main import main
from tidemill_consumers.codec.items import from_item
from tidemill_local.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(300)

RULES = """
from tidemill_consumers import Accepted, Emit

def note(state, request):
    seen = (state or {"seen": []})["seen"]
    return Accepted({"seen": [*seen, request.data["n"]]})

def again(state, request):
    other = "loop/b" if request.key == "loop/a" else "loop/a"
    return Accepted({"depth": request.depth}, emits=(Emit("again", other),))

RULES = {"note": note, "again": again}
"""

KEYS = [f"key/{number}" for number in range(20)]
ROUNDS = 150
"""Requests of each key."""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder: Path = tmp_path_factory.mktemp("noting")
    (folder / "noting.py").write_text(RULES)
    parameters = {"BatchingWindowSeconds": "0", "ShardCount": "1", "Rules": "noting", "EmitDepth": "5"}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        with Platform(0, parameters) as platform:
            yield platform


@pytest.fixture(autouse=True)
def _environment(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in platform.emulator.environment.items():
        monkeypatch.setenv(name, value)


def document(platform: Platform, key: str) -> Any:
    dynamodb = platform.emulator.client("dynamodb")
    item = dynamodb.get_item(TableName=platform.outputs["TableName"], Key={"pk": {"S": key}}, ConsistentRead=True)
    return from_item(item["Item"]).document if "Item" in item else None


@pytest.mark.slow
def test_a_stream_that_is_scaled_while_producers_send_loses_and_reorders_nothing(
    platform: Platform, becomes: Callable[[Callable[[], bool]], bool], capsys: pytest.CaptureFixture[str]
) -> None:
    stream, kinesis = platform.outputs["StreamName"], platform.emulator.client("kinesis")
    done = threading.Event()

    def send() -> None:
        with Producer(stream, kinesis=kinesis, linger=0.01) as producer:
            for n in range(ROUNDS):
                for key in KEYS:
                    producer.send("note", key=key, data={"n": n})
                done.wait(0.02)

    sender = threading.Thread(target=send)
    sender.start()
    for shards in ("4", "3", "8", "1", "2"):
        assert main(["scale", "--stack", "tidemill", "--shards", shards]) == 0
    sender.join()
    listed: Any = kinesis.list_shards(StreamName=stream)
    parents = sum("ParentShardId" in one for one in listed["Shards"])
    assert parents > 10, "the shards were split and merged while it sent"

    def is_done() -> bool:
        return all(len((document(platform, key) or {"seen": []})["seen"]) >= ROUNDS for key in KEYS)

    assert any(becomes(is_done) for _ in range(6)), "a generation of shards is read after the other"
    for key in KEYS:
        assert document(platform, key) == {"seen": list(range(ROUNDS))}
    capsys.readouterr()
    assert main(["hot-keys", "--stack", "tidemill", "--minutes", "1"]) == 0
    shown = capsys.readouterr().out
    assert "(closed)" in shown
    assert "key/" in shown


@pytest.mark.slow
def test_emits_that_loop_end_at_the_stacks_limit_and_can_be_let_go_on(
    platform: Platform, becomes: Callable[[Callable[[], bool]], bool], capsys: pytest.CaptureFixture[str]
) -> None:
    bucket, s3 = platform.outputs["QuarantineBucketName"], platform.emulator.client("s3")

    def quarantined() -> int:
        return len(s3.list_objects_v2(Bucket=bucket, Prefix="quarantine/").get("Contents", []))

    with Producer(platform.outputs["StreamName"], kinesis=platform.emulator.client("kinesis")) as producer:
        producer.send("again", key="loop/a")
    assert becomes(lambda: quarantined() == 1)
    assert sorted(document(platform, key)["depth"] for key in ("loop/a", "loop/b")) == [4, 5]
    assert main(["redrive", "--stack", "tidemill"]) == 0
    shown = capsys.readouterr().out
    assert "emits loop: depth 6, and 5 is the most" in " ".join(shown.split())
    assert "cannot be redriven" in shown
    assert main(["redrive", "--stack", "tidemill", "--loops", "--apply", "--yes"]) == 0
    assert "1 put back" in capsys.readouterr().out
    moved = s3.list_objects_v2(Bucket=bucket, Prefix="redriven/").get("Contents", [])
    assert len(moved) == 1
    assert becomes(lambda: quarantined() == 1), "it went round as often again"
