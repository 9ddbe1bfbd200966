"""A producer used amid itself: by signal handlers, log handlers, observers, signers, `__del__` and hostile values."""

import gc
import logging
import signal
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from threading import Thread, current_thread
from types import FrameType
from typing import Any, cast

import pytest
from types_boto3_kinesis import KinesisClient

from tidemill import (
    Acknowledged,
    BufferFull,
    CallMade,
    NotAccepted,
    OutcomeUnknown,
    Producer,
    ProducerClosed,
    Request,
    Spool,
    UnsendableRequest,
)
from tidemill.contract.aggregation import unpack
from tidemill.contract.request import decode
from tidemill.delivery import keeper
from tidemill.lifetime import Lifetime
from tidemill.runtime import threads

PATIENCE = 30
"""Seconds after which a test gives up; none of them needs it."""

pytestmark = pytest.mark.timeout(120)


class Kinesis:
    """A stream that takes all."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def put_records(self, **call: Any) -> dict[str, Any]:
        self.requests += [decode(one.data) for record in call["Records"] for one in unpack(record["Data"])]
        return {"Records": [{"ShardId": "s", "SequenceNumber": "1"} for _ in call["Records"]]}

    @property
    def keys(self) -> list[str | None]:
        return [one.key for one in self.requests]


@pytest.fixture
def kinesis() -> Kinesis:
    return Kinesis()


def made(kinesis: Any, **options: Any) -> Producer:
    return Producer("s", kinesis=cast("KinesisClient", kinesis), check=False, **({"linger": 0} | options))


class Interrupted(Exception):
    pass


@pytest.fixture
def _timer() -> Iterator[None]:
    before = signal.getsignal(signal.SIGALRM)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("_timer")
def test_a_signal_handler_may_close_amid_a_send(kinesis: Kinesis) -> None:
    producer = made(kinesis)

    def stop(*_: object) -> None:
        producer.close(PATIENCE)

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    sent = []

    def send_on() -> None:
        while True:
            sent.append(producer.send("c", key="k"))

    with pytest.raises(ProducerClosed):
        send_on()
    assert {one.id for one in sent} == {one.id for one in kinesis.requests}
    assert [one.counter for one in kinesis.requests] == list(range(1, len(kinesis.requests) + 1))


@pytest.mark.usefixtures("_timer")
def test_an_interrupted_close_gives_nothing_up_and_may_be_called_again(kinesis: Kinesis) -> None:
    def interrupt(_: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code is Lifetime.close.__code__:
                raise Interrupted
            frame = frame.f_back  # amid the test itself

    producer = made(kinesis, linger=1e6)
    handle = producer.send("c", key="k")
    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-3)
    for _ in range(20):
        try:
            producer.close()
        except Interrupted:
            continue
    signal.setitimer(signal.ITIMER_REAL, 0)
    producer.close()
    assert handle.result(0).shard == "s"
    assert kinesis.keys == ["k"]


class Ships(logging.Handler):
    """A log handler that sends what is logged."""

    def __init__(self, producer: Producer) -> None:
        super().__init__()
        self.producer = producer

    def emit(self, record: logging.LogRecord) -> None:
        self.producer.send("log", key="log", data={"text": record.getMessage()})


@pytest.mark.parametrize("spools", [False, True])
def test_a_log_handler_may_send_what_the_producer_logs(kinesis: Kinesis, tmp_path: Path, spools: bool) -> None:
    options = {"spool": Spool(tmp_path)} if spools else {}
    producer = made(kinesis, linger=0.2, **options)
    handler = Ships(producer)
    log = logging.getLogger("tidemill")
    log.addHandler(handler)
    try:
        with cast("Any", handler.lock):  # whoever logs holds it, and sends
            with pytest.raises(NotAccepted, match="Expired"):
                producer.send("c", key="k", ttl=0.01).result(PATIENCE)
            producer.send("c", key="k").result(PATIENCE)
    finally:
        producer._lifetime.keeper._herald.rest()
        log.removeHandler(handler)
        producer.close(PATIENCE)
    assert kinesis.keys == ["k", "log"]


def test_an_observer_may_send_and_wait(kinesis: Kinesis) -> None:
    seen: list[CallMade] = []
    answers: list[Acknowledged] = []

    def observe(made: CallMade) -> None:
        seen.append(made)
        if len(seen) == 1:
            answers.append(producer.send("c", key="observed").result(PATIENCE))

    producer = made(kinesis, observer=observe)
    producer.send("c", key="k").result(PATIENCE)
    producer._lifetime.keeper._herald.rest()
    producer.close()
    assert kinesis.keys == ["k", "observed"]
    assert answers == [Acknowledged("s", "1")]


def test_what_is_collected_may_send_and_close_another(kinesis: Kinesis) -> None:
    class Leaves:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            producer.send("c", key="collected")

    thresholds = gc.get_threshold()
    with made(kinesis) as producer:
        gc.set_threshold(7)
        try:
            for _ in range(500):
                Leaves()
                producer.send("c", key="k", data={"a": [1]})
        finally:
            gc.set_threshold(*thresholds)
        gc.collect()
    assert kinesis.keys.count("k") == kinesis.keys.count("collected") == 500
    assert sorted(one.counter or 0 for one in kinesis.requests) == list(range(1, 1001))


def test_what_is_collected_in_a_thread_that_starts_another_may_send(
    kinesis: Kinesis, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Starts(Thread):
        def start(self) -> None:
            producer.send("c", key="collected")
            super().start()

    monkeypatch.setattr(keeper, "BEGINNING", 3600.0)
    monkeypatch.setattr(threads, "Thread", Starts)
    with made(kinesis) as producer:
        producer.send("c", key="k")
    assert set(kinesis.keys) == {"k", "collected"}
    assert kinesis.keys.count("k") == 1


def test_a_signer_may_send_and_must_not_wait(kinesis: Kinesis) -> None:
    class Signer:
        does: Any = None

        def sign(self, request: Request) -> Request:
            does, self.does = self.does, None
            if does:
                does()
            return request

    signer = Signer()
    with made(kinesis, signer=signer, linger=0.05) as producer:
        signer.does = lambda: producer.send("c", key="k", data={"by": "signer"})
        producer.send("c", key="k", data={"by": "sender"})
        signer.does = producer.stats
        with pytest.raises(RuntimeError, match="own threads cannot wait"):
            producer.send("c", key="k")
        signer.does = lambda: (_ for _ in ()).throw(SystemExit(3))
        with pytest.raises(SystemExit):
            producer.send("c", key="k")
        producer.send("c", key="k", data={"by": "sender"})
    assert [one.data["by"] for one in kinesis.requests] == ["sender", "signer", "sender"]
    counters = [one.counter or 0 for one in kinesis.requests]
    assert counters == sorted(set(counters))


def test_values_whose_comparison_sends_do_so_in_their_senders_thread(kinesis: Kinesis) -> None:
    opened: list[Producer] = []
    comparing: list[Thread] = []

    def send(key: str) -> None:
        for one in opened:
            comparing.append(current_thread())
            one.send("c", key=key)

    class Compares(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            send("compared")
            return str.__eq__(self, other)

        def __hash__(self) -> int:
            send("hashed")
            return str.__hash__(self)

    class Key(Compares):
        __slots__ = ()

    class Named(Compares, Enum):
        KEY = "hostile-key"

    with made(kinesis) as producer:
        opened.append(producer)
        for _ in range(3):
            with pytest.raises(UnsendableRequest):
                producer.send("c", key=Key("hostile-key"))
            producer.send("c", key=Named.KEY)
            producer.send("c", key="hostile-key")  # it is known now, and the others are equal to it
    assert kinesis.keys.count("hostile-key") == 6
    assert set(comparing) == {current_thread()}
    assert len(kinesis.keys) == 6 + len(comparing)


def test_a_client_that_raises_anything_ends_no_thread(kinesis: Kinesis) -> None:
    class Exits(Kinesis):
        exits = True

        def put_records(self, **call: Any) -> dict[str, Any]:
            if self.exits:
                self.exits = False
                raise SystemExit(1)
            return super().put_records(**call)

    stream = Exits()
    with made(stream) as producer:
        with pytest.raises(OutcomeUnknown, match="SystemExit"):
            producer.send("c", key="k").result(PATIENCE)
        producer.send("c", key="k").result(PATIENCE)
    assert stream.keys == ["k"]


def test_a_keeper_that_fails_lets_nobody_wait(kinesis: Kinesis, monkeypatch: pytest.MonkeyPatch) -> None:
    producer = made(kinesis, linger=1e6)
    first = producer.send("c", key="k")
    producer.stats()

    def fails(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(producer._lifetime.keeper.core.scheduler, "buffer", fails, raising=True)
    second = producer.send("c", key="k")
    for handle in (first, second):
        with pytest.raises((NotAccepted, ProducerClosed), match="failed"):
            handle.result(PATIENCE)
    with pytest.raises(ProducerClosed, match="MemoryError"):
        producer.put(Request(id="1", cmd="c", key="k", data={}))
    producer.close()


def test_a_full_producers_own_threads_do_not_wait_for_room(kinesis: Kinesis) -> None:
    raised: list[BaseException] = []

    class Sends(Kinesis):
        def put_records(self, **call: Any) -> dict[str, Any]:
            try:
                producer.send("c", key="amid")
            except BufferFull as error:
                raised.append(error)
            return super().put_records(**call)

    producer = made(Sends(), max_pending_bytes=1)
    producer.send("c", key="k").result(PATIENCE)
    producer.close()
    assert len(raised) == 1
