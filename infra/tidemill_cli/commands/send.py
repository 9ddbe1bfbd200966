"""`tidemill send`: one request and its reply, or a file of them.

Room: command line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from tidemill import (
    BufferFull,
    GivenUp,
    Misconfigured,
    Producer,
    RefusedRequest,
    Replies,
    Request,
    StillPending,
    UnsendableRequest,
)
from tidemill.contract.request import decode_json
from tidemill.replies.queue import reply_queue
from tidemill_cli.result_file import check_writable, write_private
from tidemill_cli.stack import LOCAL_ENDPOINT, STACK, NoStack, access, outputs
from tidemill_cli.terminal_text import console, printable

if TYPE_CHECKING:
    from tidemill import Acknowledged, Handle, Reply

TIMEOUT = 60.0
"""Seconds that the reply may take."""

BAD_LINES_SHOWN = 10

PROGRESS_SECONDS = 1.0

ROOM_SECONDS = 0.1
"""Seconds after which a full producer is asked again."""

MOST_SHOWN = 80
"""Characters of refused data that are told."""

WAIT = "Compare AWS_ENDPOINT_URL and the network, or wait longer with --timeout"

EXAMPLE = """\
examples:
  tidemill send content.view content/42                      one request; waits for its reply
  tidemill send content.like content/42 '{"stars": 5}' --client alice
  tidemill send --file requests.ndjson                       a file: {"cmd": …, "key": …, "data": {…}} a line
  zcat old.ndjson.gz | tidemill send --file -                standard input

Lines may carry id, client, at, and w with n (a replay: sent as they are). The local platform is asked unless
AWS_ENDPOINT_URL, --stack, or --stream say otherwise.
"""


class SendError(Exception):
    """The command cannot do it; says why and what to run."""


class Line(msgspec.Struct, frozen=True, rename={"writer": "w", "counter": "n"}):
    """A line of a file: what of a request its sender gives."""

    cmd: str
    key: str
    data: dict[str, Any] = {}
    id: str | None = None
    client: str | None = None
    at: int | None = None
    writer: str | None = None
    counter: int | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("cmd", metavar="CMD", nargs="?", help="the command, such as content.view")
    parser.add_argument("key", metavar="KEY", nargs="?", help="the ordering key, which names the entity")
    parser.add_argument("data", metavar="JSON", nargs="?", default="{}", help="the command's data, a JSON object")
    parser.add_argument("--file", metavar="PATH", help="send the requests of an NDJSON file; - is standard input")
    parser.add_argument("--client", metavar="NAME", help="who sends (default: one of its own, or the line's)")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=TIMEOUT,
        help="of waiting: for the reply, or with --file for any progress",
    )
    parser.add_argument("--no-reply", action="store_true", help="only wait until it is on the stream")
    parser.add_argument("--plain", action="store_true", help="one request a record, for readers that cannot unpack")
    parser.add_argument("--stack", metavar="NAME", help=f"the stack (default: {STACK} on the local platform)")
    parser.add_argument("--stream", metavar="NAME", help="the stream (default: the stack's); no reply is heard then")
    parser.add_argument("--json", metavar="PATH", type=Path, help="also write the result to PATH")
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when all is on the stream, and accepted where a reply is waited for."""
    try:
        _check(args)
        return _Command(args).run()
    except BrokenPipeError:
        raise  # of those who read what we say
    except (SendError, NoStack, Misconfigured, UnsendableRequest, GivenUp, OSError) as error:
        _complain(str(error))
    except (ClientError, BotoCoreError) as error:
        _complain(f"{error}; compare AWS_ENDPOINT_URL and the credentials, or start `tidemill up`")
    return 1


def _check(args: argparse.Namespace) -> None:
    if bool(args.file) == bool(args.cmd):
        raise SendError("give CMD KEY [JSON], or --file PATH; see tidemill send --help")
    if args.cmd and not args.key:
        raise SendError(f"give the ordering key, which names the entity: tidemill send {args.cmd} KEY")
    if args.json:
        check_writable(args.json)


