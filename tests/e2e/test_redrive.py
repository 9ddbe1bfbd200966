"""Requests in quarantine, rules mended, `tidemill redrive`: applied once, late, and answered."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tidemill import Producer, Replies, Reply
from tidemill_cli.commands import redrive
from tidemill_consumers.codec.items import from_item
from tidemill_consumers.core.outcomes import reply_of
from tidemill_consumers.operations.redrive import DONE_PREFIX
from tidemill_local.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.timeout(600)

LONGEST_WAIT = 60.0
"""Seconds after which something is taken not to come."""

RULES = """
from tidemill_consumers.core.batch import Accepted

def restock(state, request):
    stock = (state or {}).get("stock", 0) + request.data["count"]
    return Accepted({"stock": stock}, {"stock": stock})

RULES = {"item.restock": restock}
"""

MENDED = """
def dozen(state, request):
    return restock(state, request) if "count" in request.data else Accepted({"stock": state["stock"] + 12})

RULES = {"item.restock": dozen, "item.count": restock}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("redrive")
    (folder / "shelves.py").write_text(RULES)
    (folder / "mended_shelves.py").write_text(RULES + MENDED)
    return folder


class Shop:
    """A platform that goes on where the last one with the same folder stood, a client of it, and its operator."""

    def __init__(self, folder: Path, rules: str) -> None:
        self._folder = folder
        parameters = {"Rules": rules, "BatchingWindowSeconds": "0", "ShardCount": "1"}
        self.platform = Platform(0, parameters, state=folder / "state")
        self._open = ExitStack()
        self._heard: list[Reply] = []

    def __enter__(self) -> Shop:
        with ExitStack() as opening, pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(self._folder))
            opening.enter_context(self.platform)
            kinesis = self.platform.emulator.client("kinesis")
            self._replies = opening.enter_context(Replies(self._queue(), sqs=self.platform.emulator.client("sqs")))
            stream = self.platform.outputs["StreamName"]
            self.producer = opening.enter_context(Producer(stream, client="phone", kinesis=kinesis))
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _queue(self) -> str:
        sqs, sns = self.platform.emulator.client("sqs"), self.platform.emulator.client("sns")
        queue: str = sqs.create_queue(QueueName="phone")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
        sns.subscribe(TopicArn=self.platform.outputs["RepliesTopicArn"], Protocol="sqs", Endpoint=arn)
        return queue

    def send(self, cmd: str, **data: Any) -> str:
        return self.producer.send(cmd, key="item/1", data=data).id

    def answer(self, request_id: str, status: str) -> Reply:
        """The request's reply of that status, when it comes."""
        deadline = time.monotonic() + LONGEST_WAIT
        while time.monotonic() < deadline:
            for reply in self._heard:
                if (reply.id, reply.status) == (request_id, status):
                    return reply
            self._heard += self._replies.poll(1)
        raise AssertionError(f"{request_id} is not {status}: {self._heard}")

    def statuses(self, request_id: str) -> list[str]:
        return [reply.status for reply in self._heard if reply.id == request_id]

    @property
    def document(self) -> object:
        dynamodb = self.platform.emulator.client("dynamodb")
        key = {"pk": {"S": "item/1"}}
        item = dynamodb.get_item(TableName=self.platform.outputs["TableName"], Key=key, ConsistentRead=True)["Item"]
        return from_item(item).document

    def lying(self, prefix: str) -> list[str]:
        s3, bucket = self.platform.emulator.client("s3"), self.platform.outputs["QuarantineBucketName"]
        return [one["Key"] for one in s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]

    def redrive(self, *arguments: object) -> tuple[int, dict[str, Any]]:
        """Run the command as the operator would: its exit code and its result."""
        parser = argparse.ArgumentParser(prog="tidemill redrive")
        redrive.add_arguments(parser)
        out = self._folder / "out.json"
        out.unlink(missing_ok=True)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.platform.emulator.environment.items():
                patch.setenv(name, value)
            code = redrive.run(parser.parse_args([*map(str, arguments), "--json", str(out)]))
        return code, json.loads(out.read_text()) if out.exists() else {}


@pytest.fixture(scope="module")
def poisoned(folder: Path) -> dict[str, str]:
    """Ids by what became of them: two requests are in quarantine, and bytes that are none."""
    with Shop(folder, "shelves") as shop:
        sent = {
            "good": shop.send("item.restock", count=5),
            "raises": shop.send("item.restock"),
            "unknown": shop.send("item.count", count=100),
        }
        shop.platform.emulator.client("kinesis").put_record(
            StreamName=shop.platform.outputs["StreamName"], PartitionKey="item/1", Data=b"\xff\x00"
        )
        assert shop.answer(sent["good"], "accepted").data == {"stock": 5}
        assert "KeyError" in (shop.answer(sent["raises"], "quarantined").error or "")
        assert "unknown command" in (shop.answer(sent["unknown"], "quarantined").error or "")
        deadline = time.monotonic() + LONGEST_WAIT
        while len(shop.lying("quarantine/")) < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
    return sent


