"""The emulator's state on disk: after a kill, the next platform continues from the same state.

Room: local platform, I/O; fitted into the emulator by `install` where a folder for the state is given.

The emulator itself saves its state only at an orderly end. Here a snapshot is taken soon after each change of
resources (streams, tables, functions, …). Between two snapshots, a journal takes each record put on a stream and
each call that changes a table, a queue or a topic, before its caller is answered. A start loads the snapshot and
replays the journal. Writes are handed to the operating system without fsync: they survive the end of the process,
not of the machine. The emulator writes objects of S3 to disk itself.

| module | its idea |
|---|---|
| state_files.py | the emulator's state, one file a service |
| snapshot.py | a whole copy of those files, replaced as a whole |
| journal.py | a file that is appended to, and holds an entry whole or not at all |
| recorder.py | a snapshot and its journal in step, and when the next snapshot is taken |
| calls.py, drawn_ids.py | which calls are journaled, and how one is replayed with the ids that it drew |
| streams.py, tables.py, queues.py, topics.py | additions for single services |

Changes without a call (a table's TTL, a queue's dead letters) of the last half second before a kill may be lost, and
are then made again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from tidemill_local.patches.durability import drawn_ids, queues, streams, tables, topics
from tidemill_local.patches.durability.calls import JOURNALED, call_again, watching
from tidemill_local.patches.durability.recorder import Recorder
from tidemill_local.patches.durability.state_files import StateFiles
from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "TIDEMILL_STATE"
"""The environment variable that names the folder to the launcher."""


def settings(folder: Path) -> dict[str, str]:
    """The emulator's environment variables for loading its state from the folder."""
    return {
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "s3"),
    }


def install(folder: Path | None) -> None:
    """Have the emulator's state outlive it in the folder; without one, do nothing. Runs on the emulator's loop.

    Installed after the patches whose answers it journals, and before cbor, because its journal holds calls in JSON.

    Needs of the emulator:
        app._load_persisted_state: loads what was saved, as the emulator starts; replaced.
        app._state_map, app._get_module: which services have a state, and the module of each.
        app._build_persistence_save_dict: what is to be saved, by service.
        app._dispatch_service_request: handles a call of any service; it is kept before its caller is answered.
        persistence.save_state, persistence.load_state: write and read one service's file; replaced.
        persistence._state_format_version, persistence._json_default, persistence._json_object_hook: the file's form.
        responses.get_account_id, responses.get_region, responses.request_scope: the account and region of a call.
        kinesis.get_state: the streams' state; what the patches keep in it for the process only is left out.
        kinesis._put_record, kinesis._put_records, kinesis.put_record_internal: put records, which are journaled.
        kinesis._streams, kinesis._resolve_stream, kinesis._resolve_stream_by_arn: find the stream of a record.
        kinesis._route_to_shard, kinesis._partition_key_to_hash: find its shard.
        dynamodb.get_state, dynamodb.load_persisted_state: the tables' state, which lacks their streams.
        dynamodb._stream_records, dynamodb._stream_trimmed, dynamodb._closed_streams: the tables' streams.
        dynamodb._emit_stream_event: puts a change on a table's stream, which is journaled.
        dynamodb.new_uuid, sqs.new_uuid, sns.new_uuid: draw ids, the same ones when a call is played again.
        sqs._HANDLERS: handles calls by their names; those that name messages by handles are journaled by ids.
        sqs._delete_messages_for_esm: deletes the messages that a mapping has handled.
        sqs._get_q, sqs._queues: the queues and their messages.
        sns._deliver_to_lambda, sns._deliver_to_http: deliver to functions and addresses: not when played again.
        cloudformation._stacks: tells whether a stack is in the making.
    """
    if folder is None:
        return
    from ministack import app, services
    from ministack.core import persistence, responses
    from ministack.services import cloudformation, dynamodb, kinesis, sns, sqs

    require(app, "_load_persisted_state", "_state_map", "_get_module", "_build_persistence_save_dict")
    require(app, "_dispatch_service_request")
    require(persistence, "save_state", "load_state", "_state_format_version", "_json_default", "_json_object_hook")
    require(responses, "get_account_id", "get_region", "request_scope")
    require(kinesis, "get_state", "_put_record", "_put_records", "put_record_internal", "_streams", "_resolve_stream")
    require(kinesis, "_resolve_stream_by_arn", "_route_to_shard", "_partition_key_to_hash")
    require(dynamodb, "get_state", "load_persisted_state", "_stream_records", "_stream_trimmed", "_closed_streams")
    require(dynamodb, "_emit_stream_event", "new_uuid")
    require(sqs, "_HANDLERS", "_delete_messages_for_esm", "_get_q", "_queues", "new_uuid")
    require(sns, "_deliver_to_lambda", "_deliver_to_http", "new_uuid")
    require(cloudformation, "_stacks")
    try:
        hook(folder, app, persistence, responses, services)
    except OSError as error:
        end_with(error)


def hook(folder: Path, app: Any, persistence: Any, responses: Any, services: Any) -> None:
    """Have the state loaded from the folder at the emulator's start, and kept there from then on. Runs on its loop.

    Args:
        folder: the folder; one emulator at a time.
        app: the emulator's module of that name, as are the others.
        persistence: defines the form of the saved state.
        responses: knows the account and region of the current call.
        services: the package of services, of which dynamodb, sqs, sns, kinesis and cloudformation are hooked.

    Raises:
        StateUnusable: the folder is another emulator's, or cannot be written to.
    """
    files = StateFiles(persistence, folder / "state", (*JOURNALED, "kinesis"))
    stacks = services.cloudformation._stacks
    loop = asyncio.get_running_loop()
    recorder = Recorder(
        folder,
        loop,
        save=lambda: files.save_all(app._build_persistence_save_dict()),
        scope=lambda: {"account": responses.get_account_id(), "region": responses.get_region()},
        settled=lambda: not any(one["StackStatus"].endswith("_IN_PROGRESS") for one in stacks._data.values()),
    )
    persistence.save_state, persistence.load_state = files.save, files.load
    app._load_persisted_state = lambda: _load(files, recorder, app, responses, services)
    streams.hook(services.kinesis, recorder)
    tables.hook(services.dynamodb, recorder)
    queues.hook(services.sqs, recorder)
    for service in (services.dynamodb, services.sqs, services.sns):
        service.new_uuid = drawn_ids.repeating(service.new_uuid, lambda: recorder.replaying)
    app._dispatch_service_request = watching(app._dispatch_service_request, recorder)
    loop.add_signal_handler(signal.SIGTERM, recorder.end)


def end_with(error: OSError) -> NoReturn:
    """Print the error and end the emulator's process."""
    print(error, file=sys.stderr, flush=True)  # noqa: T201 - the next line flushes no logger
    os._exit(1)


def _load(files: StateFiles, recorder: Recorder, app: Any, responses: Any, services: Any) -> None:
    """Load the snapshot and replay the journal."""
    try:
        files.load_all({key: partial(app._get_module, name) for key, name in app._state_map.items()})
        with topics.quiet(services.sns), recorder.replayed() as entries:
            for entry in entries:
                with responses.request_scope(entry["account"], entry["region"]):
                    _play_again(entry, app, services)
    except OSError as error:
        end_with(error)


def _play_again(entry: dict[str, Any], app: Any, services: Any) -> None:
    if "record" in entry:
        streams.put_back(services.kinesis, entry)
    elif "change" in entry:
        tables.put_back(services.dynamodb, entry)
    elif "gone" in entry:
        queues.hide_again(services.sqs, entry)
    else:
        call_again(app._get_module(entry["service"]).handle_request, entry)
