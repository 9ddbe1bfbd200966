"""The producer for asyncio: the same scheduler, awaited. Tests drive an event loop of their own."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event, Thread
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from types_boto3_kinesis import KinesisClient

from tidemill import (
    Acknowledged,
    AsyncProducer,
    BufferFull,
    CallMade,
    Misconfigured,
    NotAccepted,
    ProducerClosed,
    Reply,
    Request,
    StillPending,
)
from tidemill.contract.aggregation import unpack
from tidemill.contract.request import decode
from tidemill.runtime.loops import in_a_thread

PATIENCE = 30


def client_error(code: str) -> ClientError:
    response = {"Error": {"Code": code, "Message": "said so"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(cast("Any", response), "PutRecords")


class Kinesis:
    """What a producer needs of a client: the codes given for its first calls' records, then success."""

    def __init__(self, *codes: str) -> None:
        self.codes = deque(codes)
        self.requests: list[Request] = []
        self.stream: dict[str, Any] | Exception = {}
        self.gate = Event()
        self.gate.set()

    def describe_stream_summary(self, **where: Any) -> dict[str, Any]:
        if isinstance(self.stream, Exception):
            raise self.stream
        return {"StreamDescriptionSummary": self.stream}

    def put_records(self, Records: list[dict[str, Any]], **where: Any) -> dict[str, Any]:
        assert self.gate.wait(PATIENCE)
        if self.codes:
            code = self.codes.popleft()
            return {"Records": [{"ErrorCode": code, "ErrorMessage": "said so"} for _ in Records]}
        self.requests += [decode(one.data) for record in Records for one in unpack(record["Data"])]
        return {"Records": [{"ShardId": "shard-7", "SequenceNumber": "42"} for _ in Records]}


class Answers:
    """Replies to all that was stored."""

    def __init__(self, kinesis: Kinesis) -> None:
        self.kinesis = kinesis
        self.closed = False

    def poll(self, wait_seconds: int) -> list[Reply]:
        return [Reply(request.id, "accepted", {"cmd": request.cmd}) for request in self.kinesis.requests]

    def close(self) -> None:
        self.closed = True


def made(kinesis: Kinesis, **options: Any) -> AsyncProducer:
    return AsyncProducer("stream", kinesis=cast("KinesisClient", kinesis), **({"linger": 0.0} | options))


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(PATIENCE):
            await test()

    asyncio.run(bounded())


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.sending.backoff.FIRST_BACKOFF", 0.0)


def test_requests_are_stored_in_order_and_the_end_of_the_block_sends_everything() -> None:
    kinesis = Kinesis("ProvisionedThroughputExceededException", "InternalFailure")

    async def test() -> None:
        async def work(key: str) -> None:
            for number in range(100):
                await producer.send("c", key=key, data={"number": number})

        async with made(kinesis, linger=0.001, client="alice") as producer:
            first = await producer.send("c", key="first")
            assert await first == Acknowledged("shard-7", "42")
            assert first.done()
            await asyncio.gather(*(work(f"key-{n}") for n in range(5)))
        assert producer.stats().pending == 0

    run(test)
    for key in (f"key-{n}" for n in range(5)):
        assert [request.data["number"] for request in kinesis.requests if request.key == key] == list(range(100))
    assert {request.client for request in kinesis.requests} == {"alice"}


def test_a_reply_is_awaited() -> None:
    kinesis = Kinesis()
    answers = Answers(kinesis)

    async def test() -> None:
        async with made(kinesis, replies=answers) as producer:
            assert (await producer.request("c", key="k", timeout=PATIENCE)).data == {"cmd": "c"}
            handle = await producer.send("d", key="k", reply=True)
            assert await handle.reply() == Reply(handle.id, "accepted", {"cmd": "d"})
            with pytest.raises(RuntimeError, match="reply=True"):
                await (await producer.send("d", key="k")).reply()

    run(test)
    assert answers.closed


