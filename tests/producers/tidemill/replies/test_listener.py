"""Hearing replies: who is awaited, and what a source may do."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Event, Semaphore, Thread
from time import monotonic, sleep
from typing import Any, cast
from weakref import WeakSet

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tidemill import Reply, ReplyMessage
from tidemill.contract.request import encode
from tidemill.replies.listener import Awaits, Listener
from tidemill.replies.reader import Unheard
from tidemill.replies.replies import may_pass

PATIENCE = 30


class Handle:
    """What a listener needs of a handle."""

    def __init__(self, name: str) -> None:
        self.id = name
        self._heard: Reply | None = None
        self._is_lost = False

    def _hear(self, reply: Reply) -> None:
        self._heard = reply


def handle(name: str) -> Awaits:
    return Handle(name)


class Source:
    """Answers each poll by what the test has it do next: replies, or an exception; then by nothing."""

    def __init__(self, *answers: list[Reply] | BaseException) -> None:
        self.answers = list(answers)
        self.error: BaseException | None = None
        self.polls = 0
        self.closed = False

    def poll(self, wait_seconds: int) -> list[Reply]:
        self.polls += 1
        answer = self.error or (self.answers.pop(0) if self.answers else [])
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True


def accepted(*ids: str) -> list[Reply]:
    return [Reply(one, "accepted") for one in ids]


def client_error(code: str, status: int) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": "said so"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "ReceiveMessage")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.runtime.trouble.FIRST_PAUSE", 0.0)


@contextmanager
def listening(source: Any, heard: Callable[[], None] = lambda: None) -> Iterator[Listener]:
    listener = Listener(source, heard)
    yield listener
    listener.close()


def until(holds: Callable[[], object]) -> None:
    end = monotonic() + PATIENCE
    while not holds():
        assert monotonic() < end
        sleep(0.005)


def test_a_reply_is_heard_by_all_who_wait_for_it_and_stays() -> None:
    news = Semaphore(0)
    one, again, other = handle("1"), handle("1"), handle("2")
    with listening(Source([], accepted("unknown", "1")), news.release) as listener:
        for ticket in (one, again, other):
            listener.expect(ticket)
        assert news.acquire(timeout=PATIENCE)
        assert [listener.has_news_of(ticket) for ticket in (one, again, other)] == [True, True, False]
        assert listener.reply_to(one) == listener.reply_to(again) == Reply("1", "accepted")
        assert listener.reply_to(other) is None


def test_a_handle_that_comes_amid_the_others_of_its_request_hears_the_next_reply() -> None:
    first, second, third = handle("1"), handle("1"), handle("1")
    source = Source()
    with listening(source) as listener:
        listener.expect(first)
        listener.expect(second)
        source.answers.append(accepted("1"))
        until(lambda: first._heard and second._heard)
        listener.expect(third)
        source.answers.append(accepted("1"))
        until(lambda: third._heard)


def test_a_handle_that_is_gone_leaves_the_others_of_its_request() -> None:
    source = Source()
    gone, kept = handle("1"), handle("1")
    with listening(source) as listener:
        listener.expect(gone)
        listener.expect(kept)
        until(listener._inbox.empty)
        del gone
        polls = source.polls
        until(lambda: source.polls > polls + 1)
        source.answers.append(accepted("1"))
        until(lambda: kept._heard)


def test_handles_of_one_request_that_are_all_gone_take_no_room() -> None:
    with listening(Source()) as listener:
        handles = [handle("1"), handle("1")]
        for one in handles:
            listener.expect(one)
        until(lambda: listener._others)
        del handles, one
        until(lambda: not listener._expected and not listener._others)


def test_a_handle_that_comes_just_before_the_thread_is_idle_hears_its_reply() -> None:
    late = [handle("2")]
    ticket = late[0]

    class Listens(Listener):
        _idle = has_heard = False

        @property
        def _is_idle(self) -> bool:
            return self._idle

        @_is_idle.setter
        def _is_idle(self, idle: bool) -> None:
            if idle and self.has_heard and late:
                self.expect(late.pop())
                source.answers.append(accepted("2"))
            self._idle = idle

    source = Source(accepted("1"))
    listener = Listens(source, lambda: None)
    first = handle("1")
    listener.expect(first)
    until(lambda: ticket._heard)
    listener.close()


def test_each_of_many_that_come_at_once_and_one_by_one_hears_its_reply() -> None:
    class Echo(Source):
        def poll(self, wait_seconds: int) -> list[Reply]:
            return accepted(*[asked.get() for _ in range(asked.qsize())])

    def ask(name: str, number: int, wait: bool) -> None:
        for turn in range(number):
            one = handle(f"{name}/{turn}")
            listener.expect(one)
            handles.append(one)
            asked.put(one.id)
            if wait:  # the reader's thread is idle when the next one comes
                until(lambda one=one: one._heard)  # type: ignore[misc]

    asked: SimpleQueue[str] = SimpleQueue()
    handles: list[Awaits] = []
    with listening(Echo()) as listener:
        ask("one by one", 300, wait=True)
        threads = [Thread(target=ask, args=(f"at once {name}", 3_000, False)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        until(lambda: all(one._heard for one in handles))
        assert len(handles) == 12_300


def test_ten_thousand_replies_and_more_are_kept_as_long_as_their_handles() -> None:
    handles = [handle(str(number)) for number in range(20_000)]
    source = Source()
    with listening(source) as listener:
        for one in handles:
            listener.expect(one)
        source.answers.append(accepted(*(one.id for one in handles)))
        until(lambda: not listener._expected and listener._inbox.empty())
        assert all(map(listener.has_news_of, handles))
        left = WeakSet(handles)
        del handles[100:], one
        assert len(left) == 100


def test_who_gave_up_is_awaited_no_more_and_nobody_is_asked_in_vain() -> None:
    source = Source()
    gone, lost, given_up, kept = handle("1"), Handle("2"), handle("5"), handle("3")
    with listening(source) as listener:
        for ticket in (gone, lost, given_up, kept):
            listener.expect(ticket)
        until(lambda: len(listener._expected) == 4)
        del gone, ticket
        lost._is_lost = True
        listener.give_up(given_up)
        until(lambda: list(listener._expected) == ["3"])
        source.answers.append(accepted("3"))
        until(lambda: listener.has_news_of(kept))
        until(lambda: not listener._expected)
        asked = source.polls
        later = handle("4")
        source.answers.append(accepted("4"))
        listener.expect(later)
        until(lambda: listener.has_news_of(later))
        assert source.polls == asked + 1


def test_handles_that_are_gone_behind_one_that_waits_take_no_room() -> None:
    with listening(Source()) as listener:
        kept = handle("kept")
        listener.expect(kept)
        handles = [handle(str(number)) for number in range(5_000)]
        for one in handles:
            listener.expect(one)
        until(lambda: len(listener._expected) == 5_001)
        del handles, one
        later = [handle(f"later/{number}") for number in range(9_000)]
        for another in later:
            listener.expect(another)
        until(lambda: len(listener._expected) == 9_001)
        assert "kept" in listener._expected


class Strange(Exception):
    """Does not even say what it is."""

    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize(
    ("error", "raised", "match"),
    [
        (ValueError("no JSON today"), ValueError, "no JSON today"),
        (client_error("AWS.SimpleQueueService.NonExistentQueue", 400), ClientError, "NonExistentQueue"),
        (SystemExit("enough"), Unheard, "SystemExit: enough"),
        (KeyboardInterrupt(), Unheard, "KeyboardInterrupt"),
        (Strange(), Strange, None),
    ],
)
def test_whatever_a_source_raises_is_heard_at_once_and_the_thread_goes_on(
    error: BaseException, raised: type[Exception], match: str | None
) -> None:
    news: SimpleQueue[None] = SimpleQueue()
    first, second = handle("1"), handle("2")
    source = Source()
    source.error = error
    with listening(source, lambda: news.put(None)) as listener:
        listener.expect(first)
        news.get(timeout=PATIENCE)
        with pytest.raises(raised) as caught:
            listener.reply_to(first)
        if match:
            assert match in str(caught.value)
        source.answers.append(accepted("1", "2"))
        source.error = None
        listener.expect(second)
        until(lambda: second._heard)
        assert listener.reply_to(first) == Reply("1", "accepted")
        assert not listener.has_news_of(handle("3"))


def test_replies_that_are_none_are_a_failure_of_their_source() -> None:
    source = Source(cast("Any", ["no reply"]), accepted("1"))
    ticket = handle("1")
    with listening(source) as listener:
        listener.expect(ticket)
        until(lambda: ticket._heard)


@pytest.mark.parametrize("error", [OSError("no route"), client_error("InternalError", 500), client_error("x", 429)])
def test_what_may_pass_is_waited_out(error: Exception) -> None:
    source = Source(error, error, accepted("1"))
    ticket = handle("1")
    with listening(source) as listener:
        listener.expect(ticket)
        until(lambda: listener.has_news_of(ticket))
        assert listener.reply_to(ticket) == Reply("1", "accepted")
    assert source.closed


def test_an_hour_of_failures_is_two_lines(caplog: pytest.LogCaptureFixture) -> None:
    error = EndpointConnectionError(endpoint_url="https://sqs.eu-west-1.amazonaws.com")
    source = Source(*[error] * 100, accepted("1"))
    ticket = handle("1")
    with listening(source) as listener:
        listener.expect(ticket)
        until(lambda: listener.has_news_of(ticket))
    first, last = (record.getMessage() for record in caplog.records)
    assert first.startswith("cannot hear replies: EndpointConnectionError: Could not connect")
    assert last.startswith("replies are heard again: 100 tries failed in ")


def test_a_log_filter_that_raises_is_no_end() -> None:
    def refuse(_: object) -> bool:
        raise SystemExit

    source = Source(OSError("no route"), accepted("1"))
    ticket = handle("1")
    logger = logging.getLogger("tidemill")
    logger.addFilter(refuse)
    try:
        with listening(source) as listener:
            listener.expect(ticket)
            until(lambda: listener.has_news_of(ticket))
    finally:
        logger.removeFilter(refuse)


def test_a_source_that_never_comes_back_does_not_hold_the_end(caplog: pytest.LogCaptureFixture) -> None:
    asked, gate = Event(), Event()

    class Stuck(Source):
        def poll(self, wait_seconds: int) -> list[Reply]:
            asked.set()
            gate.wait(PATIENCE)
            return []

    source = Stuck()
    listener = Listener(source, lambda: None)
    ticket = handle("1")
    listener.expect(ticket)
    assert asked.wait(PATIENCE)
    listener.close(0.01)
    assert not source.closed
    assert "does not come back" in caplog.text
    gate.set()
    listener.close()
    assert source.closed


def test_a_listener_that_was_never_asked_closes_its_source() -> None:
    source = Source()
    Listener(source, lambda: None).close()
    assert (source.closed, source.polls) == (True, 0)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (client_error("AccessDenied", 403), False),
        (client_error("ThrottlingException", 400), True),
        (client_error("RequestTimeout", 408), True),
        (client_error("TooManyRequests", 429), True),
        (client_error("InternalError", 500), True),
        (client_error("Odd", 499), False),
        (ClientError(cast("Any", {}), "ReceiveMessage"), True),
        (OSError(), True),
        (EndpointConnectionError(endpoint_url="x"), True),
        (ValueError(), False),
        (SystemExit(), False),
    ],
)
def test_what_may_pass_by_itself(error: BaseException, passes: bool) -> None:
    assert may_pass(error) is passes


def test_an_id_that_is_sent_again_is_answered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the queue of a URL, whose `Replies` would drop what has come before."""
    bodies: SimpleQueue[str] = SimpleQueue()

    def receive(_: object, wait_seconds: int) -> list[dict[str, str]]:
        try:
            return [{"ReceiptHandle": "h", "Body": bodies.get(timeout=0.1)}]
        except Empty:
            return []

    monkeypatch.setattr("tidemill.replies.message_queue.MessageQueue.receive", receive)
    monkeypatch.setattr("tidemill.replies.message_queue.MessageQueue.delete_handed_over", lambda _: None)
    heard: SimpleQueue[None] = SimpleQueue()
    listener = Listener("https://sqs.eu-west-1.amazonaws.com/123456789012/replies", lambda: heard.put(None))
    for _ in range(2):
        one = handle("1")
        listener.expect(one)
        bodies.put(encode(ReplyMessage("ada", tuple(accepted("1")))).decode())
        heard.get(timeout=PATIENCE)
        assert listener.reply_to(one) == Reply("1", "accepted")
    listener.close()
