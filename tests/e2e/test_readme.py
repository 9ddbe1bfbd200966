"""The README's own application, word for word: its rules, `tidemill up`, its client."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import Any

import boto3
import pytest

from tidemill import Producer
from tidemill.reply_queue import reply_queue
from tidemill_local.emulator import REGION, ROOT_KEY

README = Path(__file__).resolve().parents[2] / "README.md"
TIDEMILL = Path(sys.executable).with_name("tidemill")
LONGEST_WAIT = 60.0
"""Seconds after which something is taken not to come."""


def blocks(heading: str) -> list[str]:
    """The indented blocks of code under a heading."""
    section = README.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [dedent(block) for block in re.findall(r"(?:^(?: {4}.*)?\n)+", section, re.MULTILINE) if block.strip()]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a client needs to find the platform that runs the README's rules, and the stack's outputs."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "shop.py").write_text(blocks("Your own application")[0])
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)}
    command = [str(TIDEMILL), "up", "--port", "0", "--rules", "shop"]
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as up:
        try:
            yield env | told(up)
        finally:
            up.terminate()


def told(up: subprocess.Popen[str]) -> dict[str, str]:
    """The variables and the outputs among the lines that `up` prints until it runs."""
    found = {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": ROOT_KEY, "AWS_SECRET_ACCESS_KEY": ROOT_KEY}
    assert up.stdout
    for line in up.stdout:
        if line.startswith("running"):
            return found
        if match := re.fullmatch(r"(?:export )?(\w+)(?:=|\s+)(\S+)", line.strip()):
            found[match[1]] = match[2]
    raise AssertionError(f"`tidemill up` ended with {up.wait()}")


def test_there_are_rules_and_a_client() -> None:
    rules, client = blocks("Your own application")
    assert "RULES = {" in rules
    assert '"tidemill-requests-…"' in client


def test_the_own_application_works_as_printed(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    stream = environment["StreamName"]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with Producer(stream, client="warehouse") as producer:
        producer.send("item.restock", key="item/42", data={"count": 5}).result(LONGEST_WAIT)
    client = blocks("Your own application")[1].replace("tidemill-requests-…", stream)
    done = subprocess.run([sys.executable, "-c", client], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

    wait_for_stock(environment, "4")


def test_the_producer_works_as_printed(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    session: Any = boto3.Session()
    with reply_queue(session.client, environment["RepliesTopicArn"], "phone-1") as queue:
        [client, *_] = blocks("The producer")
        client = client.replace("tidemill-requests-…", environment["StreamName"])
        client = re.sub(r"https://sqs\S+(?=\",)", queue, client)
        with Producer(environment["StreamName"]) as producer:
            producer.send("item.restock", key="item/42", data={"count": 5}).result(LONGEST_WAIT)
        folder = environment["HOME"]
        done = subprocess.run(
            [sys.executable, "-c", client], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "accepted\n", "")


def wait_for_stock(environment: dict[str, str], wanted: str) -> None:
    stock, deadline = "", time.monotonic() + LONGEST_WAIT
    with closing(boto3.client("dynamodb")) as dynamodb:
        while stock != wanted and time.monotonic() < deadline:
            time.sleep(0.2)
            item = dynamodb.get_item(TableName=environment["TableName"], Key={"pk": {"S": "item/42"}}).get("Item")
            stock = item["doc"]["M"]["stock"]["N"] if item else ""
    assert stock == wanted
