"""The end of a producer: bounded, whatever becomes of the endpoint, and it tells what was not sent."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event, Thread
from threading import enumerate as enumerate_threads
from time import sleep
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError
from types_boto3_kinesis import KinesisClient

from tidemill import NotAccepted, Producer, ProducerClosed, Spool, StillPending
from tidemill.runtime.threads import start

PATIENCE = 60

NOBODY = "http://127.0.0.1:9"
"""Where nobody listens."""

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ENDPOINT_URL": NOBODY,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
}

MADE = "from tidemill import Producer; p = Producer('requests', check=False, close_timeout=0.2)\n"

ONE_NOT_SENT = "1 requests were not acknowledged when the producer was to end: 1 were not sent, 0 may be on the stream"


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], env=ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        (MADE + "p.send('a.b', key='k')", 0, ONE_NOT_SENT),
        (MADE + "p.send('a.b', key='k'); import sys; sys.exit(3)", 3, ONE_NOT_SENT),
        (MADE + "with p: p.send('a.b', key='k')", 1, f"StillPending: {ONE_NOT_SENT}"),
        (MADE + "with p: p.send('a.b', key='k'); 1 / 0", 1, f"division by zero\nand the producer: {ONE_NOT_SENT}"),
        (MADE + "with p: p.send('a.b', key='k'); raise SystemExit('a bug')", 1, f"{ONE_NOT_SENT}"),
        (MADE + "with p: p.send('a.b', key='k'); raise SystemExit(4)", 4, ONE_NOT_SENT),
    ],
    ids=["script", "sys.exit", "block", "block raises", "block ends with a text", "block ends with a code"],
)
def test_a_program_ends_though_nobody_answers_with_its_own_code_and_says_what_was_not_sent(
    program: str, code: int, said: str
) -> None:
    done = run(program)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("Could not connect to the endpoint URL") == 1
    if "a bug" in program:
        assert done.stderr.endswith("a bug\n")


def at_exit(before: str, made: str, after: str) -> str:
    """A program with functions that are called as it ends: one registered before it makes a producer, one after."""
    functions = f"import atexit\ndef before(): {before}\ndef after(): {after}\n"
    return f"{functions}atexit.register(before)\n{made}atexit.register(after)\n"


SENDS = "print(p.send('a.b', key='k'))"

NO_MORE_THREADS = """
def refused(*_): raise RuntimeError("can't create new thread at interpreter shutdown")
import tidemill.runtime.threads, threading
def end(): tidemill.runtime.threads.start_new_thread = threading.Thread.start = refused
atexit.register(end)
"""
"""As Python 3.12 does it."""


def test_the_first_request_may_be_sent_by_what_is_called_as_the_program_ends() -> None:
    done = run(at_exit("pass", MADE, SENDS))
    assert done.stdout.startswith("Handle(")
    assert ONE_NOT_SENT in done.stderr


@pytest.mark.parametrize("used", ["", "p.send('a.b', key='k')\n"])
def test_what_is_sent_after_the_end_of_all_producers_is_refused(used: str) -> None:
    done = run(at_exit(SENDS, MADE + used, "pass"))
    assert done.stdout == ""
    assert "ProducerClosed: the process has ended all producers" in done.stderr
    assert (ONE_NOT_SENT in done.stderr) == bool(used)


def test_where_no_thread_can_be_started_any_more_the_first_request_is_refused_and_closing_is_not() -> None:
    done = run(
        at_exit("pass", MADE, f"p.flush(); p.stats(); q.close(); {SENDS}")
        + f"q = Producer('q', check=False)\n{NO_MORE_THREADS}"
    )
    assert done.stdout == ""
    assert "ProducerClosed: the process is ending, and starts no threads any more" in done.stderr
    assert done.stderr.count("Traceback") == 1


def test_what_a_producer_has_to_say_is_said_though_no_thread_can_be_started_any_more() -> None:
    sends = "p.send('a.b', key='k'); import time; time.sleep(0.01)"
    done = run(
        f"from tidemill.runtime import herald; herald.IDLE_SECONDS = 0\nimport atexit\n{MADE}{sends}\n{NO_MORE_THREADS}"
    )
    assert ONE_NOT_SENT in done.stderr
    assert done.stderr.count("Could not connect to the endpoint URL") == 1


PATIENT = MADE.replace("close_timeout=0.2", "close_timeout=1000")


def test_after_an_interrupted_close_the_end_of_the_program_takes_no_time_anew() -> None:
    program = PATIENT + (
        "p.send('a.b', key='k')\n"
        "def interrupted(*_): del p._lifetime._flush_by; raise KeyboardInterrupt\n"
        "p._lifetime._flush_by = interrupted\n"
        "try: p.close(0.2)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    done = run(program)
    assert (done.returncode, done.stdout) == (0, "interrupted\n")
    assert ONE_NOT_SENT in done.stderr


def test_the_time_of_a_programs_end_is_that_of_all_its_producers() -> None:
    program = PATIENT + (
        "from tidemill.runtime import ending; from time import monotonic\n"
        "ending.monotonic = lambda: monotonic() - 1000\n"  # so long others have taken
        "p.send('a.b', key='k')\n"
    )
    done = run(program)
    assert done.returncode == 0
    assert ONE_NOT_SENT in done.stderr


def test_a_program_ends_by_a_handler_of_sigterm_that_closes() -> None:
    program = MADE + (
        "import signal, sys, time\n"
        "def stop(*_):\n"
        "    try: p.close()\n"
        "    finally: sys.exit(5)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "for n in range(1_000_000):\n"
        "    p.send('a.b', key=f'k{n % 50}')\n"
        "    if n == 1000: print('ready', flush=True)\n"
        "    if n > 1000: time.sleep(0.01)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 5
    assert "requests were not acknowledged when the producer was to end" in said


class Nobody:
    """A client that reaches nobody."""

    def put_records(self, **_: Any) -> dict[str, Any]:
        raise EndpointConnectionError(endpoint_url=NOBODY)


class Stores:
    """A client that stores."""

    def put_records(self, Records: list[Any], **_: Any) -> dict[str, Any]:
        return {"Records": [{"ShardId": "s", "SequenceNumber": "1"} for _ in Records]}


class Stuck:
    """A client whose answer does not come until the test lets it."""

    def __init__(self) -> None:
        self.gate, self.called = Event(), Event()

    def put_records(self, Records: list[Any], **_: Any) -> dict[str, Any]:
        self.called.set()
        self.gate.wait(PATIENCE)
        return {"Records": [{"ShardId": "s", "SequenceNumber": "1"} for _ in Records]}


def made(kinesis: object, **options: Any) -> Producer:
    given = {"linger": 0.0, "check": False, "close_timeout": 0.05} | options
    return Producer("stream", kinesis=cast("KinesisClient", kinesis), **given)


def block(producer: Producer, error: BaseException | None = None) -> None:
    with producer:
        producer.send("c", key="k")
        if error is not None:
            raise error


def test_close_says_how_many_were_not_sent_and_raises_it_once(caplog: pytest.LogCaptureFixture) -> None:
    producer = made(Nobody())
    handles = [producer.send("c", key=f"key-{n}") for n in range(100)]
    with pytest.raises(StillPending, match="100 were not sent, 0 may be on the stream; raise close_timeout") as raised:
        producer.close()
    assert raised.value.pending == 100
    assert raised.value.left is not None
    assert (raised.value.left.requests, raised.value.left.unknown, raised.value.left.kept) == (100, 0, False)
    assert str(raised.value) in caplog.text
    producer.close()
    for handle in handles:
        with pytest.raises(NotAccepted, match="Closed"):
            handle.result(0)


def test_what_is_on_its_way_and_not_answered_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.lifetime.ANSWER", 0.0)
    kinesis = Stuck()
    producer = made(kinesis)
    producer.send("c", key="sent")
    assert kinesis.called.wait(PATIENCE)
    producer.send("c", key="not sent")
    with pytest.raises(StillPending, match=r"2 requests .* 1 were not sent, 1 may be on the stream"):
        producer.close()
    kinesis.gate.set()


def test_with_a_spool_it_stays_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    producer = made(Nobody(), spool=Spool(tmp_path))
    with pytest.raises(StillPending, match=r"1 requests .* they stay in the spool"):
        block(producer)
    assert caplog.text.count("they stay in the spool") == 1
    with Spool(tmp_path) as spool:
        assert spool.pending == 1


def test_the_blocks_own_error_is_seen_first_and_what_was_not_sent_is_its_note() -> None:
    mine = ZeroDivisionError("mine")
    with pytest.raises(ZeroDivisionError) as raised:
        block(made(Nobody()), mine)
    assert raised.value is mine
    assert mine.__context__ is None
    assert [note.split(":")[0] for note in mine.__notes__] == ["and the producer"]
    assert "1 were not sent" in mine.__notes__[0]


def test_what_was_given_up_is_a_note_too() -> None:
    mine = ZeroDivisionError("mine")
    with pytest.raises(ZeroDivisionError):
        block(made(Nobody(), ttl=0.01, close_timeout=PATIENCE), mine)
    assert "Expired" in mine.__notes__[0]


def wait_at(gate: Event, waits: Event) -> None:
    waits.set()
    gate.wait(PATIENCE)


def held(producer: Producer) -> Event:
    """A gate before which the producer's thread waits."""
    gate, waits = Event(), Event()
    producer._lifetime.keeper.start()
    producer._lifetime.keeper.inbox.put(partial(wait_at, gate, waits))
    assert waits.wait(PATIENCE)
    return gate


