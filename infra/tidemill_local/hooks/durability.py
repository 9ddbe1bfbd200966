"""What the emulator holds, on disk: a platform that is killed goes on where it stood.

Room: local platform, I/O; hooked into the emulator by launcher.py where a folder for the state is given.

The emulator itself saves its state only as it ends in peace. Here a snapshot is taken soon after each change of
what there is (streams, tables, functions, …), and between two of them a journal takes each record put on a
stream and each call that changes a table, a queue or a topic, before its caller is answered. A start loads the
snapshot and plays the journal again. What is handed to the operating system survives the end of the process,
not that of the machine. The emulator writes objects of S3 to disk itself.
"""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import logging
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import BinaryIO

    from tidemill_local.hooks.kinesis_api import Answer, Handler, Request

Call: TypeAlias = "Callable[..., Awaitable[tuple[Any, ...]]]"
"""One of the emulator's handlers: method, path, headers, body and query in, status, headers and body out."""

VARIABLE = "TIDEMILL_STATE"
"""The environment variable by which the launcher is told of the folder."""

JOURNALED = ("dynamodb", "sqs", "sns")
"""Services whose changing calls are journaled; the stream's puts are too, in a form of their own."""

SNAPSHOT_SECONDS = 0.5
"""How soon after a change of what there is, a snapshot is taken."""

JOURNAL_BYTES = 64 * 1024 * 1024
"""How large the journal may grow before a snapshot takes its place."""

_READS = ("Get", "List", "Describe", "BatchGet", "Query", "Scan", "TransactGet", "Receive", "SubscribeToShard")
_PUTS = ("PutRecord", "PutRecords")

log = logging.getLogger(__name__)


class StateInUse(Exception):
    """Another platform runs on the folder."""


def settings(folder: Path) -> dict[str, str]:
    """The emulator's environment variables by which it loads its state from the folder."""
    return {
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "s3"),
    }


