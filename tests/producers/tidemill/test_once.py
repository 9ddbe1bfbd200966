"""What there must be once: no copy of a producer or a spool, no second producer of one; and nothing it leaves behind.

A second writer of the same id uses its counters again, and consumers take what comes under a used one for a repeat.
"""

import asyncio
import copy
import multiprocessing
import pickle
from collections.abc import Callable
from math import inf
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import pytest
from types_boto3_kinesis import KinesisClient

from tidemill import AsyncProducer, Producer, ProducerClosed, Request, Spool, StillPending
from tidemill.contract.aggregation import unpack
from tidemill.contract.request import decode
from tidemill.delivery.core import Core
from tidemill.delivery.question import Question
from tidemill.sending.stream_clock import StreamClock
from tidemill.spool.errors import SpoolInUse

PATIENCE = 60


class Kinesis:
    """Stores what it is given."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def put_records(self, Records: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        self.requests += [decode(one.data) for record in Records for one in unpack(record["Data"])]
        return {"Records": [{"ShardId": "s", "SequenceNumber": "1"} for _ in Records]}


class Holds:
    """A signer that takes its time."""

    def __init__(self) -> None:
        self.is_held = Event()
        self.gate = Event()

    def sign(self, request: Request) -> Request:
        self.is_held.set()
        assert self.gate.wait(PATIENCE)
        return request


def made(kinesis: Kinesis, **options: Any) -> Producer:
    return Producer("stream", kinesis=cast("KinesisClient", kinesis), check=False, linger=0.0, **options)


def awaited(kinesis: Kinesis, **options: Any) -> AsyncProducer:
    return AsyncProducer("stream", kinesis=cast("KinesisClient", kinesis), check=False, linger=0.0, **options)


WAYS: list[Callable[[Any], object]] = [copy.copy, copy.deepcopy, pickle.dumps]


@pytest.mark.parametrize("way", WAYS, ids=["copy", "deepcopy", "pickle"])
@pytest.mark.parametrize("name", ["Producer", "Handle", "AsyncProducer", "AsyncHandle", "Spool"])
def test_nothing_of_a_producer_is_copied_or_pickled(name: str, way: Callable[[Any], object], tmp_path: Path) -> None:
    async def awaiting() -> None:
        async with awaited(Kinesis()) as another:
            things[type(another).__name__] = another
            things["AsyncHandle"] = await another.send("c.d", key="k")

    if way is copy.copy and "Handle" in name:
        return  # a second name of one request, which holds nothing of its own
    with made(Kinesis()) as producer, Spool(tmp_path / "spool") as spool:
        things: dict[str, object] = {"Producer": producer, "Handle": producer.send("c.d", key="k"), "Spool": spool}
        asyncio.run(awaiting())
        with pytest.raises(TypeError, match=f"^{name} cannot be copied or pickled"):
            way(things[name])


def test_a_spawned_process_is_not_given_one() -> None:
    with made(Kinesis()) as producer:
        process = multiprocessing.get_context("spawn").Process(target=print, args=(producer,))
        with pytest.raises(TypeError, match=r"Producer cannot be copied .*; make one where it is to be used"):
            process.start()


def test_a_spool_has_one_producer(tmp_path: Path) -> None:
    kinesis = Kinesis()
    spool = Spool(tmp_path / "spool")
    with made(kinesis, spool=spool) as producer:
        with pytest.raises(SpoolInUse, match=r"another producer has this spool of .*; give each a folder of its own"):
            made(kinesis, spool=spool)
        producer.send("c.d", key="k")
    with pytest.raises(ValueError, match="the spool is closed"):
        made(kinesis, spool=spool)
    with made(kinesis, spool=Spool(tmp_path / "spool")) as producer:
        producer.send("c.d", key="k")
    assert [(request.writer, request.counter) for request in kinesis.requests] == [(spool.writer, 1), (spool.writer, 2)]


def test_a_spool_whose_producer_was_not_made_is_free_for_the_next(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    with pytest.raises(ValueError, match="ttl=-1"):
        made(Kinesis(), spool=spool, ttl=-1)
    with pytest.raises(ValueError, match="lanes"):
        made(Kinesis(), spool=spool, lanes=3)
    with made(Kinesis(), spool=spool) as producer:
        assert producer.writer == spool.writer


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_a_spool_that_nobody_has_any_more_frees_its_folder(tmp_path: Path) -> None:
    before = descriptors()
    with pytest.raises(ValueError, match="ttl=-1"):
        made(Kinesis(), spool=Spool(tmp_path / "spool"), ttl=-1)
    assert descriptors() == before
    Spool(tmp_path / "spool").close()


def test_an_answer_of_the_keeper_is_had_as_often_as_it_is_looked_for() -> None:
    question = Question(lambda: "taken")
    assert not question.is_answered(0)
    question.answer()
    assert question.is_answered(0)
    assert question.is_answered(0)  # its asker looks once more, if the keeper has ended meanwhile
    assert question.take() == "taken"


def test_a_block_is_entered_once() -> None:
    kinesis = Kinesis()

    async def entering() -> None:
        producer = awaited(kinesis)
        async with producer:
            handle = await producer.send("c.d", key="k")
            with pytest.raises(RuntimeError, match="its block has been entered"):
                await producer.__aenter__()
            await handle
        with pytest.raises(ProducerClosed):
            await producer.__aenter__()

    asyncio.run(entering())
    assert len(kinesis.requests) == 1


def test_a_signer_that_takes_its_time_does_not_hold_up_who_waits_for_less() -> None:
    signer = Holds()
    producer = made(Kinesis(), signer=signer)
    sender = Thread(target=producer.send, args=("c.d",), kwargs={"key": "k"})
    sender.start()
    try:
        assert signer.is_held.wait(PATIENCE)
        with pytest.raises(StillPending, match="1 requests are not acknowledged yet"):
            producer.flush(0)
        with pytest.raises(StillPending, match="1 requests are not acknowledged yet"):
            producer.close(0)
    finally:
        signer.gate.set()
        sender.join(PATIENCE)


def test_an_awaited_one_does_not_hold_them_up_either() -> None:
    signer = Holds()

    async def awaiting() -> None:
        async with awaited(Kinesis(), signer=signer) as producer:
            sender = Thread(target=producer._step.send, args=("c.d",), kwargs={"key": "k"})
            sender.start()
            try:
                assert signer.is_held.wait(PATIENCE)
                with pytest.raises(StillPending, match="1 requests are not acknowledged yet"):
                    await producer.flush(0)
            finally:
                signer.gate.set()
                sender.join(PATIENCE)

    asyncio.run(awaiting())


def test_what_is_given_up_is_a_line_a_minute_and_one_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    core = Core(0.0, StreamClock(), when_full="drop_oldest", max_pending_bytes=300, linger=1e6, client="c")
    counts = []
    for now in range(90):
        _, before, behind = core.writer.draft("c.d", "k", {}, None, None, 0)
        core.take("k", before, behind, now, inf)
        core.tend(now)
        counts.append(len(caplog.records))
    assert set(counts) == {0, 1, 2}
    assert counts[counts.index(1) + 59] == 1
    assert counts[counts.index(1) + 60] == 2
    core.end()
    said = [int(record.getMessage().partition(" ")[0]) for record in caplog.records]
    assert len(said) == 3
    assert sum(said) == core.stats(90).dropped
