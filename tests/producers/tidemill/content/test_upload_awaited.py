"""`AsyncProducer.upload` keeps what `Producer.upload` promises, leaves its event loop free, and can be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Event, Thread, current_thread
from threading import enumerate as enumerate_threads
from typing import Any, TypeAlias

import pytest

from tests.producers.tidemill.content.photos import Overheard, photo
from tidemill import AsyncProducer, NotUploaded, ProducerClosed, UnfitFile, UnsendableRequest
from tidemill.content.token import PART_BYTES
from tidemill_local.emulator import Emulator

LARGE = photo(2 * PART_BYTES + 1)

Use: TypeAlias = Callable[[AsyncProducer], Awaitable[None]]
Run: TypeAlias = Callable[..., None]


@pytest.fixture
def s3(emulator: Emulator) -> Any:
    return emulator.client("s3")


@pytest.fixture
def run(emulator: Emulator, stream: str, bucket: str, s3: Any) -> Run:
    """Runs a coroutine with a producer, whose client for the bucket may be another one."""

    def run_it(use: Use, **given: Any) -> None:
        kinesis = emulator.client("kinesis")
        given = {"kinesis": kinesis, "s3": s3, "bucket": bucket, "client": "ann"} | given

        async def main() -> None:
            async with AsyncProducer(stream, **given) as producer:
                await asyncio.wait_for(use(producer), 60)

        asyncio.run(main())

    return run_it


@pytest.mark.parametrize("size", [100, PART_BYTES + 1])
def test_a_photo_is_stored_as_it_is(run: Run, s3: Any, bucket: str, tmp_path: Path, size: int) -> None:
    path, told, tellers = tmp_path / "photo", list[tuple[int, int, str | None]](), set[Thread]()
    path.write_bytes(photo(size))

    def hear(*how: Any) -> None:
        told.append(how)
        tellers.add(current_thread())

    async def use(producer: AsyncProducer) -> None:
        done = await producer.upload(path, key="content/4 2", with_place=True, progress=hear)
        assert done == ("photos/ann/content/4%202", None, size, "image/jpeg")

    run(use)
    found = s3.get_object(Bucket=bucket, Key="photos/ann/content/4%202")
    assert found["Body"].read() == photo(size)
    assert (found["ContentType"], found["Metadata"]) == ("image/jpeg", {"place": "yes"})
    assert told[-1][:2] == (size, size)
    assert tellers == {current_thread()}


def test_the_loop_is_free_meanwhile(run: Run, s3: Any) -> None:
    """Both uploads end only once each has begun, and a task of the loop has seen that."""
    began, may_go_on = [Event(), Event()], Event()

    def hear(name: str, arguments: dict[str, Any]) -> None:
        if name == "put_object":
            began[arguments["Key"].endswith("1")].set()
            assert may_go_on.wait(60), "the loop was blocked"

    async def look() -> None:
        while not all(one.is_set() for one in began):
            await asyncio.sleep(0.001)
        may_go_on.set()

    async def use(producer: AsyncProducer) -> None:
        await asyncio.gather(*(producer.upload(photo(10), key=f"content/{n}") for n in range(2)), look())

    run(use, s3=Overheard(s3, hear))


def test_a_cancelled_upload_sends_no_further_part_and_goes_on_later(
    run: Run, s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.content.upload.PARTS_AT_ONCE", 1)
    is_there, cancelled, tokens, sent = asyncio.Event(), Event(), list[str | None](), list[int]()

    def hear(name: str, arguments: dict[str, Any]) -> None:
        if name == "upload_part":
            sent.append(arguments["PartNumber"])
            assert arguments["PartNumber"] != 2 or cancelled.wait(60)

    def progress(done: int, total: int, resume: str | None) -> None:
        tokens.append(resume)
        if done:
            is_there.set()

    async def use(producer: AsyncProducer) -> None:
        uploading = asyncio.create_task(producer.upload(LARGE, key="content/1", progress=progress))
        await is_there.wait()
        while sent != [1, 2]:
            await asyncio.sleep(0.001)
        uploading.cancel()
        with pytest.raises(asyncio.CancelledError) as error:
            await uploading
        assert any("goes on with resume=" in note for note in error.value.__notes__)
        told = len(tokens)
        cancelled.set()
        while any(one.name == "tidemill-upload" for one in enumerate_threads()):
            await asyncio.sleep(0.001)
        assert (sent, len(tokens)) == ([1, 2], told), "the part that was on its way is the last"
        assert tokens[-1]
        await producer.upload(LARGE, key="content/1", resume=tokens[-1])
        assert sent == [1, 2, 3]

    run(use, s3=Overheard(s3, hear))
    assert s3.get_object(Bucket=bucket, Key="photos/ann/content/1")["Body"].read() == LARGE


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux to list open files")
def test_an_upload_that_is_cancelled_as_it_begins_leaves_no_file_open(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "photo"
    path.write_bytes(LARGE)

    def is_open() -> bool:
        return path in {one.resolve() for one in Path("/proc/self/fd").iterdir()}

    async def use(producer: AsyncProducer) -> None:
        for steps in range(6):
            uploading = asyncio.create_task(producer.upload(path, key="content/1"))
            for _ in range(steps):
                await asyncio.sleep(0)
            uploading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await uploading
        while is_open():
            await asyncio.sleep(0.001)

    run(use)


def test_errors_are_those_of_the_other_producer(run: Run, stream: str, tmp_path: Path) -> None:
    async def use(producer: AsyncProducer) -> None:
        with pytest.raises(UnfitFile, match=r"^it is a PDF"):
            await producer.upload(b"%PDF", key="content/1")
        with pytest.raises(FileNotFoundError):
            await producer.upload(tmp_path / "none", key="content/1")
        with pytest.raises(ValueError, match="resume"):
            await producer.upload(photo(10), key="content/1", resume="{}")
        with pytest.raises(UnsendableRequest, match="key"):
            await producer.upload(photo(10), key="")
        with pytest.raises(UnsendableRequest, match="key: the key of a photo is int, and must be text"):
            await producer.upload(photo(10), key=5)  # type: ignore[arg-type]
        with pytest.raises(NotUploaded, match="NoSuchBucket") as failed:
            await producer.upload(photo(10), key="content/1")
        assert failed.value.resume is None

    run(use, bucket="no-such-bucket")

    async def unentered() -> None:
        producer = AsyncProducer(stream, bucket="b", client="ann")
        with pytest.raises(RuntimeError, match="enter its block"):
            await producer.upload(photo(10), key="content/1")
        await producer.close()
        with pytest.raises(ProducerClosed):
            await producer.upload(photo(10), key="content/1")

    asyncio.run(unentered())


def test_closing_ends_an_upload_that_waits(run: Run, s3: Any) -> None:
    began, closed = asyncio.Event(), Event()

    def hear(name: str, arguments: dict[str, Any]) -> None:
        if name == "upload_part":
            assert closed.wait(60)

    def progress(done: int, total: int, resume: str | None) -> None:
        if resume:
            began.set()

    async def use(producer: AsyncProducer) -> None:
        uploading = asyncio.create_task(producer.upload(LARGE, key="content/1", progress=progress))
        await began.wait()
        await producer.close()
        with pytest.raises(NotUploaded, match=r"Closed: .*the producer was closed.*resume=") as failed:
            await uploading
        closed.set()
        assert failed.value.resume

    run(use, s3=Overheard(s3, hear))
