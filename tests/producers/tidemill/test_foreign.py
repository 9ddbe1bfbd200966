"""Foreign code in a producer's threads: whatever it raises, the producer goes on, or says that it cannot."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any, cast

import pytest
from types_boto3_kinesis import KinesisClient

from tidemill import Acknowledged, AsyncProducer, NotAccepted, OutcomeUnknown, Producer, ProducerClosed, Reply
from tidemill.contract.aggregation import unpack
from tidemill.contract.request import decode

PATIENCE = 60

KINDS = [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, BaseException]


class Silent(Exception):
    """Does not even say what it is."""

    def __str__(self) -> str:
        raise SystemExit

    __repr__ = __str__


class Kinesis:
    """Raises what it is given first, then stores."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = deque(errors)
        self.ids: list[str] = []

    def put_records(self, Records: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        if self.errors:
            raise self.errors.popleft()
        self.ids += [decode(one.data).id for record in Records for one in unpack(record["Data"])]
        return {"Records": [{"ShardId": "s", "SequenceNumber": "1"} for _ in Records]}


def made(kinesis: Kinesis, **options: Any) -> Producer:
    return Producer("stream", kinesis=cast("KinesisClient", kinesis), linger=0.0, check=False, **options)


def raising(error: BaseException) -> Callable[..., Any]:
    def raises(*_: object) -> Any:
        raise error

    return raises


@contextmanager
def filtering(what: Callable[..., Any]) -> Iterator[None]:
    logger = logging.getLogger("tidemill")
    logger.addFilter(what)
    try:
        yield
    finally:
        logger.removeFilter(what)


@pytest.mark.parametrize("kind", [*KINDS, Silent])
def test_an_observer_may_raise_anything(kind: type[BaseException]) -> None:
    told = Event()

    def observe(_: object) -> None:
        told.set()
        raise kind

    with made(Kinesis(), observer=observe) as producer:
        for _ in range(3):
            assert producer.send("c", key="k").result(PATIENCE) == Acknowledged("s", "1")
        assert told.wait(PATIENCE)


@pytest.mark.parametrize("kind", [*KINDS, Silent])
def test_a_log_filter_may_raise_anything(kind: type[BaseException]) -> None:
    kinesis = Kinesis(*[OSError("no route")] * 2)
    asked = Event()

    def refuse(_: object) -> bool:
        asked.set()
        raise kind

    with filtering(refuse), made(kinesis) as producer:
        assert producer.send("c", key="k").result(PATIENCE) == Acknowledged("s", "1")
        assert asked.wait(PATIENCE)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_client_may_raise_anything_and_its_handles_hear_of_it(kind: type[BaseException]) -> None:
    with made(Kinesis(kind())) as producer:
        handle = producer.send("c", key="k")
        with pytest.raises((NotAccepted, OutcomeUnknown), match=kind.__name__):
            handle.result(PATIENCE)
        assert producer.send("c", key="k").result(PATIENCE) == Acknowledged("s", "1")


def test_an_error_that_says_nothing_is_tried_again_as_any_that_is_not_known() -> None:
    with made(Kinesis(Silent())) as producer:
        assert producer.send("c", key="k").result(PATIENCE) == Acknowledged("s", "1")


@pytest.mark.parametrize("kind", [MemoryError, SystemExit, Silent])
def test_a_producer_that_cannot_go_on_says_so_to_all_at_once(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = made(Kinesis())
    monkeypatch.setattr(producer._lifetime.core, "settle", raising(kind()))
    handles = [producer.send("c", key=f"key-{n}", reply=False) for n in range(10)]
    for handle in handles:
        with pytest.raises((NotAccepted, OutcomeUnknown, ProducerClosed), match=kind.__name__):
            handle.result(PATIENCE)
    with pytest.raises(ProducerClosed, match=f"the producer failed: {kind.__name__}"):
        producer.send("c", key="k")
    producer.close()  # all have been told


def test_a_producer_that_could_not_go_on_says_so_at_its_end_if_nobody_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    producer = made(Kinesis())
    monkeypatch.setattr(producer._lifetime.core, "settle", raising(MemoryError()))
    handle = producer.send("c", key="k")
    producer._lifetime.keeper.news.wait_for(handle.done, PATIENCE)
    with pytest.raises((NotAccepted, OutcomeUnknown), match="the producer failed: MemoryError"):
        producer.close()


def test_an_awaited_one_says_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with asyncio.timeout(PATIENCE):
            producer = AsyncProducer("stream", kinesis=cast("KinesisClient", Kinesis()), linger=0.0, check=False)
            await producer.__aenter__()
            monkeypatch.setattr(producer._lifetime.core, "settle", raising(MemoryError()))
            handle = await producer.send("c", key="k")
            with pytest.raises((NotAccepted, OutcomeUnknown, ProducerClosed), match="MemoryError"):
                await handle
            with pytest.raises(ProducerClosed, match="MemoryError"):
                await producer.send("c", key="k")

    asyncio.run(test())


def test_a_log_handler_that_sends_and_waits_for_its_reply_is_answered() -> None:
    class Answers:
        def poll(self, wait_seconds: int) -> list[Reply]:
            if troubles:
                raise troubles.pop()  # which is logged, in the listener's thread
            return [Reply(one, "accepted") for one in kinesis.ids]

        def close(self) -> None:
            pass

    kinesis, heard = Kinesis(), Event()
    troubles = [OSError("no route")]

    class Ships(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "cannot hear replies" in record.getMessage():
                assert producer.request("log.line", key="k", timeout=PATIENCE).status == "accepted"
                heard.set()

    handler = Ships()
    logging.getLogger("tidemill").addHandler(handler)
    try:
        with made(kinesis, replies=Answers()) as producer:
            first = producer.send("c", key="k", reply=True)
            assert first.reply(PATIENCE).status == "accepted"
            assert heard.wait(PATIENCE)
    finally:
        logging.getLogger("tidemill").removeHandler(handler)