def test_what_was_not_taken_yet_is_counted_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tidemill.delivery.inbox.CHUNK", 1)
    producer = made(Nobody(), linger=1e6)
    producer.send("c", key="taken")
    gate = held(producer)
    producer._lifetime.keeper.inbox.put(partial(producer._lifetime.keeper._stop, 0.0))
    handles = [producer.send("c", key=f"key-{n}") for n in range(3)]
    gate.set()
    with pytest.raises(StillPending, match=r"4 requests .* 4 were not sent, 0 may be on the stream") as raised:
        producer.close()
    assert raised.value.left == (4, 0, 0)
    assert caplog.text.count("4 requests were not acknowledged") == 1
    for handle in handles:
        with pytest.raises(NotAccepted, match="Closed"):
            handle.result(0)


def test_what_a_thread_that_is_held_up_does_not_take_is_counted_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.lifetime.ANSWER", 0.01)
    monkeypatch.setattr("tidemill.delivery.keeper.GRACE", 0.01)
    kinesis = Stuck()
    producer = made(kinesis)
    producer.send("c", key="on its way")
    assert kinesis.called.wait(PATIENCE)
    gate = held(producer)
    handles = [producer.send("c", key=f"key-{n}") for n in range(3)]
    with pytest.raises(StillPending) as raised:
        producer.close(0)
    assert raised.value.left == (4, 1, 0)
    for handle in handles:
        with pytest.raises(NotAccepted, match="Closed"):
            handle.result(0)
    with pytest.raises(ProducerClosed):
        producer.send("c", key="k")
    producer._lifetime.is_open = True  # as whoever was amid `send` had found it
    with pytest.raises(ProducerClosed):
        producer.send("c", key="k")
    producer.flush()
    gate.set()
    kinesis.gate.set()
    assert producer._lifetime.keeper.news.wait_for(lambda: producer._lifetime.keeper.is_gone, PATIENCE)


