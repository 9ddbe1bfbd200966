"""Large data goes by way of a real bucket, in order; and where that fails, nothing is sent or kept."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any, TypeAlias

import boto3
import msgspec
import pytest
from botocore.config import Config

from tidemill import (
    AsyncProducer,
    BufferFull,
    NotUploaded,
    Producer,
    Request,
    Signer,
    Spool,
    UnsendableRequest,
    new_key,
)
from tidemill.content.bucket import Bucket
from tidemill.contract.aggregation import unpack
from tidemill.contract.claim_check import claim_check, read_data
from tidemill.contract.request import decode
from tidemill.runtime.waiting import News
from tidemill.sending.claims import ToUpload
from tidemill_local.emulator import Emulator

Sent: TypeAlias = Callable[[], list[Request]]

LARGE = {"rows": ["x" * 100] * 1000}
LARGER = {"rows": ["y" * 1000] * 4000}


@pytest.fixture
def sent(emulator: Emulator, stream: str, bucket: str) -> Sent:
    """The requests on the stream, with their data."""
    kinesis, s3 = emulator.client("kinesis"), emulator.client("s3")

    def with_data(request: Request) -> Request:
        if request.ref is None:
            return request
        body = s3.get_object(Bucket=bucket, Key=request.ref.object)["Body"].read()
        return msgspec.structs.replace(request, data=read_data(request.ref, body))

    def read() -> list[Request]:
        start = kinesis.get_shard_iterator(
            StreamName=stream, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
        )
        records = kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]
        return [with_data(decode(one.data)) for record in records for one in unpack(record["Data"])]

    return read


@pytest.fixture
def given(emulator: Emulator, bucket: str) -> dict[str, Any]:
    """A producer's arguments."""
    once = Config(retries={"total_max_attempts": 1})
    kinesis = boto3.client("kinesis", config=once, **where(emulator))
    return {"kinesis": kinesis, "s3": emulator.client("s3"), "bucket": bucket, "client": "us-east-1:ann"}


def where(emulator: Emulator) -> dict[str, Any]:
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    return {"endpoint_url": emulator.endpoint_url, **keys}


def test_large_data_is_uploaded_and_order_holds(stream: str, given: dict[str, Any], sent: Sent) -> None:
    every: list[dict[str, Any]] = [{"n": 1}, LARGE, {"n": 2}, LARGER, {"n": 3}, LARGE]
    with Producer(stream, **given) as producer:
        for data in every:
            producer.send("keep", key="k", data=data)
    found = sent()
    assert [one.data for one in found] == every
    assert [one.counter for one in found] == [1, 2, 3, 4, 5, 6]
    refs = [one.ref for one in found]
    assert [ref is not None for ref in refs] == [False, True, False, True, False, True]
    assert refs[1] == refs[5]
    assert refs[1] is not None
    assert refs[1].object.startswith("uploads/us-east-1:ann/")


