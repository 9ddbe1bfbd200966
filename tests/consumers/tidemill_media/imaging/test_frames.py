"""Messages over pipes: whole, or the other side is gone."""

import os
import threading
from collections.abc import Iterator

import pytest

from tidemill_media.imaging.frames import MOST_BYTES, Closed, gather, receive, send


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    hear, tell = os.pipe()
    yield hear, tell
    for one in (hear, tell):
        try:
            os.close(one)
        except OSError:
            continue  # closed by the test


def test_messages_come_whole_whatever_a_pipe_holds(pipe: tuple[int, int]) -> None:
    hear, tell = pipe
    messages = [b"", b"one", os.urandom(3_000_000)]

    def send_all() -> None:
        for one in messages:
            send(tell, one)

    sender = threading.Thread(target=send_all)
    sender.start()
    assert [receive(hear) for _ in messages] == messages
    sender.join()


def test_a_side_that_is_gone_is_told(pipe: tuple[int, int]) -> None:
    hear, tell = pipe
    os.write(tell, (5).to_bytes(8, "big") + b"four")
    os.close(tell)
    with pytest.raises(Closed):
        receive(hear)
    with pytest.raises(Closed):
        receive(hear)


def test_nobody_who_reads_is_told(pipe: tuple[int, int]) -> None:
    hear, tell = pipe
    os.close(hear)
    with pytest.raises(Closed):
        send(tell, b"one")


def test_a_length_that_no_message_has_is_refused(pipe: tuple[int, int]) -> None:
    hear, tell = pipe
    os.write(tell, (MOST_BYTES + 1).to_bytes(8, "big"))
    with pytest.raises(Closed, match=str(MOST_BYTES + 1)):
        receive(hear)


def test_what_is_written_until_the_end_is_gathered(pipe: tuple[int, int]) -> None:
    hear, tell = pipe
    os.write(tell, b"all of it")
    os.close(tell)
    assert gather(hear, 60) == b"all of it"


def test_who_does_not_end_in_time_is_not_waited_for(pipe: tuple[int, int]) -> None:
    hear, tell = pipe
    os.write(tell, b"a part")
    assert gather(hear, 0.01) is None
