"""The thread that reads replies, where they are wanted as long as it runs."""

from collections.abc import Callable
from queue import SimpleQueue

import pytest

from tests.producers.tidemill.replies.test_listener import PATIENCE, Source, accepted
from tidemill import Reply
from tidemill.replies.reader import ReplyReader


def test_replies_are_handed_on_from_start_to_close() -> None:
    heard: SimpleQueue[list[Reply]] = SimpleQueue()
    source = Source(accepted("1"), accepted("2", "3"))
    reader = ReplyReader(source, heard.put)
    assert source.polls == 0
    reader.start()
    reader.start()  # once
    assert [heard.get(timeout=PATIENCE) for _ in range(2)] == [accepted("1"), accepted("2", "3")]
    reader.close()
    assert source.closed
    assert reader.failure is None


def test_an_error_of_whoever_takes_replies_does_not_end_it() -> None:
    heard: SimpleQueue[str] = SimpleQueue()
    failures: SimpleQueue[None] = SimpleQueue()

    def take(replies: list[Reply]) -> None:
        for reply in replies:
            heard.put(reply.id)
            if reply.id == "bad":
                raise LookupError("nobody foresaw this")

    source = Source(accepted("bad"))
    reader = ReplyReader(source, take, failed=lambda: failures.put(None))
    reader.start()
    failures.get(timeout=PATIENCE)
    assert isinstance(reader.failure, LookupError)
    source.answers.append(accepted("good"))
    assert [heard.get(timeout=PATIENCE) for _ in range(2)] == ["bad", "good"]
    reader.close()
    assert source.closed


def test_a_thread_that_takes_its_time_to_run_is_started_once(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Callable[[], None]] = []
    monkeypatch.setattr("tidemill.replies.reader.start", lambda run, name: started.append(run))
    reader = ReplyReader(Source(), lambda replies: None)
    for _ in range(3):
        reader.start()
    assert len(started) == 1
    reader.close()