def test_the_setting_decides_what_is_large(stream: str, given: dict[str, Any], sent: Sent) -> None:
    with Producer(stream, **given, claim_check=0) as producer:
        producer.send("keep", key="k", data={})
        producer.send("keep", key="k")
        producer.send("keep", key="k", data={"n": 1})
    with Producer(stream, **given, claim_check=200_000) as producer:
        producer.send("keep", key="k", data=LARGE)
    assert [(one.ref is not None, one.data) for one in sent()] == [
        (False, {}),
        (False, {}),
        (True, {"n": 1}),
        (False, LARGE),
    ]
    for wrong in ({"claim_check": -1}, {"claim_check": 256 * 1024}, {"bucket": ""}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Producer(stream, **{**given, **wrong})


def test_asyncio_too(stream: str, given: dict[str, Any], sent: Sent) -> None:
    replayed = Request(id="mine", cmd="keep", key="k", client="us-east-1:ann", data=LARGER)

    async def work() -> None:
        async with AsyncProducer(stream, **given) as producer:
            await producer.send("keep", key="k", data=LARGE)
            await producer.send("keep", key="k", data={"n": 1})
            await producer.put(replayed)

    asyncio.run(work())
    assert [(one.ref is not None, one.data) for one in sent()] == [(True, LARGE), (False, {"n": 1}), (True, LARGER)]


def test_a_request_that_is_replayed_too(stream: str, given: dict[str, Any], sent: Sent) -> None:
    replayed = Request(id="mine", cmd="keep", key="k", client="us-east-1:bob", data=LARGER)
    with Producer(stream, **given) as producer:
        producer.put(replayed)
    (found,) = sent()
    assert found.ref is not None
    assert found.ref.object.startswith("uploads/us-east-1:bob/")
    assert msgspec.structs.replace(found, ref=None) == replayed


def test_a_signature_covers_it(stream: str, given: dict[str, Any], sent: Sent) -> None:
    with Producer(stream, **given, signer=Signer.from_pem(new_key(), stream=stream)) as producer:
        producer.send("keep", key="k", data=LARGE)
    (found,) = sent()
    assert (found.data, found.sig is not None) == (LARGE, True)


def test_a_failed_upload_says_what_to_do_and_keeps_nothing(
    emulator: Emulator, stream: str, given: dict[str, Any], sent: Sent, tmp_path: Path
) -> None:
    given["bucket"] = "no-such-bucket"
    with Producer(stream, **given, spool=Spool(tmp_path / "spool")) as producer:
        with pytest.raises(NotUploaded, match=r"s3://no-such-bucket/uploads/.*ContentBucketName") as failed:
            producer.send("keep", key="k", data=LARGE)
        assert failed.value.code == "NoSuchBucket"
        with pytest.raises(NotUploaded):
            producer.put(Request(id="mine", cmd="keep", key="k", client="ann", data=LARGE))
        assert producer.stats().pending == 0
        producer.send("keep", key="k", data={"n": 1})
    (found,) = sent()
    assert (found.data, found.counter) == ({"n": 1}, 1)


@pytest.mark.parametrize("answers", ["nothing", "something else"])
def test_what_is_no_s3_is_a_failed_upload(emulator: Emulator, stream: str, given: dict[str, Any], answers: str) -> None:
    class Elsewhere:
        def put_object(self, **_: Any) -> Any:
            if answers == "nothing":
                raise ConnectionResetError("gone")
            return {}

    with (
        Producer(stream, **{**given, "s3": Elsewhere()}) as producer,
        pytest.raises(NotUploaded, match="nothing of it"),
    ):
        producer.send("keep", key="k", data=LARGE)


def test_nothing_is_uploaded_for_a_request_that_there_is_no_room_for(stream: str, given: dict[str, Any]) -> None:
    puts: list[str] = []
    given["s3"] = boto3.client("s3", endpoint_url="http://127.0.0.1:9", region_name="us-east-1")
    given["s3"].meta.events.register("before-call.s3.PutObject", lambda **_: puts.append("put"))
    full: dict[str, Any] = {"when_full": "raise", "max_pending_bytes": 1, "linger": 60}

    async def work() -> None:
        async with AsyncProducer(stream, **given, **full) as producer:
            await producer.send("keep", key="k", data={"n": 1})
            with pytest.raises(BufferFull):
                await producer.send("keep", key="k", data=LARGE)

    with Producer(stream, **given, **full) as producer:
        producer.send("keep", key="k", data={"n": 1})
        with pytest.raises(BufferFull):
            producer.send("keep", key="k", data=LARGE)
        with pytest.raises(BufferFull):
            producer.put(Request(id="mine", cmd="keep", key="k", client="ann", data=LARGE))
    asyncio.run(work())
    assert puts == []


def test_the_endpoint_of_s3_alone_may_be_another_and_no_proxy_stands_before_this_machine(
    emulator: Emulator, stream: str, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch, sent: Sent
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name, value in {"AWS_ENDPOINT_URL_S3": emulator.endpoint_url, "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    del given["s3"]
    with Producer(stream, **given) as producer:
        producer.send("keep", key="k", data=LARGE)
    assert [one.data for one in sent()] == [LARGE]


def test_own_threads_do_not_wait_for_an_upload(given: dict[str, Any]) -> None:
    news = News()
    news.forbid()
    bucket = Bucket(given["bucket"], "requests", given["s3"])
    with pytest.raises(UnsendableRequest, match="own threads do not wait"):
        bucket.store_apart(ToUpload(claim_check("ann", b"{}"), b"{}"), news)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals")
def test_a_signal_handler_may_upload_while_an_upload_waits(stream: str, given: dict[str, Any], sent: Sent) -> None:
    s3 = given["s3"]

    began, has_sent = Event(), Event()

    class Signals:
        def put_object(self, **arguments: Any) -> Any:
            if arguments["Body"] == msgspec.json.encode(LARGE):
                os.kill(os.getpid(), signal.SIGUSR1)
                while not began.wait(1):  # Python hears late of a signal that came just before it waits for a lock
                    os.kill(os.getpid(), signal.SIGUSR1)
                assert has_sent.wait(60), "the handler's upload waits for this one"
            return s3.put_object(**arguments)

    turns = [1]

    def handle(*_: object) -> None:
        try:
            turns.pop()
        except IndexError:  # a later signal, which interrupts the first one's handler if this machine is busy
            return
        began.set()
        producer.send("keep", key="k", data=LARGER)
        has_sent.set()

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        with Producer(stream, **{**given, "s3": Signals()}) as producer:
            producer.send("keep", key="k", data=LARGE)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert sorted(len(one.data["rows"]) for one in sent()) == [1000, 4000]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_has_connections_of_its_own(stream: str, given: dict[str, Any], sent: Sent) -> None:
    with Producer(stream, **given) as producer:
        producer.send("keep", key="k", data=LARGE).result(30)
        child = os.fork()
        if child == 0:
            try:
                producer.send("keep", key="k", data=LARGER).result(30)
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        producer.send("keep", key="k", data=LARGE).result(30)
    assert sorted(len(one.data["rows"]) for one in sent()) == [1000, 1000, 4000]