def test_a_producer_that_was_held_up_when_it_ended_sends_nothing_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.lifetime.ANSWER", 0.01)
    monkeypatch.setattr("tidemill.delivery.keeper.GRACE", 0.01)
    kinesis = Stuck()
    producer = made(kinesis)
    gate = held(producer)
    handle = producer.send("c", key="k")
    another, waits = Event(), Event()
    producer._lifetime.keeper.inbox.put(partial(wait_at, another, waits))
    gate.set()
    assert waits.wait(PATIENCE)  # it has taken the request, and has not sent it yet
    with pytest.raises(StillPending, match=r"1 were not sent, 0 may be on the stream"):
        producer.close(0)
    another.set()
    assert producer._lifetime.keeper.news.wait_for(lambda: producer._lifetime.keeper.is_gone, PATIENCE)
    with pytest.raises(NotAccepted, match="Closed"):
        handle.result(0)
    assert not kinesis.called.is_set()


def test_the_first_request_waits_for_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def start_late(run: Callable[[], None], name: str) -> None:
        def run_late() -> None:
            sleep(0.05)
            run()

        start(run_late, name)

    monkeypatch.setattr("tidemill.delivery.keeper.start", start_late)
    with made(Stores(), close_timeout=PATIENCE) as producer:
        producer.send("c", key="k")
        assert {thread.name for thread in enumerate_threads()} >= {"tidemill-producer", "tidemill-caller"}