def test_a_reply_that_takes_too_long_is_an_error() -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()

    async def test() -> None:
        with suppress(NotAccepted):  # if it had not left by then
            async with made(kinesis, replies=Answers(kinesis)) as producer:
                with pytest.raises(TimeoutError):
                    await producer.request("c", key="k", timeout=0.01)
                kinesis.gate.set()

    run(test)


def test_what_cannot_pass_fails_the_handle_and_has_no_reply() -> None:
    kinesis = Kinesis("KMSAccessDeniedException", "KMSAccessDeniedException")

    async def test() -> None:
        async with made(kinesis, replies=Answers(kinesis)) as producer:
            with pytest.raises(NotAccepted, match="kms:GenerateDataKey"):
                await (await producer.send("c", key="k"))
            with pytest.raises(NotAccepted, match="KMSAccessDenied"):
                await producer.request("c", key="k")

    run(test)


def test_a_failure_that_nobody_asked_for_is_raised_at_the_end() -> None:
    async def test() -> None:
        with pytest.raises(NotAccepted, match="KMSAccessDenied"):
            async with made(Kinesis("KMSAccessDeniedException")) as producer:
                await producer.send("c", key="k")

    run(test)


def test_a_full_producer_waits_or_raises() -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()

    async def test() -> None:
        async with made(kinesis, max_pending_bytes=1) as producer:
            await producer.send("c", key="k")
            waiting = asyncio.create_task(producer.send("c", key="k"))
            await asyncio.sleep(0)
            assert not waiting.done()
            kinesis.gate.set()
            await (await waiting)
        kinesis.gate.clear()
        async with made(kinesis, max_pending_bytes=1, when_full="raise") as producer:
            await producer.send("c", key="k")
            with pytest.raises(BufferFull):
                await producer.send("c", key="k")
            kinesis.gate.set()

    run(test)


def test_closing_in_time_and_not() -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()

    async def test() -> None:
        producer = made(kinesis)
        async with producer:
            handle = await producer.send("c", key="k")
            with pytest.raises(StillPending, match="1 requests"):
                await producer.flush(0.01)
            with pytest.raises(StillPending):
                await producer.close(0.01)
            kinesis.gate.set()
            with pytest.raises(Exception, match="Closed"):
                await handle
            with pytest.raises(ProducerClosed):
                await producer.send("c", key="k")

    run(test)


def test_what_cannot_work_is_said_at_the_start() -> None:
    kinesis = Kinesis()
    kinesis.stream = client_error("ResourceNotFoundException")

    async def test() -> None:
        with pytest.raises(Misconfigured, match="create it"):
            async with made(kinesis):
                pass
        with pytest.raises(RuntimeError, match="async with"):
            await made(kinesis).send("c", key="k")

    run(test)


def test_an_observer_is_told_of_every_call() -> None:
    kinesis = Kinesis("ProvisionedThroughputExceededException")
    seen: list[CallMade] = []

    async def test() -> None:
        async with made(kinesis, observer=seen.append) as producer:
            await producer.send("c", key="k")

    run(test)
    assert [made.stored for made in seen] == [0, 1]


def test_the_applications_executor_may_be_full_of_work_that_waits_for_the_producer() -> None:
    kinesis, gate = Kinesis(), Event()

    async def test() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        full = loop.run_in_executor(None, gate.wait, PATIENCE)
        async with made(kinesis, replies=Answers(kinesis)) as producer:
            assert await (await producer.send("c", key="k")) == Acknowledged("shard-7", "42")
            await producer.flush()
            assert (await producer.request("c", key="k")).status == "accepted"
        gate.set()
        assert await full

    run(test)


def test_several_loops_may_use_one() -> None:
    kinesis = Kinesis()

    async def test() -> None:
        async with made(kinesis) as producer:

            async def work(number: int) -> None:
                for _ in range(20):
                    assert await (await producer.send("c", key=f"key-{number}")) == Acknowledged("shard-7", "42")

            threads = [Thread(target=asyncio.run, args=(work(number),)) for number in range(4)]
            for thread in threads:
                thread.start()
            await work(4)
            for thread in threads:
                await in_a_thread(thread.join)

    run(test)
    assert len(kinesis.requests) == 100


