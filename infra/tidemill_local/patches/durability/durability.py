"""What the emulator holds, on disk: a platform that is killed goes on where it stood.

Room: local platform, I/O; hooked into the emulator by launcher.py where a folder for the state is given.

The emulator itself saves its state only as it ends in peace. Here a snapshot is taken soon after each change of
what there is (streams, tables, functions, …), and between two of them a journal takes each record put on a
stream and each call that changes a table, a queue or a topic, before its caller is answered. A start loads the
snapshot and plays the journal again. What is handed to the operating system survives the end of the process,
not that of the machine. The emulator writes objects of S3 to disk itself.

A call played again is given the ids it drew the first time. Nothing is told twice of it: a table's stream records
and what they put on a Kinesis stream are journaled by themselves, and topics deliver to queues only. Of queues,
which messages are gone or hidden is journaled, for their handles are not; that a message was received is kept by the
next snapshot only, so after a kill it may be received again at once, and counts one time less. A topic's delivery to
a function or an address that was under way is lost with the process, and what is tidied up without a call
(a table's TTL, a queue's dead letters) may be so again if it was within the last half second.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import logging
import os
import shutil
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from tidemill_event_source.files import naming
from tidemill_local.patches.durability.state_files import StateFiles, lock, unreadable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from io import FileIO

    from tidemill_local.patches.kinesis.api import Handler, Request, Response

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

RETRY_SECONDS = 5
"""How long after one that failed the next snapshot is tried."""

_READS = (
    *("Get", "List", "Describe", "BatchGet", "Query", "Scan", "TransactGet", "Receive", "SubscribeToShard", "Lookup"),
    *("Search", "Select", "Filter", "Check", "Simulate", "Validate", "Decrypt", "Encrypt", "GenerateDataKey", "Verify"),
)
_NO_READS = ("GetId",)
"""Calls named as if they read: this one makes an identity."""

_UNKEPT = ("sts",)
"""Services that change nothing that is kept."""

_PUTS = ("PutRecord", "PutRecords")

_BY_HANDLE = ("DeleteMessage", "DeleteMessageBatch", "ChangeMessageVisibility", "ChangeMessageVisibilityBatch")

_CONTENTS = (
    *("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"),
    *("ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"),
    *("SendMessage", "SendMessageBatch", "PurgeQueue", "Publish", "PublishBatch"),
)
"""Journaled calls after which a snapshot need not follow: what they make has no name or time of its own."""

_ids: ContextVar[list[str] | None] = ContextVar("ids", default=None)
"""The ids drawn by the call in hand; as it is played again, those that it will draw."""

log = logging.getLogger(__name__)


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
        StateUnusable: it is another emulator's, or cannot be written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = lock(folder)
        self._restore_files()
        self._journal: FileIO | None = None
        self._due = self._replaying = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writing = threading.RLock()  # some records are put by the emulator's threads
        self._scope: Callable[[], dict[str, str]] = dict
        self._save: Callable[[], None] = lambda: None
        self._settled: Callable[[], bool] = lambda: True

    @property
    def _snapshot(self) -> Path:
        return self._folder / "snapshot"

    @property
    def _generation(self) -> int:
        """The snapshot's number, which its journal has too; 0 before the first."""
        file = self._snapshot / "generation"
        try:
            return int(file.read_text()) if self._snapshot.exists() else 0
        except (OSError, ValueError) as error:
            raise unreadable(file, error) from error

    def _restore_files(self) -> None:
        """Put the emulator's files back as the last whole snapshot has them."""
        earlier = self._folder / "snapshot.old"
        if not self._snapshot.exists() and earlier.exists():
            earlier.rename(self._snapshot)
        for left_over in (earlier, self._folder / "snapshot.new", self._folder / "state"):
            shutil.rmtree(left_over, ignore_errors=True)
        current = self._journal_file(self._generation)
        for journal in self._folder.glob("journal-*"):
            if journal != current:
                journal.unlink()
        if self._snapshot.exists():
            shutil.copytree(self._snapshot, self._folder / "state")

    # ── Hooks ────────────────────────────────────────────────────────────────────────────────────────────────

    def hook(self, app: Any, persistence: Any, responses: Any, services: Any) -> None:
        """Load as the emulator starts, and watch what it is told from then on.

        Args:
            app: the emulator's module of that name, as are the others.
            persistence: whose form the state is saved in.
            responses: which knows the account and region of the call in hand.
            services: the package of services, of which dynamodb, sqs, sns, kinesis and cloudformation are hooked.
        """
        dynamodb, sqs, sns, kinesis = services.dynamodb, services.sqs, services.sns, services.kinesis
        files = StateFiles(persistence, self._folder / "state", (*JOURNALED, "kinesis"))
        get_state = kinesis.get_state
        kinesis.get_state = lambda: _plain(get_state())
        _keep_table_streams(dynamodb)
        persistence.save_state, persistence.load_state = files.save, files.load
        self._save = lambda: files.save_all(app._build_persistence_save_dict())
        self._scope = lambda: {"account": responses.get_account_id(), "region": responses.get_region()}

        def load_and_replay() -> None:
            try:
                modules = app._state_map.items()
                files.load_all({key: partial(app._get_module, name) for key, name in modules})
                with self._quiet(sns):
                    self._replay(app, responses, services)
                self._open()
            except OSError as error:
                end_with(error)

        stacks = services.cloudformation._stacks
        self._settled = lambda: not any(one["StackStatus"].endswith("_IN_PROGRESS") for one in stacks._data.values())
        app._load_persisted_state = load_and_replay
        kinesis._put_record = self._journaling_put(kinesis._put_record, kinesis)
        kinesis._put_records = self._journaling_put(kinesis._put_records, kinesis)
        kinesis.put_record_internal = self._journaling_inner_put(kinesis.put_record_internal, kinesis)
        dynamodb._emit_stream_event = self._journaling_change(dynamodb._emit_stream_event, dynamodb)
        for action in _BY_HANDLE:
            sqs._HANDLERS[action] = self._journaling_handles(sqs._HANDLERS[action], sqs)
        delete = sqs._delete_messages_for_esm
        deleting = self._journaling_handles(lambda data, url: delete(url, data["handles"]), sqs)
        sqs._delete_messages_for_esm = lambda url, handles: deleting(
            {"handles": handles, "Entries": [{"ReceiptHandle": one} for one in handles]}, url
        )
        for module in (dynamodb, sqs, sns):
            module.new_uuid = self._repeating(module.new_uuid)
        app._dispatch_service_request = self._watching(app._dispatch_service_request)
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGTERM, self._end)

    def _watching(self, dispatch: Call) -> Call:
        async def watched(
            method: str, path: str, headers: dict[str, str], body: bytes, query: Any, request_id: str
        ) -> tuple[Any, ...]:
            ids: list[str] = []
            _ids.set(ids)  # each call is handled in a context of its own
            answer = await dispatch(method, path, headers, body, query, request_id)
            if method not in ("GET", "HEAD") and answer[0] < 300:
                try:
                    self._changed(method, path, headers, body, query, ids)
                except OSError as error:  # a full disk
                    return _not_kept(headers, error)
            return answer

        return watched

    def _changed(
        self, method: str, path: str, headers: dict[str, str], body: bytes, query: Any, ids: list[str]
    ) -> None:
        service, action = service_of(headers), action_of(headers, body)
        reads = action.startswith(_READS) and action not in _NO_READS
        if reads or service in _UNKEPT or action in _PUTS or action in _BY_HANDLE:
            return
        if service in JOURNALED:
            kept = {name: value for name, value in headers.items() if name in ("x-amz-target", "content-type", "host")}
            call = {"method": method, "path": path, "headers": kept, "query": query}
            self._append({"service": service, **call, "body": base64.b64encode(body).decode(), "ids": ids})
            if action not in _CONTENTS:
                self._snapshot_if_settled()
        elif service == "kinesis":
            # At once: a record put on a new shard next must not be without it.
            self._snapshot_if_settled()
        elif not (service == "lambda" and path.endswith("/invocations")) and not _is_object(service, path):
            self._soon()

    def _journaling_put(self, put: Handler, kinesis: Any) -> Handler:
        def journaling(request: Request) -> Response:
            answer = put(request)
            if answer[0] == 200:
                _, stream = kinesis._resolve_stream(request)
                said = json.loads(answer[2])
                for result in said.get("Records", [said]):
                    if "SequenceNumber" in result:
                        self._append(_entry(stream, result["ShardId"], _stored(stream, result)))
            return answer

        return journaling

    def _journaling_inner_put(self, put: Callable[[str, str, bytes], bool], kinesis: Any) -> Callable[..., bool]:
        """The put by which another service hands on what it was told; it is journaled, so not played again."""

        def journaling(stream_arn: str, partition_key: str, data: bytes) -> bool:
            done = self._replaying or put(stream_arn, partition_key, data)
            if done and not self._replaying:
                stream = kinesis._resolve_stream_by_arn(stream_arn)
                shard = kinesis._route_to_shard(kinesis._partition_key_to_hash(partition_key), stream)
                self._append(_entry(stream, shard, stream["shards"][shard]["records"][-1]))
            return done

        return journaling

    def _journaling_change(self, emit: Callable[..., None], dynamodb: Any) -> Callable[..., None]:
        def journaling(table: str, *change: Any, **options: Any) -> None:
            last = (dynamodb._stream_records.get(table) or [None])[-1]
            emit(table, *change, **options)
            records = dynamodb._stream_records.get(table) or [None]
            if records[-1] is not last:
                if self._replaying:
                    records.pop()  # it is in the journal by itself
                else:
                    self._append({"table": table, "change": records[-1]})
            if _ids.get() is None:  # not by a call
                self._soon()

        return journaling

    def _journaling_handles(self, act: Callable[[Any, str], Any], sqs: Any) -> Callable[[Any, str], Any]:
        """A handler of messages by their handles, which nobody knows after a kill; their ids are journaled."""

        def journaling(data: Any, url: str) -> Any:
            queue = sqs._get_q(data.get("QueueUrl", url))
            handles = {one.get("ReceiptHandle") for one in (data, *data.get("Entries", []))} - {None}
            meant = {one["id"] for one in queue["messages"] if one.get("receipt_handle") in handles}
            answer = act(data, url)
            left = {one["id"]: one["visible_at"] for one in queue["messages"] if one["id"] in meant}
            self._append({"queue": queue["url"], "gone": sorted(meant - left.keys()), "visible": left})
            return answer

        return journaling

    def _repeating(self, draw: Callable[[], str]) -> Callable[[], str]:
        def drawing() -> str:
            ids = _ids.get()
            if self._replaying and ids:
                return ids.pop(0)
            drawn = draw()
            if ids is not None and not self._replaying:
                ids.append(drawn)
            return drawn

        return drawing

    # ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> None:
        """Go on with the journal, without what is torn off at its end."""
        self._journal = self._journal_file(self._generation).open("ab", buffering=0)
        size = self._journal.tell()
        if size:
            whole = self._journal_file(self._generation).read_bytes().rfind(b"\n") + 1
            if whole < size:
                self._journal.truncate(whole)

    def _journal_file(self, generation: int) -> Path:
        return self._folder / f"journal-{generation}"

    def _append(self, entry: dict[str, Any]) -> None:
        with self._writing:
            if not self._journal:
                return
            line = json.dumps(self._scope() | entry).encode() + b"\n"
            before = os.fstat(self._journal.fileno()).st_size
            try:
                with naming(self._journal_file(self._generation)):
                    written = self._journal.write(line)
                    if written != len(line):
                        raise OSError(f"the journal took {written} bytes of {len(line)}; is the disk full?")
            except OSError:
                self._journal.truncate(before)
                raise
            if before > JOURNAL_BYTES:
                self._soon()

    def _soon(self, seconds: float = SNAPSHOT_SECONDS) -> None:
        if not self._due and self._loop:
            self._due = True
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._snapshot_if_settled)

    def _snapshot_if_settled(self) -> None:
        """A stack in the making is half of one, and nobody would go on with it."""
        self._due = False
        if not self._settled():
            self._soon()
        elif not self.snapshot():
            self._soon(RETRY_SECONDS)

    def _end(self) -> None:
        if self._due or (self._journal and os.fstat(self._journal.fileno()).st_size):
            self.snapshot()
        os._exit(0)

    def snapshot(self) -> bool:
        """Write the state as it is now, and begin a new journal. On the emulator's loop, between two calls.

        Returns: whether it is done; if not, the earlier snapshot and its journal still hold.
        """
        with self._writing:
            try:
                self._take_snapshot()
            except Exception:
                log.exception("the state cannot be written to %s; what was written before still holds", self._folder)
                return False
        return True

    def _take_snapshot(self) -> None:
        fresh, earlier = self._folder / "snapshot.new", self._folder / "snapshot.old"
        before = self._generation
        self._save()
        for left_over in (fresh, earlier):
            if left_over.exists():
                shutil.rmtree(left_over)
        shutil.copytree(self._folder / "state", fresh)
        (fresh / "generation").write_text(str(before + 1))
        journal = self._journal_file(before + 1).open("wb", buffering=0)
        try:
            if self._snapshot.exists():
                self._snapshot.rename(earlier)
            fresh.rename(self._snapshot)
        except OSError:
            journal.close()
            if not self._snapshot.exists() and earlier.exists():
                earlier.rename(self._snapshot)
            raise
        if self._journal:
            self._journal.close()
        self._journal = journal
        shutil.rmtree(earlier, ignore_errors=True)
        with suppress(OSError):
            self._journal_file(before).unlink()

    # ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _quiet(self, sns: Any) -> Iterator[None]:
        """Nobody outside is told anything meanwhile: they were, the first time."""

        async def untold(*_: Any) -> None:
            pass

        names = ("_deliver_to_lambda", "_deliver_to_http")
        kept = {name: getattr(sns, name) for name in names}
        sns._deliver_to_lambda, sns._deliver_to_http = (lambda *_: None), untold
        self._replaying = True
        try:
            yield
        finally:
            self._replaying = False
            for name, deliver in kept.items():
                setattr(sns, name, deliver)

    def _replay(self, app: Any, responses: Any, services: Any) -> None:
        for entry in self._entries():
            with responses.request_scope(entry["account"], entry["region"]):
                if "record" in entry:
                    _put_back(services.kinesis, entry)
                elif "change" in entry:
                    _put_change_back(services.dynamodb, entry)
                elif "gone" in entry:
                    _hide_again(services.sqs, entry)
                else:
                    _call_again(app._get_module(entry["service"]).handle_request, entry)

    def _entries(self) -> Iterator[dict[str, Any]]:
        file = self._journal_file(self._generation)
        # What follows the last line's end is torn: its caller was never answered.
        lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError as error:
                raise unreadable(file, error) from error


