"""The page of `tidemill up`: it shows what was sent, as the JSON does, and redrives as `tidemill redrive` does."""

from __future__ import annotations

import http.client
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.test_up import state, until_said, up
from tests.processes import running
from tidemill import Producer
from tidemill_local.clients import EmulatorSession

pytestmark = pytest.mark.timeout(600)

RULES = """\
from tidemill_consumers import Accepted, Rejected


def reserve(state, request):
    if request.data.get("count") == 0:
        return Rejected("none asked for")
    return Accepted({"seats": request.data["count"] MORE})


RULES = {"seat.reserve": reserve}
"""


class Page:
    """The page as its own script uses it."""

    def __init__(self, address: str) -> None:
        self._place = urlsplit(address).netloc

    def _asked(self, method: str, path: str, body: str | None = None, **headers: str) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self._place, timeout=60)
        connection.request(method, path, body, headers)
        return connection.getresponse()

    def events(self) -> Iterator[dict[str, Any]]:
        with self._asked("GET", "/events") as answer:
            for line in answer:
                if line.startswith(b"data: "):
                    yield json.loads(line.removeprefix(b"data: "))

    def when(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event of which something holds."""
        deadline = time.monotonic() + 60
        for event in self.events():
            if holds(event["figures"]):
                return event
            assert time.monotonic() < deadline, event
        raise AssertionError("it ended")

    def redrive(self, object_key: str) -> dict[str, Any]:
        with self._posted(object_key) as answer:
            assert answer.status == 200
            told: dict[str, Any] = json.loads(answer.read())
            return told

    def status_of_redrive(self, object_key: str) -> int:
        with self._posted(object_key) as answer:
            return answer.status

    def _posted(self, object_key: str) -> http.client.HTTPResponse:
        with self._asked("GET", "/") as answer:
            token = re.findall(r'name="token" content="([^"]+)"', answer.read().decode())
        headers = {"Content-Type": "application/json", "X-Tidemill-Token": token[0], "Origin": f"http://{self._place}"}
        return self._asked("POST", "/redrive", json.dumps({"object": object_key}), **headers)


def send(found: dict[str, Any], *requests: tuple[str, int | None]) -> None:
    kinesis = EmulatorSession(found["endpoint"], "test", "test").client("kinesis")
    with Producer(found["outputs"]["StreamName"], kinesis=kinesis) as producer:
        for key, count in requests:
            producer.send("seat.reserve", key=key, data={} if count is None else {"count": count})


def test_the_page_shows_what_was_sent_as_the_json_does_and_redrives_at_a_click(tmp_path: Path) -> None:
    (tmp_path / "seats.py").write_text(RULES.replace(" MORE", ""))
    rules = ["--rules", "seats", "--reload", "--parameter", "BatchingWindowSeconds=0", "--page", "0"]
    with up(tmp_path, *rules) as process:
        said = until_said(process, "the figures, live: ")
        found = state(tmp_path, lambda one: bool(one["mappings"]))
        assert said.endswith(f"the figures, live: {found['page']}\n")
        page = Page(found["page"])
        send(found, *[(f"seat/{number}", number) for number in range(50)], ("seat/poison", None))
        event = page.when(lambda one: one["requests"] == 51 and bool(one["newest_quarantined"]))
        figures, told = event["figures"], event["shown"]
        assert (figures["quarantined"], figures["waiting"]) == (1, 0)
        assert figures["saved"] == 51 - figures["invocations"] > 0
        assert figures["lag_ms"] > 0
        later = page.when(lambda one: one["applied"] is not None)["figures"]
        assert (later["applied"], later["rejected"], later["repeats"]) == (49, 1, 0)
        assert later["write_units"] >= 49
        assert 0 < later["p50_ms"] <= later["p99_ms"] < 60_000
        assert sum(one["records_per_second"] for one in figures["shards"]) > 0
        assert told["texts"]["headline"].startswith("51 requests in ")

        def same(one: dict[str, Any]) -> bool:
            return bool(one["figures"]["at"] == page_event["figures"]["at"])

        for page_event in page.events():  # each second's figures stand in the file until the next
            kept = json.loads((tmp_path / "up.json").read_text())
            if same(kept):
                assert kept["figures"] == page_event["figures"]
                assert kept["quarantined"] == page_event["figures"]["quarantined"]
                break

        (one,) = figures["newest_quarantined"]
        assert (one["key"], one["cmd"], one["problem"]) == ("seat/poison", "seat.reserve", None)
        assert "KeyError" in one["reason"]
        (tmp_path / "seats.py").write_text(RULES.replace('["count"] MORE', '.get("count", 1)'))
        until_said(process, "seats is loaded again")
        assert page.redrive("quarantine/../up.json") == {"done": True, "text": "it had been put back before"}
        assert page.redrive("redriven/x") == {"done": False, "text": "it is no object of the quarantine"}
        answer = page.redrive(one["object"])
        assert answer == {
            "done": True,
            "text": "put back on the stream; it is applied once, late, and answered again",
        }
        event = page.when(lambda one: one["requests"] == 52 and not one["newest_quarantined"])
        assert event["shown"]["texts"]["no_quarantined"] == "Nothing is in quarantine."
        table = EmulatorSession(found["endpoint"], "test", "test").client("dynamodb")
        item = table.get_item(TableName=found["outputs"]["TableName"], Key={"pk": {"S": "seat/poison"}})["Item"]
        assert item["doc"]["M"]["seats"] == {"N": "1"}


def test_what_redrive_refuses_shows_as_text(tmp_path: Path) -> None:
    with up(tmp_path, "--parameter", "BatchingWindowSeconds=0") as process:
        until_said(process, "the figures, live: ")
        found = state(tmp_path, lambda one: bool(one["mappings"]))
        kinesis = EmulatorSession(found["endpoint"], "test", "test").client("kinesis")
        kinesis.put_record(StreamName=found["outputs"]["StreamName"], PartitionKey="k", Data=b'{"id": "</script>"')
        page = Page(found["page"])
        (one,) = page.when(lambda one: bool(one["newest_quarantined"]))["figures"]["newest_quarantined"]
        assert one["problem"].startswith("no request: ")
        answer = page.redrive(one["object"])
        assert answer == {"done": False, "text": f"it cannot be redriven: {one['problem']}"}
        page.when(lambda later: [each["object"] for each in later["newest_quarantined"]] == [one["object"]])


@pytest.mark.slow
def test_no_page_is_served_unless_it_is_wanted_and_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with up(tmp_path, "--no-page") as process:
        said = until_said(process, "running; ")
        found = state(tmp_path, lambda one: bool(one["mappings"]))
        assert found["page"] is None
        assert found["figures"]["requests"] == 0
        assert "figures, live" not in said
        port = str(urlsplit(found["endpoint"]).port)
        with up(tmp_path / "one", "--page", port) as other:
            assert other.wait(60) == 1


@pytest.mark.slow
def test_the_page_of_the_demo_shows_how_far_it_is_and_redrives_nothing(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("tidemill")), "demo", "--requests", "300", "--speed", "max"]
    with running(command, tmp_path) as process:
        said = until_said(process, "the figures, live, as long as this runs: ")
        page = Page(said.split()[-1])
        assert page.when(lambda one: one["waiting"] > 10)["figures"]["source"] == "local"
        figures = page.when(lambda one: bool(one["newest_quarantined"]))["figures"]
        assert page.status_of_redrive(figures["newest_quarantined"][0]["object"]) == 400
        rest, _ = process.communicate(timeout=100)
    assert process.returncode == 0
    assert "\nreconciled: " in rest
