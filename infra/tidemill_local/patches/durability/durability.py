"""What the emulator holds, on disk: a platform that is killed goes on where it stood.

Room: local platform, I/O; hooked into the emulator by launcher.py where a folder for the state is given.

The emulator itself saves its state only as it ends in peace. Here a snapshot is taken soon after each change of
what there is (streams, tables, functions, …), and between two of them a journal takes each record put on a
stream and each call that changes a table, a queue or a topic, before its caller is answered. A start loads the
snapshot and plays the journal again. What is handed to the operating system survives the end of the process,
not that of the machine. The emulator writes objects of S3 to disk itself.

| module | its idea |
|---|---|
| state_files.py | the emulator's state, one file a service |
| snapshot.py | a whole copy of those files, replaced as a whole |
| journal.py | a file that is appended to, and holds an entry whole or not at all |
| recorder.py | a snapshot and its journal in step, and when the next snapshot is taken |
| calls.py, drawn_ids.py | which calls are journaled, and how one is played again with the ids that it drew |
| streams.py, tables.py, queues.py, topics.py | what a service needs besides |

What is tidied up without a call (a table's TTL, a queue's dead letters) may be so again after a kill if it was within
the last half second.
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

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "TIDEMILL_STATE"
"""The environment variable by which the launcher is told of the folder."""


def settings(folder: Path) -> dict[str, str]:
    """The emulator's environment variables by which it loads its state from the folder."""
    return {
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder / "s3"),
    }


def hook(folder: Path, app: Any, persistence: Any, responses: Any, services: Any) -> None:
    """Have the state loaded from the folder as the emulator starts, and kept there from then on. On its loop.

    Args:
        folder: the folder; one emulator at a time.
        app: the emulator's module of that name, as are the others.
        persistence: whose form the state is saved in.
        responses: which knows the account and region of the call in hand.
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
    """End the emulator's process for that reason."""
    print(error, file=sys.stderr, flush=True)  # noqa: T201 - the next line flushes no logger
    os._exit(1)


def _load(files: StateFiles, recorder: Recorder, app: Any, responses: Any, services: Any) -> None:
    """Take up the snapshot, and play the journal again."""
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
