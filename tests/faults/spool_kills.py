"""A process that sends through a spool, killed a thousand times: every accepted request is applied once and in order.

    python tests/faults/spool_kills.py [--kills 1000] [--seed 1] [--json out.json]

Each process goes on with the folder of the one before, sends, and is killed with SIGKILL at a random moment: as it
opens the folder, recovers, sends, or hears of acknowledgements. Some have no network, so what they accept is for
the next. Each writes down a request's id before it gives it to `send`, and that it was accepted after. In the end
the stream's log and each entity must hold all that were accepted, in that order, and what stands in the log once more
must be marked. One that was given to `send` and not accepted, because of the kill, may be there or not.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

import boto3

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.faults.kills import SETTLE_SECONDS, Platform, expected, log_of
from tidemill import Producer
from tidemill.contract.request import Request
from tidemill.spool.spool import Spool
from tidemill_consumers.codec.items import from_item

KEYS = 12
OFFLINE = 0.25
"""Share of processes without a network."""

NOWHERE = "http://127.0.0.1:9"
"""Where nobody listens."""

HASTY = 0.25
"""Share of processes that are killed as they begin."""

LONGEST_BEGIN, LONGEST_LIFE = 0.05, 0.5
"""Seconds until a kill, at most."""

LONGEST_PAUSE = 0.02
"""Seconds between a process's bursts of requests, at most; what it sends, the platform has to apply meanwhile."""

BURST = 12
"""Requests in a burst, at most."""

MAX_BYTES, SEGMENT_BYTES = 1024 * 1024, 16 * 1024
"""The spool's: small, so that kills strike as segments go and what is in them moves, too."""


class Ledger:
    """What processes wrote down: `+ id key` for a request that `send` is given, `!` when it is accepted.

    Attributes:
        given: key -> ids, in the order given.
        accepted: ids.
        found: requests that processes found in the spool, each time that they did.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._path = path
        self.given: dict[str, list[str]] = defaultdict(list)
        self.accepted: set[str] = set()
        self.found = 0

    def write(self, line: str) -> None:
        """Writes a line down, so that a kill does not undo it."""
        os.write(self._file, f"{line}\n".encode())

    def read(self) -> None:
        """Reads all that was written down."""
        last = ""
        for line in self._path.read_text().splitlines():
            what, *words = line.split()
            if what == "+":
                last, key = words
                self.given[key].append(last)
            elif what == "!":
                self.accepted.add(last)
            else:
                self.found += int(words[0])


def spawn(work: Callable[[], None]) -> int:
    """Starts a process of this one's kind, which has all imported already; its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def open_spool(folder: Path) -> Spool:
    """The spool that all of them share."""
    return Spool(folder, max_bytes=MAX_BYTES, segment_bytes=SEGMENT_BYTES)


def send(stream: str, folder: Path, ledger: Ledger, seed: str) -> NoReturn:
    """What a process does until it is killed."""
    dice = random.Random(seed)
    if dice.random() < OFFLINE:
        os.environ["AWS_ENDPOINT_URL"] = NOWHERE
    spool = open_spool(folder)
    ledger.write(f"= {spool.pending}")
    producer = Producer(stream, client="client", spool=spool, check=False, linger=dice.choice((0.0, 0.01, 0.1)))
    numbers = count()
    while True:
        for _ in range(dice.randint(1, BURST)):
            key, name = f"key/{dice.randrange(KEYS)}", f"{seed}-{next(numbers)}"
            ledger.write(f"+ {name} {key}")
            producer.send("step", key=key, id=name, data={"refuse": dice.random() < 0.1})
            ledger.write("!")
        time.sleep(dice.uniform(0, LONGEST_PAUSE))


def drain(stream: str, folder: Path) -> None:
    """What the last process does: it sends what is left, and leaves nothing."""
    with open_spool(folder) as spool:
        with Producer(stream, client="client", spool=spool, check=False) as producer:
            producer.flush(SETTLE_SECONDS)
        if spool.pending:
            raise SystemExit(f"{spool.pending} requests are left in the spool")