def end_with(error: OSError) -> NoReturn:
    """End the emulator's process for that reason."""
    print(error, file=sys.stderr, flush=True)  # noqa: T201 - the next line flushes no logger
    os._exit(1)


def _not_kept(headers: dict[str, str], error: OSError) -> tuple[int, dict[str, str], bytes]:
    """The answer to a call that was carried out and cannot be kept, in the form that its caller reads."""
    if "urlencoded" in headers.get("content-type", ""):
        detail = f"<Error><Code>InternalFailure</Code><Message>{escape(str(error))}</Message></Error>"
        return 500, {"Content-Type": "text/xml"}, f"<ErrorResponse>{detail}</ErrorResponse>".encode()
    told = json.dumps({"__type": "InternalFailure", "message": str(error)})
    return 500, {"Content-Type": "application/x-amz-json-1.0"}, told.encode()


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


def _entry(stream: dict[str, Any], shard: str, record: dict[str, Any]) -> dict[str, Any]:
    """What is journaled of a record that was put; the stream need not be the caller's."""
    _, _, _, region, account, _ = stream["StreamARN"].split(":", 5)
    return {"account": account, "region": region, "stream": stream["StreamName"], "shard": shard, "record": record}


def _put_back(kinesis: Any, entry: dict[str, Any]) -> None:
    stream = kinesis._streams.get_scoped(entry["account"], entry["region"], entry["stream"])
    shard = stream["shards"].get(entry["shard"]) if stream else None
    if shard is None:
        log.warning("a record of %s is lost: neither the stream nor the shard is there", entry["stream"])
        return
    records, record = shard["records"], entry["record"]
    if not records or records[-1]["SequenceNumber"] < record["SequenceNumber"]:
        records.append(record)


def _put_change_back(dynamodb: Any, entry: dict[str, Any]) -> None:
    records, change = dynamodb._stream_records.setdefault(entry["table"], []), entry["change"]
    if not records or records[-1]["dynamodb"]["SequenceNumber"] < change["dynamodb"]["SequenceNumber"]:
        records.append(change)


def _hide_again(sqs: Any, entry: dict[str, Any]) -> None:
    """Messages have their ids whatever queue they are in, as after they became dead letters."""
    gone, visible = set(entry["gone"]), entry["visible"]
    for queue in sqs._queues._data.values():
        if gone:
            queue["messages"] = [one for one in queue["messages"] if one["id"] not in gone]
        for one in queue["messages"] if visible else ():
            one["visible_at"] = visible.get(one["id"], one["visible_at"])


def _keep_table_streams(dynamodb: Any) -> None:
    """Have the tables' streams among what is saved."""
    names = ("_stream_records", "_stream_trimmed", "_closed_streams")
    get_state, load = dynamodb.get_state, dynamodb.load_persisted_state

    def state_with_streams() -> dict[str, Any]:
        state: dict[str, Any] = get_state()
        return state | {f"tidemill{name}": copy.deepcopy(getattr(dynamodb, name)) for name in names}

    def load_with_streams(state: dict[str, Any]) -> None:
        load(state)
        for name in names:
            getattr(dynamodb, name).update(state.get(f"tidemill{name}", {}))

    dynamodb.get_state, dynamodb.load_persisted_state = state_with_streams, load_with_streams


def _call_again(handle: Call, entry: dict[str, Any]) -> None:
    """Handle a call as it was handled before: at once, for none of these waits for anything."""
    body = base64.b64decode(entry["body"])
    _ids.set(entry["ids"])
    handling = handle(entry["method"], entry["path"], entry["headers"], body, entry["query"])
    try:
        handling.send(None)  # type: ignore[attr-defined] # a coroutine
    except StopIteration as end:
        if end.value[0] >= 300:
            log.warning("a call of the journal is refused now: %s", end.value)
    except Exception:
        log.exception("a call of the journal could not be handled again")
    else:
        log.warning("a call of the journal to %s waits for something; it is left out", entry["service"])
    finally:
        _ids.set(None)


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """The streams' state without what this package keeps in it for the process only."""
    for stream in state["streams"]._data.values():
        for part in (stream, *stream["shards"].values()):
            for name in [name for name in part if name.startswith("tidemill_")]:
                del part[name]
    return state
