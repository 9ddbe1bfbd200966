"""Producers in copies of their process: after a fork, in the children of multiprocessing, after a restore."""

import asyncio
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import boto3
import pytest
from types_boto3_kinesis import KinesisClient
from types_boto3_sqs import SQSClient

from tidemill import Acknowledged, AsyncProducer, Producer, ProducerClosed, Replies, Request, Spool
from tidemill.contract.aggregation import unpack
from tidemill.contract.request import decode
from tidemill.runtime.processes import renew_connections

# From Python 3.12 on, os.fork warns where there are threads: that there are is what these tests are about.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")

PATIENCE = 30
"""Seconds after which a test gives up; none of them needs it."""


class Kinesis:
    """A stream that keeps what each process puts, in a file that they share."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.gate = Event()
        self.gate.set()

    def put_records(self, **call: Any) -> dict[str, Any]:
        assert self.gate.wait(PATIENCE)
        payloads = [one.data for record in call["Records"] for one in unpack(record["Data"])]
        with self._path.open("ab") as file:
            file.write(b"".join(payload + b"\n" for payload in payloads))
        return {"Records": [{"ShardId": "s", "SequenceNumber": "1"} for _ in call["Records"]]}

    @property
    def requests(self) -> list[Request]:
        return [decode(line) for line in self._path.read_bytes().splitlines()]


@pytest.fixture
def kinesis(tmp_path: Path) -> Kinesis:
    return Kinesis(tmp_path / "stream")


def made(kinesis: Kinesis, **options: Any) -> Producer:
    return Producer("stream", kinesis=cast("KinesisClient", kinesis), check=False, linger=0, **options)


def in_a_child(work: Callable[[], object]) -> int:
    """What a forked process that does it ends with: 0 when it went well."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_has_a_writer_and_counters_of_its_own(kinesis: Kinesis) -> None:
    with made(kinesis, writer="mine", counter=41) as producer:
        producer.send("c", key="k", data={"by": "parent"}).result(PATIENCE)

        def work() -> None:
            producer.send("c", key="k", data={"by": "child"}).result(PATIENCE)
            assert producer.stats().requests == 1

        assert in_a_child(work) == 0
        assert in_a_child(work) == 0
        producer.send("c", key="k", data={"by": "parent"}).result(PATIENCE)
    by_writer: dict[str | None, list[int | None]] = {}
    for one in kinesis.requests:
        by_writer.setdefault(one.writer, []).append(one.counter)
    assert by_writer.pop("mine") == [42, 43]
    assert list(by_writer.values()) == [[1], [1]]
    assert len({one.id for one in kinesis.requests}) == 4


def test_what_was_sent_before_is_the_parents_alone(kinesis: Kinesis) -> None:
    kinesis.gate.clear()
    with made(kinesis) as producer:
        handle = producer.send("c", key="k")

        def work() -> None:
            kinesis.gate.set()
            assert not handle.done()
            with pytest.raises(ProducerClosed, match="another process"):
                handle.result(PATIENCE)
            producer.close()

        assert in_a_child(work) == 0
        kinesis.gate.set()
        handle.result(PATIENCE)
    assert len(kinesis.requests) == 1


def test_a_fork_amid_the_sending_of_other_threads_sends(kinesis: Kinesis) -> None:
    stop = Event()
    with made(kinesis) as producer:

        def go_on() -> None:
            while not stop.is_set():
                producer.send("c", key="parent")

        thread = Thread(target=go_on)
        thread.start()
        codes = [in_a_child(lambda: producer.send("c", key="child").result(PATIENCE)) for _ in range(10)]
        stop.set()
        thread.join()
    assert codes == [0] * 10
    assert sum(one.key == "child" for one in kinesis.requests) == 10


def test_a_closed_producer_is_closed_in_children_too(kinesis: Kinesis) -> None:
    producer = made(kinesis)
    producer.close()

    def work() -> None:
        with pytest.raises(ProducerClosed):
            producer.send("c", key="k")

    assert in_a_child(work) == 0


def test_a_spool_and_replies_are_the_parents(kinesis: Kinesis, tmp_path: Path) -> None:
    class Silent:
        def poll(self, wait_seconds: int) -> list[Any]:
            return []

        def close(self) -> None: ...

    spool = Spool(tmp_path / "spool")
    with made(kinesis, spool=spool) as spooling, made(kinesis, replies=Silent()) as hearing:
        spooling.send("c", key="k")

        def work() -> None:
            with pytest.raises(ProducerClosed, match="spool of its own"):
                spooling.send("c", key="k")
            with pytest.raises(RuntimeError, match="queue of its own"):
                hearing.send("c", key="k", reply=True)
            hearing.send("c", key="k").result(PATIENCE)

        assert in_a_child(work) == 0
        spooling.send("c", key="k").result(PATIENCE)


def test_an_asyncio_producer_begins_again_too(kinesis: Kinesis) -> None:
    async def send(producer: AsyncProducer) -> Acknowledged:
        return await (await producer.send("c", key="k"))

    async def run() -> int:
        async with AsyncProducer("stream", kinesis=cast("KinesisClient", kinesis), check=False) as producer:
            stored = await send(producer)

            def work() -> None:
                assert asyncio.run(send(producer)) == stored

            return in_a_child(work)

    assert asyncio.run(run()) == 0


@pytest.mark.usefixtures("_account")
def test_connections_of_a_client_that_was_given_are_renewed() -> None:
    for client in (boto3.client("kinesis"), boto3.client("sqs")):
        session = cast("Any", client)._endpoint.http_session
        before = session._manager
        renew_connections(client)
        assert session._manager is not before
        assert session._manager.pool_classes_by_scheme == before.pool_classes_by_scheme
        client.close()
    renew_connections(object())  # a stand-in has none


def test_replies_in_a_copy_delete_nothing_of_the_originals() -> None:
    deleted: list[object] = []

    class Sqs:
        def receive_message(self, **_: object) -> dict[str, Any]:
            return {"Messages": [{"Body": "{}", "ReceiptHandle": "1"}]}

        def delete_message_batch(self, **call: object) -> dict[str, Any]:
            deleted.append(call)
            return {}

    replies = Replies("queue", sqs=cast("SQSClient", Sqs()))
    replies.poll()
    replies.begin_again(forked=True)
    replies.poll()
    assert deleted == []


def test_a_restored_snapshot_has_another_writer(kinesis: Kinesis, monkeypatch: pytest.MonkeyPatch) -> None:
    import snapshot_restore_py

    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start")
    monkeypatch.setattr("tidemill.runtime.processes._restores", [])
    with made(kinesis) as producer:
        handle = producer.send("c", key="k")
        before = producer.writer
        for hook, words, options in snapshot_restore_py.get_after_restore():
            hook(*words, **options)
        assert producer.writer != before
        producer.send("c", key="k").result(PATIENCE)
        handle.result(PATIENCE)  # its threads were restored too
    assert len({one.writer for one in kinesis.requests}) == 2
    assert [one.counter for one in kinesis.requests] == [1, 1]


@pytest.fixture
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