def torment(platform: Platform, folder: Path, ledger: Ledger, kills: int, seed: int) -> None:
    """Kills so many processes, one after the other, and lets one more live."""
    dice, stream = random.Random(seed), platform.outputs["StreamName"]
    for number in range(1, kills + 1):
        pid = spawn(lambda: send(stream, folder, ledger, f"{seed}-{number}"))  # noqa: B023 - it is called at once
        time.sleep(dice.uniform(0, LONGEST_BEGIN if dice.random() < HASTY else LONGEST_LIFE))
        os.kill(pid, signal.SIGKILL)
        if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != -signal.SIGKILL:
            raise SystemExit(f"process {number} ended by itself")
        if number % 50 == 0:
            print(f"  {number} kills", flush=True)
    pid = spawn(lambda: drain(stream, folder))
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise SystemExit("the last process could not send what is left")


def judge(platform: Platform, ledger: Ledger) -> dict[str, int]:
    """Waits until all is applied, then compares it with what was accepted."""
    log = log_of(platform)
    documents, _ = expected(log)
    table = platform.session.client("dynamodb")
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        pages = table.get_paginator("scan").paginate(TableName=platform.outputs["TableName"], ConsistentRead=True)
        actual: dict[str, Any] = {one.key: one.document for page in pages for one in map(from_item, page["Items"])}
        if actual == documents or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    result = {"accepted": len(ledger.accepted), "recovered": ledger.found, "on_the_stream": len(log)}
    result |= compare(ledger, log)
    for key, wanted in documents.items():
        found = actual.get(key) or {"n": 0}
        result["lost"] += max(0, wanted["n"] - found["n"])
        result["double"] += max(0, found["n"] - wanted["n"])
        result["reordered"] += wanted["n"] == found["n"] and wanted != found
    return result


def compare(ledger: Ledger, log: list[Request]) -> dict[str, int]:
    """How the log differs from what was accepted, but for repeats: those are known as such when they are applied."""
    sent: dict[str, dict[str, None]] = defaultdict(dict)
    writers, counters = set(), defaultdict(set)
    unmarked = marked = 0
    for request in log:
        if request.id in sent[str(request.key)]:
            unmarked += request.tried is None
            marked += request.tried is not None
        sent[str(request.key)][request.id] = None
        writers.add(request.writer)
        counters[request.counter].add(request.id)
    logged = {one for ids in sent.values() for one in ids}
    return {
        "in_doubt": sum(len(ids) for ids in ledger.given.values()) - len(ledger.accepted),
        "writers": len(writers),
        "marked": marked,
        "unmarked": unmarked,
        "lost": len(ledger.accepted - logged),
        "double": sum(len(ids) - 1 for ids in counters.values()),
        "reordered": sum(
            list(ids) != [one for one in ledger.given[key] if one in ids] for key, ids in sent.items()
        ),
    }  # fmt: skip


def main() -> int:
    """Kills, then looks; 0 when nothing is lost, doubled or reordered, or put again without a mark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="PATH")
    args = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tidemill-spool-kills-") as folder:
        platform, ledger = Platform(Path(folder)), Ledger(Path(folder) / "ledger")
        try:
            warm_up(platform)
            torment(platform, Path(folder) / "spool", ledger, args.kills, args.seed)
            ledger.read()
            result: dict[str, Any] = {"kills": args.kills} | judge(platform, ledger)
        finally:
            with suppress(Exception):
                platform.stop()
    result["seconds"] = round(time.monotonic() - begun, 1)
    print(json.dumps(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if not any(result[name] for name in ("lost", "double", "reordered", "unmarked")) else 1


def warm_up(platform: Platform) -> None:
    """Has boto3 load now what every process would have to load."""
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{platform.port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    boto3.client("kinesis").list_streams()
    logging.getLogger("tidemill").setLevel(logging.ERROR)  # who has no network says so all the time


if __name__ == "__main__":
    sys.exit(main())
