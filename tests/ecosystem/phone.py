"""docs/phone.md word for word: an app in Node signs in, sends, uploads and hears. Run by `make test-ecosystem`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pages import PHONE, blocks_of
from tidemill_local.platform import Platform

pytestmark = pytest.mark.timeout(900)

RULES = """
from tidemill_consumers import Accepted, Verified

def restock(state, request):
    return Accepted({"stock": (state or {}).get("stock", 0) + request.data["count"]})

RULES = {"item.restock": Verified(restock)}
"""


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """With a rule that takes signed requests alone."""
    (tmp_path / "proven.py").write_text(RULES)
    monkeypatch.chdir(tmp_path)
    with Platform(0, {"Rules": "proven", "BatchingWindowSeconds": "1"}) as running:
        yield running


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_the_pages_app_runs_as_printed(node: Path, platform: Platform, tmp_path: Path) -> None:
    emulator = platform.emulator
    (tmp_path / "node_modules").symlink_to(node / "node_modules")
    code = [block for block in blocks_of(PHONE.read_text()) if not block.startswith("npm")]
    # What AWS's SDK shows of an answer is not its contract: see that the clock has learned from one.
    (tmp_path / "app.mjs").write_text("".join(code) + "console.log(Math.abs(streamTime() - Date.now()) < 60_000);\n")
    (tmp_path / "up.json").write_text(
        json.dumps({"endpoint": emulator.endpoint_url, "outputs": dict(platform.outputs)})
    )
    environment = {"PATH": os.environ["PATH"], "NODE_NO_WARNINGS": "1", **emulator.environment}
    done = subprocess.run(
        ["node", "app.mjs"], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.stdout, done.stderr) == ("small accepted\nlarge accepted\ntrue\n", "")
    table, item = platform.outputs["TableName"], {"pk": {"S": "item/7"}}
    stored = emulator.client("dynamodb").get_item(TableName=table, Key=item)["Item"]
    assert stored["doc"] == {"M": {"stock": {"N": "10005"}}}