class _Command:
    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._access = access(None if args.stack or args.stream else LOCAL_ENDPOINT, args.stream or "")
        self._outputs = {} if args.stream else self._stack()
        self._stream = args.stream or self._outputs["StreamName"]
        self._out = console()

    def run(self) -> int:
        return self._send_file() if self._args.file else self._send_one()

    def _stack(self) -> dict[str, str]:
        args = self._args
        try:
            return dict(outputs(self._access, args.stack or STACK))
        except NoStack as error:
            remedy = "name yours with --stack" if args.stack else "start the local platform with `tidemill up`"
            raise SendError(f"{error}; {remedy}, or name --stream") from None

    def _producer(self, **settings: Any) -> Producer:
        config = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=5, read_timeout=20)
        kinesis = self._access.client("kinesis", config)
        return Producer(self._stream, kinesis=kinesis, aggregate=not self._args.plain, **settings)

    # ---- one

    def _send_one(self) -> int:
        args = self._args
        data = _data(args.data)
        begun = time.monotonic()
        with ExitStack() as stack:
            waits = not args.no_reply and bool(self._outputs)
            client = args.client or (f"tidemill-send-{time.time_ns():x}" if waits else None)
            queue = None
            if waits:
                topic = self._outputs["RepliesTopicArn"]
                queue = stack.enter_context(reply_queue(topic, client, client_of=self._access.client))
            replies = None if queue is None else Replies(queue, sqs=self._access.client("sqs"))
            producer = self._producer(client=client, replies=replies, linger=0)
            stack.callback(_close, producer, 0.0)  # by then it is acknowledged, or took too long
            handle = producer.send(args.cmd, key=args.key, data=data, reply=waits)
            place = _place(handle, args.timeout)
            self._say(f"{handle.id} is on the stream: {place.shard} {place.sequence}")
            result: dict[str, Any] = {"id": handle.id, "shard": place.shard, "sequence": place.sequence}
            reply = self._reply(handle, args.timeout) if waits else None
        told = msgspec.to_builtins(reply) if reply else None
        self._write(result | {"reply": told, "seconds": round(time.monotonic() - begun, 3)})
        return 0 if reply is None or reply.status == "accepted" else 1

    def _reply(self, handle: Any, timeout: float) -> Reply:
        try:
            with _status("waiting for its reply"):
                reply: Reply = handle.reply(timeout)
        except StillPending:
            raise SendError(
                f"no reply within {timeout:g} s; it is applied all the same once its batch is, or look whether the "
                "function fails: tidemill up shows the mappings' state"
            ) from None
        detail = reply.error if reply.error else json.dumps(reply.data) if reply.data is not None else ""
        self._say(f"{reply.status} {detail}".rstrip())
        return reply

    # ---- a file

    def _send_file(self) -> int:
        with _open(self._args.file) as lines:
            return self._send_lines(lines)

    def _send_lines(self, lines: IO[bytes]) -> int:
        bad = 0
        begun = shown = time.monotonic()
        producer = self._producer(client=self._args.client, when_full="raise")
        progress = _Progress(producer, self._args.timeout)
        patience = self._args.timeout
        try:
            with _status("") as tell:
                for number, text in enumerate(lines, 1):
                    if not text.strip():
                        continue
                    problem = progress.once_there_is_room(partial(_send_line, producer, text))
                    if problem:
                        bad += 1
                        if bad <= BAD_LINES_SHOWN:
                            _complain(f"line {number}: {problem}")
                    if time.monotonic() - shown >= PROGRESS_SECONDS:
                        shown = time.monotonic()
                        tell(_progress(producer, shown - begun))
                _flush(producer, tell, begun, progress)
        except _Stalled as error:
            patience = 0.0
            _complain(str(error))
        finally:
            _close(producer, patience)
            code = self._report(producer, bad, time.monotonic() - begun)
        return code

    def _report(self, producer: Producer, bad: int, seconds: float) -> int:
        stats = producer.stats()
        stored = stats.requests - stats.refused - stats.pending
        self._say(
            f"{stored:,} requests are on the stream, in {stats.records:,} records and {stats.put_calls:,} calls; "
            f"{seconds:.1f} s"
        )
        if bad:
            _complain(f"{bad:,} lines are no requests and were passed over")
        if stats.refused:
            _complain(f"{stats.refused:,} requests were given up, {stats.unknown:,} of which may be on the stream")
        self._write({"requests": stored, "bad_lines": bad, "seconds": round(seconds, 3), **msgspec.to_builtins(stats)})
        return 1 if bad or stats.refused else 0

    def _say(self, text: str) -> None:
        self._out.print(Text(printable(text)), soft_wrap=True)

    def _write(self, result: dict[str, Any]) -> None:
        if self._args.json:
            write_private(self._args.json, json.dumps(result, indent=2) + "\n")