def test_tasks_that_are_cancelled_leave_nothing_behind() -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()

    async def test() -> None:
        async with made(kinesis, max_pending_bytes=100) as producer:
            handle = await producer.send("c", key="k", data={"pad": "x" * 100})
            waiting = [asyncio.create_task(handle.result()) for _ in range(1_000)]
            full = [asyncio.create_task(producer.send("c", key="k")) for _ in range(10)]
            await asyncio.sleep(0)
            for task in (*waiting, *full):
                task.cancel()
            ended = await asyncio.gather(*waiting, *full, return_exceptions=True)
            assert {type(one) for one in ended} == {asyncio.CancelledError}
            assert all(not one._futures for one in producer._loops._waiting.values())
            kinesis.gate.set()
            assert await handle == Acknowledged("shard-7", "42")

    run(test)
    assert len(kinesis.requests) == 1


@pytest.mark.parametrize("is_late", [True, False], ids=["as the result comes", "before"])
def test_a_result_that_a_cancelled_task_does_not_take_is_undone(monkeypatch: pytest.MonkeyPatch, is_late: bool) -> None:
    undone, cancelled = list[str](), Event()

    async def test() -> None:
        loop, result = asyncio.get_running_loop(), Event()
        tell = loop.call_soon_threadsafe

        def tell_and_cancel(settle: Callable[[], None]) -> Any:
            def both() -> None:
                settle()
                task.cancel()

            return tell(both)

        def work() -> str:
            assert is_late or cancelled.wait(PATIENCE)
            return "it"

        def undo(one: str) -> None:
            undone.append(one)
            result.set()

        monkeypatch.setattr(loop, "call_soon_threadsafe", tell_and_cancel if is_late else tell)
        task = asyncio.create_task(in_a_thread(work, undo))
        if not is_late:
            await asyncio.sleep(0)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cancelled.set()
        monkeypatch.undo()
        await in_a_thread(lambda: result.wait(PATIENCE))

    run(test)
    assert undone == ["it"]


def test_a_loop_that_ends_before_it_is_closed_loses_nothing() -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()

    async def leave() -> AsyncProducer:
        producer = await made(kinesis).__aenter__()
        handle = await producer.send("c", key="k")
        waits = asyncio.create_task(handle.result())
        await asyncio.sleep(0)
        assert not waits.done()
        return producer

    producer = asyncio.run(leave())
    kinesis.gate.set()

    async def go_on() -> None:
        await producer.flush()
        await (await producer.send("d", key="k"))
        await producer.close()

    asyncio.run(go_on())
    assert [request.cmd for request in kinesis.requests] == ["c", "d"]


def test_closing_goes_on_if_whoever_waits_for_it_is_cancelled() -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()

    async def test() -> None:
        producer = await made(kinesis).__aenter__()
        handle = await producer.send("c", key="k")
        closing = asyncio.create_task(producer.close())
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        with pytest.raises(ProducerClosed):
            await producer.send("c", key="k")
        kinesis.gate.set()
        assert await handle == Acknowledged("shard-7", "42")
        await producer.close()

    run(test)


def test_its_end_is_bounded_and_says_what_was_not_sent_beside_the_blocks_own_error() -> None:
    kinesis = Kinesis()
    kinesis.gate.clear()

    async def block(error: Exception | None) -> None:
        async with made(kinesis, close_timeout=0.0) as producer:
            for number in range(3):
                await producer.send("c", key=f"key-{number}")
            if error is not None:
                raise error

    async def test() -> None:
        with pytest.raises(StillPending, match="3 requests were not acknowledged"):
            await block(None)
        mine = ZeroDivisionError("mine")
        with pytest.raises(ZeroDivisionError) as raised:
            await block(mine)
        assert raised.value is mine
        assert "3 requests were not acknowledged" in mine.__notes__[0]
        kinesis.gate.set()

    run(test)
