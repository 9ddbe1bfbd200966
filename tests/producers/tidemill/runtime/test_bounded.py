"""Calls that take too long, whatever comes in the meantime: they are cut off, and tried again as what may be stored."""

import socket
from collections.abc import Iterator
from threading import Event, Thread, get_ident
from threading import enumerate as enumerate_threads
from time import sleep
from typing import Any, cast

import pytest
from botocore.exceptions import BotoCoreError
from types_boto3_kinesis import KinesisClient

from tests.answering import dribbles, service, without_marks
from tidemill import Acknowledged, CallMade, OutcomeUnknown, Producer, Replies, StillPending
from tidemill.delivery.calling import MOST_HUNG
from tidemill.runtime.bounded import CALL_SECONDS, bounded, cut

PATIENCE = 30
"""Seconds after which a test gives up; none of them needs it."""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setattr("tidemill.runtime.bounded.CALL_SECONDS", 0.1)
    monkeypatch.setattr("tidemill.sending.backoff.FIRST_BACKOFF", 0.02)


def test_two_minutes_are_the_bound() -> None:
    assert CALL_SECONDS == 120.0


def test_an_answer_that_never_ends_is_cut_off_and_its_call_made_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with service(dribbles, dribbles) as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        with Producer("stream", check=False, linger=0) as producer:
            assert producer.send("c", key="k").result(PATIENCE) == Acknowledged("shardId-000000000000", "1")
            hung = [one.thread for one in producer._lifetime.keeper._calling.hung]
            assert producer.stats().retried_entries == 2
    assert there.calls[0] == without_marks(there.calls[1]) == without_marks(there.calls[2])
    assert there.calls[0] != there.calls[1] == there.calls[2]
    assert len(there.calls) == 3
    for thread in hung:
        assert thread is not None
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert "no answer in" in caplog.text


def test_what_it_carried_ends_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(usually=dribbles) as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        with Producer("stream", check=False, linger=0) as producer:
            handle = producer.send("c", key="k", ttl=0.05)
            with pytest.raises(OutcomeUnknown, match="Expired"):
                handle.result(PATIENCE)


class Hangs:
    """A client that does not come back from some of its calls, and is at no socket."""

    def __init__(self, times: int) -> None:
        self.calls = 0
        self.hang(times)

    def hang(self, times: int) -> None:
        """So many calls more do."""
        self.gate = Event()
        self._until = self.calls + times

    def put_records(self, Records: list[Any], **_: Any) -> dict[str, Any]:
        self.calls += 1
        if self.calls <= self._until:
            assert self.gate.wait(PATIENCE)
            raise OSError("too late")
        return {"Records": [{"ShardId": "s", "SequenceNumber": "1"} for _ in Records]}


def test_a_call_that_waits_for_anything_is_made_again_by_another_thread() -> None:
    kinesis, made = Hangs(0), list[CallMade]()
    client = cast("KinesisClient", kinesis)
    with Producer("stream", kinesis=client, check=False, linger=0, observer=made.append) as producer:
        for _ in range(2):  # those that have come back make room for others
            kinesis.hang(MOST_HUNG)
            assert producer.send("c", key="k").result(PATIENCE) == Acknowledged("s", "1")
            hung = [one.thread for one in producer._lifetime.keeper._calling.hung]
            kinesis.gate.set()
            for thread in hung:
                assert thread is not None
                thread.join(PATIENCE)
        assert (producer.stats().retried_entries, producer.stats().records) == (2 * MOST_HUNG, 2)
    assert kinesis.calls == 2 * MOST_HUNG + 2
    assert len([one for one in made if isinstance(one, CallMade)]) == kinesis.calls, "the late answers are not heard"


def test_no_more_than_a_few_threads_wait_for_such_calls() -> None:
    kinesis = Hangs(PATIENCE)
    with Producer("stream", kinesis=cast("KinesisClient", kinesis), check=False, linger=0) as producer:
        handle = producer.send("c", key="k")
        while kinesis.calls <= MOST_HUNG:
            sleep(0.01)
        with pytest.raises(StillPending):
            handle.result(0.5)
        assert kinesis.calls == MOST_HUNG + 1
        kinesis._until = 0
        kinesis.gate.set()
        assert handle.result(PATIENCE) == Acknowledged("s", "1")


def test_the_look_at_the_stream_ends_too(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    with service(dribbles) as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        with Producer("stream", linger=0) as producer:
            producer.send("c", key="k").result(PATIENCE)
    assert "cannot look at the stream" in caplog.text


def test_the_poll_of_replies_ends_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with service(dribbles) as there:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.url)
        replies = Replies(f"{there.url}/000000000000/queue")
        with pytest.raises(BotoCoreError):
            replies.poll(1)
        assert replies.poll(1) == []


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_a_thread_is_cut_off_from_the_socket_that_it_reads(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    read: list[bytes] = []

    def reads() -> None:
        with one.makefile("rb") as file:
            read.append(file.readline())

    def runs() -> None:
        reads()

    thread = Thread(target=runs)
    thread.start()
    while not cut(thread.ident or 0, runs.__code__):
        assert thread.is_alive()
    thread.join(PATIENCE)
    assert read == [b""]
    assert other.recv(1) == b""


def test_who_is_at_no_socket_is_not_cut_off_whatever_its_callers_have(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    sock, other = pair

    def waits() -> bool:
        return cut(get_ident(), waits.__code__)

    def has_another(sock: object) -> bool:
        return cut(get_ident(), waits.__code__)

    assert not waits()
    assert not has_another(sock), "it is not within"
    assert not cut(0, waits.__code__)
    sock.send(b"1")
    assert other.recv(1) == b"1"


def test_a_bounded_call_that_waits_for_anything_else_leaves_its_callers_sockets_alone(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    sock, other = pair
    tries: list[int] = []

    def looks() -> None:
        while len(tries) < 3:
            sleep(0.01)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tidemill.runtime.bounded.cut", lambda *args: tries.append(cut(*args)))
        bounded(looks)
    assert tries[:3] == [False, False, False]
    sock.send(b"1")
    assert other.recv(1) == b"1"


def test_what_follows_a_bounded_call_waits_for_its_being_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, happened = Event(), list[str]()

    def cut_slowly(*_: object) -> None:
        begun.set()
        sleep(0.05)
        happened.append("cut")

    monkeypatch.setattr("tidemill.runtime.bounded.cut", cut_slowly)
    bounded(lambda: begun.wait(PATIENCE))
    happened.append("next")
    assert happened == ["cut", "next"]


def test_a_bounded_call_is_cut_off_again_and_again_and_what_follows_is_not(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, other = pair
    again, another = socket.socketpair()
    with again, another, one.makefile("rb") as first, another.makefile("rb") as second:
        assert bounded(lambda: (first.read(), second.read())) == (b"", b"")
        for thread in enumerate_threads():
            if thread.name == "tidemill-watch":
                thread.join(PATIENCE)
                assert not thread.is_alive()
    assert other.recv(1) == b""