class _Stalled(Exception):
    """Nothing has become of any request for too long."""


class _Progress:
    """Whether the stream takes anything: waiting for it has an end.

    Args:
        producer: sends.
        patience: seconds that may pass without anything acknowledged or given up.
    """

    def __init__(self, producer: Producer, patience: float) -> None:
        self._producer = producer
        self._patience = patience
        self._ended = 0
        self._since = time.monotonic()

    def once_there_is_room(self, send: Callable[[], str | None]) -> str | None:
        """What `send` gives, when it no longer finds the producer full."""
        while True:
            try:
                return send()
            except BufferFull:
                self.check()
                with suppress(StillPending, GivenUp):
                    self._producer.flush(ROOM_SECONDS)

    def check(self) -> None:
        """Looks.

        Raises:
            _Stalled: nothing has ended for too long.
        """
        stats, now = self._producer.stats(), time.monotonic()
        ended = stats.requests - stats.pending
        if ended != self._ended:
            self._ended, self._since = ended, now
        elif now - self._since > self._patience:
            raise _Stalled(
                f"nothing was acknowledged within {self._patience:g} s; {stats.pending:,} requests are left. {WAIT}"
            )


def _place(handle: Handle, timeout: float) -> Acknowledged:
    try:
        return handle.result(timeout)
    except StillPending:
        raise SendError(f"{handle.id} was not acknowledged within {timeout:g} s. {WAIT}") from None


def _close(producer: Producer, timeout: float) -> None:
    with suppress(StillPending, GivenUp):  # what was given up is counted, and in the log
        producer.close(timeout)


def _data(text: str) -> dict[str, Any]:
    shown = text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"
    try:
        value = decode_json(text.encode())
    except RefusedRequest as error:
        raise SendError(f"the data {shown!r}: {error}; quote it for the shell: '{{\"stars\": 5}}'") from None
    if not isinstance(value, dict):
        raise SendError(f'{shown!r} is no JSON object such as {{"stars": 5}}')
    return value


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


def _flush(producer: Producer, tell: Any, begun: float, progress: _Progress) -> None:
    while True:
        try:
            return producer.flush(PROGRESS_SECONDS)
        except StillPending:
            progress.check()
            tell(_progress(producer, time.monotonic() - begun))
        except GivenUp:
            return None  # counted, and in the log


def _progress(producer: Producer, seconds: float) -> str:
    stats = producer.stats()
    stored = stats.requests - stats.refused - stats.pending
    return f"{stats.requests:,} read, {stored:,} on the stream, {stored / max(seconds, 1e-3):,.0f} a second"


@contextmanager
def _open(path: str) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - an error in reading is not one in opening
    except OSError as error:
        raise SendError(f"cannot read {path}: {error.strerror}") from None
    with file:
        yield file


@contextmanager
def _status(text: str) -> Iterator[Any]:
    """Tells how far it is: in place on a terminal, else by lines."""
    out = Console(stderr=True, highlight=False)
    if not out.is_terminal:
        yield lambda line: print(line, file=sys.stderr, flush=True)
        return
    with out.status(text or "…") as status:
        yield status.update


def _complain(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text(f"tidemill send: {printable(text)}"))


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds
