"""`tidemill redrive`: what lies in the quarantine, and putting it back on the stream.

Room: command line. Shows, asks, and reports; finding, putting back and moving are the shell's redrive.py.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidemill import GivenUp, Misconfigured, Producer, StillPending
from tidemill.contract.request import RefusedRequest, decode_json
from tidemill.contract.signature import stream_name
from tidemill_cli.result_file import check_writable, write_private
from tidemill_cli.stack import LOCAL_ENDPOINT, STACK, NoStack, access, outputs
from tidemill_cli.terminal_text import console, printable
from tidemill_consumers.adapters.quarantine import PREFIX, Kept, read
from tidemill_consumers.core.trust import Seals
from tidemill_consumers.operations.redrive import (
    DONE_PREFIX,
    Found,
    Objects,
    Put,
    Redriven,
    Wait,
    Wanted,
    oldest_first,
    redrive,
)

if TYPE_CHECKING:
    from tidemill.contract.request import Request

ROWS_SHOWN = 50
"""Rows of the table unless --limit says otherwise; --json is whole."""

PATIENCE = 60.0
"""Seconds that a request may take to get onto the stream."""

EXAMPLE = """\
examples:
  tidemill redrive                                        list what is there, newest last
  tidemill redrive --reason "unknown command" --since 2026-11-25T07:00
  tidemill redrive --show 0193f2c4-8a11-7c3e-b6de-0123456789ab
  tidemill redrive --reason "unknown command" --apply     put those back on the stream
  tidemill redrive --stack shop --apply --yes             of a stack in your AWS account

Redriven requests are applied once, late, and answered again. The local platform is asked unless AWS_ENDPOINT_URL,
--stack, or --bucket and --stream say otherwise. The application's secret is that of its function, unless
TIDEMILL_APPLICATION_SECRET gives it.
"""


class RedriveError(Exception):
    """The command cannot do it; says why and what to run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--reason", metavar="TEXT", default="", help="only those whose reason contains TEXT")
    parser.add_argument("--since", metavar="TIME", type=_time, help="only those that arrived at TIME or later")
    parser.add_argument("--until", metavar="TIME", type=_time, help="only before TIME; ISO 8601, UTC by default")
    parser.add_argument("--key", metavar="KEY", help="only those of one ordering key")
    parser.add_argument("--limit", metavar="N", type=_count, help=f"the N oldest at most (the table: {ROWS_SHOWN})")
    parser.add_argument("--show", metavar="ID|OBJECT", help="print one whole, by its request's id or its object")
    parser.add_argument("--apply", action="store_true", help="put them back on the stream")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--stack", metavar="NAME", help=f"the stack (default: {STACK} on the local platform)")
    parser.add_argument("--bucket", metavar="NAME", help="the quarantine's bucket (default: the stack's)")
    parser.add_argument("--stream", metavar="NAME", help="the stream (default: the stack's)")
    parser.add_argument("--json", metavar="PATH", type=Path, help="also write the result to PATH")
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when all that it said it would do is done, 1 with a message on stderr when not."""
    try:
        if args.show and args.apply:
            raise RedriveError("give --show or --apply, not both")
        if args.json:
            check_writable(args.json)
        return _Command(args).run()
    except BrokenPipeError:
        raise  # of those who read what we say
    except (RedriveError, NoStack, Misconfigured, OSError) as error:
        _complain(str(error))
    except (ClientError, BotoCoreError) as error:
        _complain(f"{error}. What was put back is not applied twice: run it again when the cause is gone")
    return 1


class _Command:
    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        named = args.stack or (args.bucket and (args.stream or not args.apply))
        self._access = access(None if named else LOCAL_ENDPOINT, args.stream or "")
        self._bucket, self._stream = self._places()
        config = Config(max_pool_connections=32, retries={"mode": "standard"})
        self._objects = Objects(self._access.client("s3", config), self._bucket, seals=self._seals())
        self._out = console()

    def run(self) -> int:
        if self._args.show:
            return self._show(self._args.show)
        found = self._find()
        put_back = [one for one in found if one.problem is None]
        self._print_table(found)
        if not self._args.apply:
            self._write(found, [])
            return 0
        staying = sum(one.count for one in found if one.problem is not None)
        left = f"; {staying:,} cannot be and stay" if staying else ""
        self._out.print(f"{len(put_back):,} to be put back on the stream {self._stream}{left}")
        if put_back and not self._args.yes:
            _ask()
        done = list(self._redrive(put_back)) if put_back else []
        self._write(found, done)
        return self._report(done)

    # ---- where

    def _places(self) -> tuple[str, str]:
        """The bucket, and the stream if it is needed."""
        args = self._args
        bucket, stream = args.bucket, args.stream
        if bucket and (stream or not args.apply):
            return bucket, stream or ""
        stack = args.stack or STACK
        try:
            found = outputs(self._access, stack)
        except NoStack as error:
            remedy = "name yours with --stack" if args.stack else "start the local platform with `tidemill up`"
            raise RedriveError(f"{error}; {remedy}, or name --bucket and --stream") from None
        try:
            return bucket or found["QuarantineBucketName"], stream or found["StreamName"]
        except KeyError as missing:
            raise RedriveError(f"the stack {stack!r} has no output {missing}; name --bucket and --stream") from None

    def _seals(self) -> Seals | None:
        """The application's: what is put back without them would be taken for somebody else's."""
        secret = os.environ.get("TIDEMILL_APPLICATION_SECRET")
        if secret is None and not (self._args.bucket and self._args.stream):
            with suppress(NoStack, KeyError):
                function = outputs(self._access, self._args.stack or STACK)["ApplyFunctionName"]
                settings = self._access.client("lambda").get_function_configuration(FunctionName=function)
                secret = settings["Environment"]["Variables"]["TIDEMILL_APPLICATION_SECRET"]
        try:
            return Seals.read(stream_name(self._stream), secret) if secret and self._stream else None
        except ValueError as error:
            raise RedriveError(str(error)) from None

    # ---- looking

    def _find(self) -> list[Found]:
        args = self._args
        found: list[Found] = []
        with _progress() as tell:
            for number, one in enumerate(self._objects.find(Wanted(args.reason, args.key, args.since, args.until)), 1):
                tell(f"{number:,} objects read, {len(found):,} match")
                if one:
                    found.append(one)
        ordered = oldest_first(found)
        return ordered if args.limit is None else ordered[: args.limit]

    def _print_table(self, found: list[Found]) -> None:
        if not found:
            self._out.print("the quarantine holds nothing that matches")
            return
        shown = found if self._args.limit is not None else found[-ROWS_SHOWN:]
        if len(shown) < len(found):
            self._out.print(f"the newest {len(shown):,} of {len(found):,}; all with --json PATH")
        table = Table(header_style="bold")
        for name in ("arrived", "reason", "command", "key", "id"):
            table.add_column(name, overflow="fold")
        for one in shown:
            kept = one.kept
            cells = [_iso(kept.arrived), kept.reason, kept.cmd, kept.key, kept.id] if kept else [None, one.problem]
            table.add_row(*(Text(printable(cell or "")) for cell in cells))
        self._out.print(table)
        for one in shown:
            if one.problem:
                line = f"cannot be redriven: {one.object_key}: {one.problem}"
                self._out.print(Text(printable(line)), soft_wrap=True)

    def _show(self, name: str) -> int:
        """Print those with this id, or this object; objects that were redriven can be named too."""
        names = [name] if name.startswith((PREFIX, DONE_PREFIX)) else self._named(name)
        stored = [(one, body) for one in names if (body := self._objects.read(one)) is not None]
        if not stored:
            raise RedriveError(
                f"nothing in the quarantine has the id or is the object {name}; list it: tidemill redrive"
            )
        shown = []
        for object_key, body in stored:
            try:
                kept = read(body)
            except RefusedRequest as error:
                raise RedriveError(f"{object_key}: {error}") from None
            self._print_whole(object_key, kept)
            shown.append({"object": object_key, **msgspec.to_builtins(kept)})
        self._write_json({"bucket": self._bucket, "objects": shown})
        return 0

    def _named(self, request_id: str) -> list[str]:
        every = (one for one in self._objects.find(Wanted()) if one)
        return [one.object_key for one in oldest_first(every) if one.kept and one.kept.id == request_id]

    def _print_whole(self, object_key: str, kept: Kept) -> None:
        lines = {
            "object": object_key,
            "reason": kept.reason,
            "arrived": _iso(kept.arrived),
            "command": kept.cmd or "none",
            "key": kept.key,
            "id": kept.id or "none",
            "place": f"{kept.shard} {kept.sequence}, {kept.sub} in its record",
            "payload": f"{sum(len(part.payload) for part in kept.all_parts):,} bytes",
        }
        for name, value in lines.items():
            self._out.print(Text(f"{name:<8} {printable(value)}"), soft_wrap=True)
        for part in kept.all_parts:
            if kept.parts:
                self._out.print(Text(f"part {part.sub}, key {printable(part.key)}: {printable(part.reason)}"))
            self._out.print(Text(printable(_decoded(part.payload)) + "\n"), soft_wrap=True)

    # ---- putting back

    def _redrive(self, found: list[Found]) -> Iterator[Redriven]:
        config = Config(retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=5, read_timeout=20)
        producer = Producer(self._stream, kinesis=self._access.client("kinesis", config))
        try:
            with _progress() as tell:
                for number, one in enumerate(redrive(self._objects, found, _put(producer)), 1):
                    tell(f"{number:,} of {len(found):,} put back")
                    yield one
        finally:
            # By now all is acknowledged, or there is nobody left to wait for.
            with suppress(StillPending, GivenUp):
                producer.close(0)

    def _report(self, done: list[Redriven]) -> int:
        failed = [one for one in done if one.outcome == "failed"]
        gone = sum(one.outcome == "gone" for one in done)
        put_back = len(done) - len(failed) - gone
        self._out.print(
            f"{put_back:,} put back, and moved to {DONE_PREFIX}"
            + (f"; {gone:,} had been put back by somebody else" if gone else "")
        )
        for one in failed[:ROWS_SHOWN]:
            _complain(f"{one.object_key}: {one.problem}")
        if failed:
            _complain(f"{len(failed):,} are still in the quarantine; run it again: none is applied twice")
        return 1 if failed else 0

    # ---- the machine-readable result

    def _write(self, found: Iterable[Found], done: Iterable[Redriven]) -> None:
        became = {one.object_key: one for one in done}
        objects = [_entry(one) | _became(became.get(one.object_key)) for one in found]
        counts = {
            outcome: sum(one.outcome == outcome for one in became.values())
            for outcome in ("redriven", "gone", "failed")
        }
        self._write_json({"bucket": self._bucket, "stream": self._stream or None, **counts, "objects": objects})

    def _write_json(self, result: dict[str, Any]) -> None:
        if self._args.json:
            write_private(self._args.json, json.dumps(result, indent=2) + "\n")


def _put(producer: Producer) -> Put:
    def put(request: Request) -> Wait:
        handle = producer.put(request)

        def wait() -> str | None:
            try:
                handle.result(PATIENCE)
            except StillPending:
                return f"not acknowledged within {PATIENCE:.0f} s"
            except GivenUp as error:
                return str(error)
            return None

        return wait

    return put


def _ask() -> None:
    if not sys.stdin.isatty():
        raise RedriveError("there is no terminal to ask on; add --yes to put them back")
    print("put them back? [y/N] ", end="", flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RedriveError("nothing was put back")


def _entry(one: Found) -> dict[str, Any]:
    kept = one.kept
    entry: dict[str, Any] = {"object": one.object_key, "problem": one.problem, "parts": one.count}
    if kept:
        entry |= {
            "arrived": _iso(kept.arrived),
            "reason": kept.reason,
            "cmd": kept.cmd,
            "key": kept.key,
            "id": kept.id,
            "shard": kept.shard,
            "sequence": kept.sequence,
            "sub": kept.sub,
        }
    return entry


def _became(one: Redriven | None) -> dict[str, Any]:
    if one is None:
        return {}
    return {"outcome": one.outcome} | ({"problem": one.problem} if one.problem else {})


def _decoded(payload: bytes) -> str:
    """JSON indented, text as it is, other bytes escaped."""
    try:
        return json.dumps(decode_json(payload), indent=2, ensure_ascii=False)
    except RefusedRequest:
        return payload.decode(errors="backslashreplace")


@contextmanager
def _progress() -> Iterator[Any]:
    """Tells how far it is, on a terminal only."""
    out = Console(stderr=True, highlight=False)
    if not out.is_terminal:
        yield lambda _: None
        return
    with out.status("…") as status:
        yield status.update


def _complain(text: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(Text(f"tidemill redrive: {printable(text)}"))


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(text: str) -> float:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-11-25 or 2026-11-25T07:00Z") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)
