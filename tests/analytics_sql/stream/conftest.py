"""What tests of the stage's SQL need: a session of PyFlink in its own environment, and files to read and write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.tree import ROOT

PYTHON = ROOT / ".venv" / "analytics" / "bin" / "python"
HEAP = "-Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
BEGIN = 1_764_500_000
"""The seconds since 1970 at which made requests begin to arrive."""

PROPERTIES = {
    "generation": "20260101T000000Z-abcdef",
    "begin": str(BEGIN),
    "commands": '{"content.view": null, "cart.add": "count"}',
    "periods": f"{BEGIN - 1000}-",
    "stages": "coalesce",
    "binding": "files",
}
WRITTEN = {"coalesce": "totals", "top_content": "tops", "anomalies": "alerts", "enrich": "enriched"}


class Flink:
    """A process of PyFlink that runs jobs one after another."""

    def __init__(self, folder: Path) -> None:
        self._told = folder / "log"
        self._log = self._told.open("wb")
        self._process = subprocess.Popen(
            [
                PYTHON,
                "-P",
                Path(__file__).with_name("session.py"),
            ],  # beside it lies a module named like one of Python's
            env=os.environ | {"PYTHONPATH": str(ROOT / "analytics_sql"), "JDK_JAVA_OPTIONS": HEAP},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=folder,
        )

    def plans(self, properties: Mapping[str, str]) -> dict[str, str]:
        """The plan of each stage's insert."""
        plans: dict[str, str] = self._ask({"explain": properties})["plans"]
        return plans

    def run(self, properties: Mapping[str, str]) -> None:
        """Run a job to its end."""
        self._ask({"run": properties})

    def _ask(self, question: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):  # why it ended is told below
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
        while (line := self._process.stdout.readline()) and not line.startswith(b'{"'):
            continue
        assert line, f"the session ended: {self._told.read_text()[-2000:]}"
        answer: dict[str, Any] = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()
        self._log.close()


@pytest.fixture(scope="session")
def flink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flink]:
    if not shutil.which("java"):
        pytest.skip("there is no java: apt-get install openjdk-17-jre-headless")
    if not PYTHON.exists():
        pytest.skip("there is no environment with PyFlink: make analytics-env")
    session = Flink(tmp_path_factory.mktemp("flink"))
    yield session
    session.stop()


class Job:
    """A job that reads requests from a folder once, and writes to others."""

    def __init__(self, flink: Flink, folder: Path) -> None:
        self._flink = flink
        self._folder = folder
        self._runs = 0

    def properties(self, **properties: str) -> dict[str, str]:
        """The runtime properties of a job on the folder, with these in place of the usual ones."""
        names = ("requests", "reference", *WRITTEN.values())
        places = {f"{one}.path": (self._folder / one).as_uri() for one in names}
        return {**PROPERTIES, **places, **{name.replace("_", "."): value for name, value in properties.items()}}

    def plans(self, **properties: str) -> dict[str, str]:
        (self._folder / "requests").mkdir(exist_ok=True)
        (self._folder / "reference").mkdir(exist_ok=True)
        return self._flink.plans(self.properties(**properties))

    def run(self, lines: list[str], reference: list[dict[str, str]] | None = None, **properties: str) -> list[Any]:
        """What the stage writes, in the order of writing, of such lines."""
        self._runs += 1
        self._put("requests", lines)
        self._put("reference", list(map(json.dumps, reference or ())))
        given = self.properties(**properties)
        written = self._folder / WRITTEN[given["stages"]]
        shutil.rmtree(written, ignore_errors=True)
        self._flink.run(given)
        parts = sorted(one for one in written.rglob("*") if one.is_file())
        return [json.loads(line) for part in parts for line in part.read_text().splitlines()]

    def _put(self, name: str, lines: list[str]) -> None:
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        (folder / "lines").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def job(flink: Flink, tmp_path: Path) -> Job:
    return Job(flink, tmp_path)


def arrived(at: float, key: str = "content/1", **fields: Any) -> str:
    """The line of a request that arrived `at` seconds after BEGIN; each without `id` has one of its own."""
    moment = datetime.fromtimestamp(BEGIN + at, UTC)
    request = {"id": f"{at}-{key}", "cmd": "content.view", "client": "ann", "data": {}, "partition_key": key}
    lane = {"record_partition_key": "lane-3", "arrival": f"{moment:%Y-%m-%d %H:%M:%S}.{round(at * 1000) % 1000:03}Z"}
    return json.dumps({**request, **lane, **fields})