@pytest.fixture(scope="module")
def mended(folder: Path, poisoned: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """With rules that can take them, and nothing put back yet: for tests that only look."""
    with Shop(copied(folder, tmp_path_factory), "mended_shelves") as shop:
        yield shop


@dataclass
class Redriven:
    """A shop whose quarantine was put back: what the command said, once and again, and what was left then."""

    shop: Shop
    said: list[tuple[int, dict[str, Any]]]
    document: object
    stay: list[str]
    done: int


@pytest.fixture(scope="module")
def redriven(folder: Path, poisoned: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redriven]:
    with Shop(copied(folder, tmp_path_factory), "mended_shelves") as shop:
        first = shop.redrive("--apply", "--yes")
        shop.answer(poisoned["raises"], "accepted")
        shop.answer(poisoned["unknown"], "accepted")
        document, stay, done = shop.document, shop.lying("quarantine/"), len(shop.lying(DONE_PREFIX))
        yield Redriven(shop, [first, shop.redrive("--apply", "--yes")], document, stay, done)


def copied(folder: Path, factory: pytest.TempPathFactory) -> Path:
    """A folder with the same rules and state, to be changed."""
    return shutil.copytree(folder, factory.mktemp("copied"), dirs_exist_ok=True)


@pytest.mark.slow
def test_what_is_there_is_listed_and_shown(
    mended: Shop, poisoned: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, listed = mended.redrive()
    shown = capsys.readouterr().out
    assert code == 0
    assert {one["id"] for one in listed["objects"]} == {poisoned["raises"], poisoned["unknown"], None}
    assert "cannot be redriven: quarantine/dt=" in shown
    assert "item.count" in shown

    code, filtered = mended.redrive("--reason", "raised", "--key", "item/1", "--since", "2020-01-01", "--limit", 5)
    assert [one["id"] for one in filtered["objects"]] == [poisoned["raises"]]

    capsys.readouterr()
    code, whole = mended.redrive("--show", poisoned["unknown"])
    assert code == 0
    assert '"count": 100' in capsys.readouterr().out
    assert whole["objects"][0]["reason"] == "unknown command item.count"


@pytest.mark.slow
def test_without_a_terminal_it_wants_to_be_told(mended: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = mended.redrive("--apply")
    assert code == 1
    assert "add --yes" in capsys.readouterr().err
    assert len(mended.lying("quarantine/")) == 3


def test_they_are_applied_once_late_and_answered(redriven: Redriven) -> None:
    (code, first), (again, second) = redriven.said
    assert (code, again) == (0, 0)
    assert (first["redriven"], first["gone"], first["failed"]) == (2, 0, 0)
    assert redriven.document == {"stock": 5 + 12 + 100}
    assert redriven.done == 2
    (stays,) = redriven.stay
    assert second["redriven"] == 0, "nothing is left that could be"
    assert [one["object"] for one in second["objects"]] == [stays]


def test_redriving_the_same_objects_again_changes_nothing(redriven: Redriven, poisoned: dict[str, str]) -> None:
    """As after a crash before they were moved."""
    shop = redriven.shop
    s3, bucket = shop.platform.emulator.client("s3"), shop.platform.outputs["QuarantineBucketName"]
    for name in shop.lying(DONE_PREFIX):
        back = "quarantine/" + name.removeprefix(DONE_PREFIX)
        s3.copy_object(Bucket=bucket, Key=back, CopySource={"Bucket": bucket, "Key": name})
    code, result = shop.redrive("--apply", "--yes")
    assert (code, result["redriven"]) == (0, 2)
    shop.answer(shop.send("item.restock", count=1), "accepted")  # what came before it is done, too
    assert shop.document == {"stock": 1 + 5 + 12 + 100}
    assert shop.statuses(poisoned["unknown"])[-1] == "accepted"
    assert len(shop.lying(DONE_PREFIX)) == 2


def test_the_client_that_repeats_it_hears_of_the_new_outcome(redriven: Redriven, poisoned: dict[str, str]) -> None:
    platform = redriven.shop.platform
    item = platform.emulator.client("dynamodb").get_item(
        TableName=platform.outputs["TableName"], Key={"pk": {"S": "item/1"}}
    )["Item"]
    replies = {name: reply_of(text) for name, text in from_item(item).recent.items()}
    outcomes = {name: reply and reply.status for name, reply in replies.items()}
    assert outcomes[poisoned["raises"]] == outcomes[poisoned["unknown"]] == "accepted"
