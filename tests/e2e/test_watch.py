"""`tidemill watch`: the page for a stack that only AWS's API tells of."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_page import RULES, Page, send
from tests.e2e.test_up import state, until_said, up
from tests.processes import running
from tidemill_local.clients import EmulatorSession

pytestmark = pytest.mark.timeout(600)


@pytest.mark.slow
def test_a_stack_is_watched_and_a_click_redrives(tmp_path: Path) -> None:
    (tmp_path / "seats.py").write_text(RULES.replace(" MORE", ""))
    with up(tmp_path, "--rules", "seats", "--no-page", "--parameter", "BatchingWindowSeconds=0"):
        found = state(tmp_path, lambda one: bool(one["mappings"]))
        send(found, ("seat/poison", None))
        state(tmp_path, lambda one: one["quarantined"] == 1)
        command = [str(Path(sys.executable).with_name("tidemill")), "watch", "--stack", "tidemill", "--json", "w.json"]
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_ENDPOINT_URL": found["endpoint"]}
        with running(command, tmp_path, env) as process:
            said = until_said(process, "running; ")
            assert "CloudWatch is asked for 12 metrics once a minute while the page is open: $0.007 an hour" in said
            page = Page(said.split("the figures, live: ")[1].split()[0])
            event = page.when(lambda one: bool(one["newest_quarantined"]))
            assert event["shown"]["texts"]["source"].startswith("AWS, by CloudWatch: some minutes late; ")
            assert event["figures"] == json.loads((tmp_path / "w.json").read_text())["figures"]
            assert len(event["figures"]["shards"]) > 0
            assert (tmp_path / "w.json").stat().st_mode & 0o777 == 0o600
            (one,) = event["figures"]["newest_quarantined"]
            assert page.redrive(one["object"])["done"] is True
            later = page.when(lambda later: [each["object"] for each in later["newest_quarantined"]] != [one["object"]])
            assert one["object"] not in json.dumps(later)
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=30)[0] == "stopped\n"
        assert process.returncode == 0
        redriven = records(found)
        assert redriven == 2


def records(found: dict[str, Any]) -> int:
    """How many records are on the stream."""
    kinesis = EmulatorSession(found["endpoint"], "test", "test").client("kinesis")
    count = 0
    for shard in kinesis.list_shards(StreamName=found["outputs"]["StreamName"])["Shards"]:
        place = {"StreamName": found["outputs"]["StreamName"], "ShardId": shard["ShardId"]}
        iterator = kinesis.get_shard_iterator(**place, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        count += len(kinesis.get_records(ShardIterator=iterator)["Records"])
    return count


def test_a_stack_that_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("tidemill")), "watch"]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("tidemill watch: no stack 'tidemill' answers at http://127.0.0.1:9")