class Durability:
    """Keeps the emulator's state in a folder.

    Args:
        folder: the folder; one emulator at a time.

    Raises:
        StateInUse: another emulator has it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StateInUse(f"another platform runs on {folder}") from None
        self._restore_files()
        self._journal: BinaryIO | None = None
        self._due = False
        self._save: Callable[[], None] = lambda: None
        self._settled: Callable[[], bool] = lambda: True

    @property
    def _snapshot(self) -> Path:
        return self._folder / "snapshot"

    @property
    def _generation(self) -> int:
        """The snapshot's number, which its journal has too; 0 before the first."""
        file = self._snapshot / "generation"
        return int(file.read_text()) if file.exists() else 0

    def _restore_files(self) -> None:
        """Put the emulator's files back as the last whole snapshot has them."""
        earlier = self._folder / "snapshot.old"
        if not self._snapshot.exists() and earlier.exists():
            earlier.rename(self._snapshot)
        shutil.rmtree(self._folder / "state", ignore_errors=True)
        if self._snapshot.exists():
            shutil.copytree(self._snapshot, self._folder / "state")

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def hook(self, app: Any, persistence: Any, kinesis: Any, stacks: Any) -> None:
        """Load as the emulator starts, and watch what it is told from then on.

        Args:
            app: the emulator's module of that name, as are the others.
            persistence: which saves the state.
            kinesis: whose puts are journaled.
            stacks: the emulator's store of CloudFormation's stacks.
        """
        load = app._load_persisted_state
        get_state = kinesis.get_state
        kinesis.get_state = lambda: _plain(get_state())
        self._save = lambda: persistence.save_all(app._build_persistence_save_dict())

        def load_and_replay() -> None:
            load()
            self._replay(app, kinesis)
            self._open()

        self._settled = lambda: not any(one["StackStatus"].endswith("_IN_PROGRESS") for one in stacks._data.values())
        app._load_persisted_state = load_and_replay
        kinesis._put_record = self._journaling_put(kinesis._put_record, kinesis)
        kinesis._put_records = self._journaling_put(kinesis._put_records, kinesis)
        app._dispatch_service_request = self._watching(app._dispatch_service_request)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._end)

    def _watching(self, dispatch: Call) -> Call:
        async def watched(
            method: str, path: str, headers: dict[str, str], body: bytes, query: Any, request_id: str
        ) -> tuple[Any, ...]:
            answer = await dispatch(method, path, headers, body, query, request_id)
            if method not in ("GET", "HEAD") and answer[0] < 300:
                self._changed(method, path, headers, body, query)
            return answer

        return watched

    def _changed(self, method: str, path: str, headers: dict[str, str], body: bytes, query: Any) -> None:
        service, action = service_of(headers), action_of(headers, body)
        if action.startswith(_READS) or action in _PUTS:
            return
        if service in JOURNALED:
            kept = {name: value for name, value in headers.items() if name in ("x-amz-target", "content-type", "host")}
            call = {"method": method, "path": path, "headers": kept, "query": query}
            self._append({"service": service, **call, "body": base64.b64encode(body).decode()})
        elif service == "kinesis":
            # At once: a record put on a new shard next must not be without it.
            self._snapshot_if_settled()
        elif not (service == "lambda" and path.endswith("/invocations")) and not _is_object(service, path):
            self._soon()

    def _journaling_put(self, put: Handler, kinesis: Any) -> Handler:
        def journaling(request: Request) -> Answer:
            answer = put(request)
            if answer[0] == 200:
                _, stream = kinesis._resolve_stream(request)
                said = json.loads(answer[2])
                for result in said.get("Records", [said]):
                    if "SequenceNumber" in result:
                        record = _stored(stream, result)
                        self._append({"stream": stream["StreamName"], "shard": result["ShardId"], "record": record})
            return answer

        return journaling

    # ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> None:
        self._journal = self._journal_file(self._generation).open("ab")

    def _journal_file(self, generation: int) -> Path:
        return self._folder / f"journal-{generation}"

    def _append(self, entry: dict[str, Any]) -> None:
        if self._journal:
            self._journal.write(json.dumps(entry).encode() + b"\n")
            self._journal.flush()
            if self._journal.tell() > JOURNAL_BYTES:
                self._soon()

    def _soon(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(SNAPSHOT_SECONDS, self._snapshot_if_settled)

    def _snapshot_if_settled(self) -> None:
        """A stack in the making is half of one, and nobody would go on with it."""
        self._due = False
        if self._settled():
            self.snapshot()
        else:
            self._soon()

    def _end(self) -> None:
        if self._due:
            self.snapshot()
        os._exit(0)

    def snapshot(self) -> None:
        """Write the state as it is now, and begin a new journal. On the emulator's loop, between two calls."""
        self._save()
        fresh, earlier = self._folder / "snapshot.new", self._folder / "snapshot.old"
        before = self._generation
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(self._folder / "state", fresh)
        (fresh / "generation").write_text(str(before + 1))
        self._journal_file(before + 1).write_bytes(b"")
        if self._snapshot.exists():
            self._snapshot.rename(earlier)
        fresh.rename(self._snapshot)
        shutil.rmtree(earlier, ignore_errors=True)
        if self._journal:
            self._journal.close()
        self._open()
        self._journal_file(before).unlink(missing_ok=True)

    # ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────

    def _replay(self, app: Any, kinesis: Any) -> None:
        for entry in self._entries():
            if "record" in entry:
                _put_back(kinesis, entry)
            else:
                _call_again(app._get_module(entry["service"]).handle_request, entry)

    def _entries(self) -> Iterator[dict[str, Any]]:
        file = self._journal_file(self._generation)
        lines = file.read_bytes().splitlines() if file.exists() else []
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:
                # A torn last line: its caller was never answered.
                log.warning("the journal's last entry is not whole; its call was not answered")
                return


def service_of(headers: dict[str, str]) -> str:
    """The service that a signed request is for, by its credential's scope."""
    _, _, scope = headers.get("authorization", "").partition("Credential=")
    parts = scope.partition(",")[0].split("/")
    return parts[3] if len(parts) > 4 else ""


def action_of(headers: dict[str, str], body: bytes) -> str:
    """The name of the call, where its protocol has one: in a header, or in a form."""
    target = headers.get("x-amz-target", "").rpartition(".")[2]
    if target or "urlencoded" not in headers.get("content-type", ""):
        return target
    return parse_qs(body.decode(errors="replace")).get("Action", [""])[0]


def _is_object(service: str, path: str) -> bool:
    """Whether it is about an object of S3, which the emulator writes to disk itself."""
    return service == "s3" and "/" in path.strip("/")


def _stored(stream: dict[str, Any], result: dict[str, str]) -> dict[str, Any]:
    """The record as the shard holds it; it was put just now, so it is among the last."""
    records = stream["shards"][result["ShardId"]]["records"]
    found: dict[str, Any] = next(one for one in reversed(records) if one["SequenceNumber"] == result["SequenceNumber"])
    return found


def _put_back(kinesis: Any, entry: dict[str, Any]) -> None:
    stream = kinesis._streams.get(entry["stream"])
    shard = stream["shards"].get(entry["shard"]) if stream else None
    if shard is None:
        log.warning("a record of %s is lost: neither the stream nor the shard is there", entry["stream"])
        return
    records, record = shard["records"], entry["record"]
    if not records or records[-1]["SequenceNumber"] < record["SequenceNumber"]:
        records.append(record)


def _call_again(handle: Call, entry: dict[str, Any]) -> None:
    """Handle a call as it was handled before: at once, for none of these waits for anything."""
    body = base64.b64decode(entry["body"])
    handling = handle(entry["method"], entry["path"], entry["headers"], body, entry["query"])
    try:
        handling.send(None)  # type: ignore[attr-defined] # a coroutine
    except StopIteration:
        return
    except Exception:
        log.exception("a call of the journal could not be handled again")
    else:
        log.warning("a call of the journal to %s waits for something; it is left out", entry["service"])


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """The streams' state without what this package keeps in it for the process only."""
    for stream in state["streams"]._data.values():
        for part in (stream, *stream["shards"].values()):
            for name in [name for name in part if name.startswith("tidemill_")]:
                del part[name]
    return state