def test_what_a_spool_has_of_a_producer_that_is_held_up_is_counted_as_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.lifetime.ANSWER", 0.01)
    monkeypatch.setattr("tidemill.delivery.keeper.GRACE", 0.01)
    producer = made(Nobody(), spool=Spool(tmp_path), linger=1e6)
    producer.send("c", key="k").done()
    gate = held(producer)
    with pytest.raises(StillPending, match=r"1 requests .* they stay in the spool") as raised:
        producer.close(0)
    assert raised.value.left == (1, 0, 1)
    gate.set()
    assert producer._lifetime.keeper.news.wait_for(lambda: producer._lifetime.keeper.is_gone, PATIENCE)
    with Spool(tmp_path) as spool:
        assert spool.pending == 1


def test_the_identifiers_of_threads_that_have_ended_are_nobodys() -> None:
    producer = made(Stores(), close_timeout=PATIENCE)
    producer.send("c", key="k").result(PATIENCE)
    assert len(producer._lifetime.keeper.news._busy) == 2
    producer.close()
    assert producer._lifetime.keeper.news._busy == set()


def test_stats_do_not_wait_for_a_thread_that_is_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidemill.lifetime.ANSWER", 0.01)
    producer = made(Nobody(), linger=1e6)
    producer.send("c", key="k")
    assert producer.stats().pending == 1
    gate = held(producer)
    producer.send("c", key="k")
    assert producer.stats().pending == 1  # as far as can be seen
    gate.set()
    while producer.stats().pending == 1:
        pass
    assert producer.stats().pending == 2
    with pytest.raises(StillPending):
        producer.close(0)


def test_a_producer_that_was_never_used_ends_without_threads() -> None:
    producer = made(Nobody())
    producer.flush()
    assert producer.stats().requests == 0
    producer.close()
    assert not producer._lifetime.keeper.has_started
    with pytest.raises(ProducerClosed):
        producer.send("c", key="k")


def test_waiting_at_the_end_is_not_silent(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("tidemill.lifetime.SILENCE", 0.01)
    with pytest.raises(ZeroDivisionError):
        block(made(Nobody()), ZeroDivisionError("mine"))
    assert "closing after ZeroDivisionError: mine: 1 requests are not acknowledged yet; waiting for them" in caplog.text


def test_closing_by_two_threads_ends_both() -> None:
    producer = made(Nobody())
    producer.send("c", key="k")
    problems: list[Exception] = []

    def close() -> None:
        try:
            producer.close()
        except StillPending as error:
            problems.append(error)

    threads = [Thread(target=close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert problems


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_close_timeout_is_a_number_of_seconds(seconds: float) -> None:
    with pytest.raises(ValueError, match="close_timeout"):
        made(Nobody(), close_timeout=seconds)


def test_half_a_minute_is_what_a_producer_takes_to_end_if_nobody_says_otherwise() -> None:
    producer = Producer("stream", kinesis=cast("KinesisClient", Nobody()), check=False)
    assert producer._lifetime.core.close_timeout == 30.0
    producer.close()
