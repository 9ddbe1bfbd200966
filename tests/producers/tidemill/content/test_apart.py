"""What happens while an upload is in flight: the producer is closed, the process forks, or is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from threading import Event, Thread, get_ident
from typing import Any, TypeAlias

import boto3
import pytest
from botocore.config import Config

from tidemill import AsyncProducer, Producer, ProducerClosed, Spool
from tidemill.contract.aggregation import unpack
from tidemill.contract.claim_check import read_data
from tidemill.contract.request import decode
from tidemill_local.emulator import Emulator

Sent: TypeAlias = Callable[[], list[Any]]

LARGE = {"rows": ["x" * 100] * 1000}


class Held:
    """Uploads that wait until they are let go."""

    def __init__(self, s3: Any) -> None:
        self.began, self.may_go = Event(), Event()
        self.s3 = s3
        s3.meta.events.register("before-send.s3.PutObject", self._wait)

    def _wait(self, **_: Any) -> None:
        self.began.set()
        assert self.may_go.wait(60)


@pytest.fixture
def arguments(emulator: Emulator, bucket: str) -> dict[str, Any]:
    keys: dict[str, Any] = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    once = Config(retries={"total_max_attempts": 1})
    kinesis, s3 = (
        boto3.client(one, endpoint_url=emulator.endpoint_url, config=once, **keys) for one in ("kinesis", "s3")
    )
    return {"kinesis": kinesis, "s3": s3, "bucket": bucket, "client": "ann"}


@pytest.fixture
def held(arguments: dict[str, Any]) -> Iterator[Held]:
    held = Held(arguments["s3"])
    yield held
    held.may_go.set()


@pytest.fixture
def sent(emulator: Emulator, stream: str, bucket: str) -> Sent:
    """The data of the requests on the stream."""
    kinesis, s3 = emulator.client("kinesis"), emulator.client("s3")

    def read() -> list[Any]:
        start = kinesis.get_shard_iterator(
            StreamName=stream, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        )
        records = kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]
        requests = [decode(one.data) for record in records for one in unpack(record["Data"])]
        bodies = [
            (one.ref, s3.get_object(Bucket=bucket, Key=one.ref.object)["Body"].read()) for one in requests if one.ref
        ]
        return [read_data(ref, body) for ref, body in bodies]

    return read


class Sender(Thread):
    def __init__(self, producer: Producer) -> None:
        super().__init__()
        self.producer = producer
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.handle = self.producer.send("keep", key="k", data=LARGE)
        except BaseException as error:
            self.error = error


@pytest.mark.parametrize("spooled", [False, True])
def test_who_is_uploading_when_the_producer_is_closed_is_told_and_nothing_is_taken(
    stream: str, arguments: dict[str, Any], held: Held, sent: Sent, tmp_path: Path, spooled: bool
) -> None:
    spool: dict[str, Any] = {"spool": Spool(tmp_path / "spool")} if spooled else {}
    producer = Producer(stream, **arguments, **spool)
    sender = Sender(producer)
    assert held.began.wait(60)
    producer.close()
    held.may_go.set()
    sender.join()
    assert isinstance(sender.error, ProducerClosed), sender.__dict__
    assert sent() == []
    if spooled:
        with Spool(tmp_path / "spool") as kept:
            assert kept.pending == 0


def test_of_a_task_that_uploads_nothing_is_sent_if_it_is_cancelled_or_the_producer_closed(
    stream: str, arguments: dict[str, Any], held: Held, sent: Sent
) -> None:
    async def work() -> None:
        producer = AsyncProducer(stream, **arguments)
        async with producer:
            cancelled = asyncio.create_task(producer.send("keep", key="k", data=LARGE))
            assert await asyncio.to_thread(held.began.wait, 60)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            late = asyncio.create_task(producer.send("keep", key="k", data=LARGE))
            await asyncio.sleep(0)
        held.may_go.set()
        with pytest.raises(ProducerClosed):
            await late

    asyncio.run(work())
    assert sent() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_while_another_thread_uploads_disturbs_neither(
    stream: str, arguments: dict[str, Any], held: Held, sent: Sent
) -> None:
    with Producer(stream, **arguments) as producer:
        sender = Sender(producer)
        assert held.began.wait(60)
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            try:
                held.may_go.set()
                producer.send("keep", key="k", data=LARGE | {"by": "child"}).result(20)
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        held.may_go.set()
        sender.join()
    assert sender.error is None
    assert sent() == [LARGE | {"by": "child"}, LARGE]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_by_the_handler_that_interrupts_an_upload_does_not_wait_for_it(
    stream: str, arguments: dict[str, Any], held: Held, sent: Sent
) -> None:
    children: list[int] = []

    def fork(*_: object) -> None:
        children.append(os.fork())
        signal.alarm(0 if children[0] else 20)
        held.may_go.set()

    before = signal.signal(signal.SIGUSR1, fork)
    main = get_ident()

    def interrupt() -> None:
        assert held.began.wait(60)
        signal.pthread_kill(main, signal.SIGUSR1)

    Thread(target=interrupt).start()
    try:
        with Producer(stream, **arguments) as producer:
            try:
                producer.send("keep", key="k", data=LARGE)
            except ProducerClosed as error:
                if children == [0]:
                    os._exit(0 if "another process" in str(error) else 1)
                raise
            if children == [0]:
                os._exit(2)
            assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert sent() == [LARGE]


KILLED = """
import sys
from tidemill import Producer, Spool
stream, folder, bucket = sys.argv[1:]
rows = ["x" * 100] * 1000
producer = Producer(stream, client="ann", bucket=bucket, spool=Spool(folder), linger=60)
for n in range(100):
    print(f"begins {n}", flush=True)
    producer.send("keep", key="k", data={"n": n, "rows": rows})
    print(f"took {n}", flush=True)
"""


def test_what_a_spool_took_before_a_kill_amid_an_upload_is_sent_once_and_its_object_is_there(
    emulator: Emulator, stream: str, bucket: str, arguments: dict[str, Any], sent: Sent, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, stream, str(tmp_path / "spool"), bucket]
    environment = os.environ | emulator.environment
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = list(takewhile(lambda line: line != "begins 3\n", process.stdout))
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    took = [int(line.split()[1]) for line in said if line.startswith("took")]
    with Producer(stream, **arguments, spool=Spool(tmp_path / "spool")) as producer:
        producer.send("keep", key="k", data={"n": "last"}).result(30)
    found = [one["n"] for one in sent()]
    assert took[:3] == [0, 1, 2]
    assert found == list(range(len(found)))
    assert len(took) <= len(found) <= len(took) + 1
