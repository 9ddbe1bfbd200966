"""Sending the requests of a file, a line each, in JSON.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_send.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import IO, Any

import msgspec

from tidemill import BufferFull, GivenUp, NotUploaded, Producer, RefusedRequest, Request, Stats, StillPending
from tidemill.contract.request import decode_json
from tidemill_cli.commands.send.destination import WAIT, Destination
from tidemill_cli.commands.send.inputs import open_input
from tidemill_cli.errors import FAILED, complain
from tidemill_cli.producers import close
from tidemill_cli.terminal_text import print_on_stderr, progress

BAD_LINES_SHOWN = 10

PROGRESS_SECONDS = 1.0
"""Between two lines of progress."""

ROOM_SECONDS = 0.1
"""Seconds after which a full producer is asked again."""


class Line(msgspec.Struct, frozen=True, rename={"writer": "w", "counter": "n"}):
    """A line of a file: the fields of a request that its sender gives."""

    cmd: str
    key: str
    data: dict[str, Any] = {}
    id: str | None = None
    client: str | None = None
    at: int | None = None
    writer: str | None = None
    counter: int | None = None
    tried: int | None = None


def send_file(to: Destination) -> int:
    """Send the requests of the arguments' file; 0 when all are on the stream."""
    with open_input(to.args.file) as lines:
        return _send_lines(to, lines)


def _send_lines(to: Destination, lines: IO[bytes]) -> int:
    bad = number = 0
    stopped = False
    begun = shown = time.monotonic()
    producer = to.producer(to.bucket is not None, client=to.args.client, when_full="raise")
    patience = to.args.timeout
    room = Room(producer, patience)
    try:
        with progress("…", otherwise=print_on_stderr) as tell:
            for number, text in enumerate(lines, 1):
                if not text.strip():
                    continue
                problem = room.once_there_is_some(partial(_send_line, producer, text))
                if problem:
                    bad += 1
                    if bad <= BAD_LINES_SHOWN:
                        complain("send", f"line {number}: {problem}")
                if time.monotonic() - shown >= PROGRESS_SECONDS:
                    shown = time.monotonic()
                    tell(_how_far(producer, shown - begun))
            _flush(producer, tell, begun, room)
    except Stalled as error:
        patience = 0.0
        complain("send", str(error))
    except NotUploaded as error:
        stopped = True
        complain("send", f"line {number}: {error}; this line and those after it are not sent")
    finally:
        close(producer, patience)
        code = _report(to, producer.stats(), bad, time.monotonic() - begun)
    return FAILED if stopped else code


def _report(to: Destination, stats: Stats, bad: int, seconds: float) -> int:
    stored = _stored(stats)
    to.say(
        f"{stored:,} requests are on the stream, in {stats.records:,} records and {stats.put_calls:,} calls; "
        f"{seconds:.1f} s"
    )
    if bad:
        complain("send", f"{bad:,} lines are no requests and were passed over")
    if stats.refused:
        complain("send", f"{stats.refused:,} requests were given up, {stats.unknown:,} of which may be on the stream")
    to.write({"requests": stored, "bad_lines": bad, "seconds": round(seconds, 3), **msgspec.to_builtins(stats)})
    return FAILED if bad or stats.refused else 0


class Stalled(Exception):
    """No request was acknowledged or given up for too long."""


class Room:
    """Waits for room in the producer, and gives up when the stream takes nothing.

    Args:
        producer: sends.
        patience: seconds that may pass without anything acknowledged or given up.
    """

    def __init__(self, producer: Producer, patience: float) -> None:
        self._producer = producer
        self._patience = patience
        self._ended = 0
        self._since = time.monotonic()

    def once_there_is_some(self, send: Callable[[], str | None]) -> str | None:
        """Call `send`, again and again while the producer is full; its result."""
        while True:
            try:
                return send()
            except BufferFull:
                self.check()
                with suppress(StillPending, GivenUp):
                    self._producer.flush(ROOM_SECONDS)

    def check(self) -> None:
        """Note whether any request has ended since the last look.

        Raises:
            Stalled: nothing has ended for too long.
        """
        stats, now = self._producer.stats(), time.monotonic()
        ended = stats.requests - stats.pending
        if ended != self._ended:
            self._ended, self._since = ended, now
        elif now - self._since > self._patience:
            raise Stalled(
                f"nothing was acknowledged within {self._patience:g} s; {stats.pending:,} requests are left. {WAIT}"
            )


_decoder = msgspec.json.Decoder(Line)


def _send_line(producer: Producer, text: bytes) -> str | None:
    """Sends a line's request; why it cannot be sent."""
    try:
        decode_json(text)
        line = _decoder.decode(text)
        if line.writer is None or line.counter is None:
            producer.send(line.cmd, key=line.key, data=line.data, client=line.client, id=line.id, at=line.at)
        else:
            fields = {name: value for name, value in msgspec.structs.asdict(line).items() if value is not None}
            producer.put(Request(**({"id": f"{line.writer}-{line.counter}"} | fields)))
    except (msgspec.MsgspecError, RefusedRequest) as error:
        return str(error)
    return None


def _flush(producer: Producer, tell: Callable[[str], None], begun: float, room: Room) -> None:
    while True:
        try:
            return producer.flush(PROGRESS_SECONDS)
        except StillPending:
            room.check()
            tell(_how_far(producer, time.monotonic() - begun))
        except GivenUp:
            return None  # counted, and in the log


def _how_far(producer: Producer, seconds: float) -> str:
    stats = producer.stats()
    stored = _stored(stats)
    return f"{stats.requests:,} read, {stored:,} on the stream, {stored / max(seconds, 1e-3):,.0f} a second"


def _stored(stats: Stats) -> int:
    """Requests that are on the stream."""
    return stats.requests - stats.refused - stats.pending
