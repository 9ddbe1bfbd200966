"""The program that hosts the emulator: one process per platform, ended by the end of its input.

Room: local platform, I/O. Run by emulator.py as `python -m tidemill_local.launcher` with a clean environment.
Everything that knows the emulator from within stands here, under the exact pin of pyproject.toml.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from tidemill_local.shard_limits import limited

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

PrincipalKeys: TypeAlias = "Callable[[Any], dict[str, Any]]"

ConditionsMet: TypeAlias = "Callable[[dict[str, dict[str, Any]], Any], bool]"

IDENTITY = "cognito-identity.amazonaws.com:sub"
"""The condition key, and policy variable, of who signed in through an identity pool."""

SILENT_HANDLER_WAIT = 0.002
"""Seconds to wait for a first log line; the emulator's own 0.05 are most of a short invocation."""

# Killing comes first, so that nothing writes into the folder while it is deleted; the shell, in a session of
# its own, outlives the group. A killed process may still finish a write: hence the second try.
_LEAVE_NOTHING = 'kill -s KILL -- "-$1"; rm -rf -- "$2" || { sleep 0.2; rm -rf -- "$2"; }'


class UnknownEmulator(Exception):
    """The emulator is not the release whose internals are known here."""


def main(arguments: list[str]) -> None:
    """Serve on a listening socket until the input ends or SIGTERM comes, then leave nothing behind.

    Args:
        arguments: the socket's file descriptor, its port, and the folder for everything that is written.
    """
    descriptor, port, folder = int(arguments[0]), int(arguments[1]), Path(arguments[2])
    # Ctrl-C in a terminal is the parent's to decide upon; workers inherit the deaf ear.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: end(folder))
    threading.Thread(target=_end_with_input, args=(folder,), daemon=True).start()
    os.environ.update(settings(port, folder))
    asyncio.run(_serve(descriptor))


def settings(port: int, folder: Path) -> dict[str, str]:
    """The emulator's environment variables, which the functions it runs get too."""
    return {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "LOG_LEVEL": "WARNING",
        "AUTH": "true",
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "HOME": str(folder),
        # Another root key beside the emulator's own `test`: what localstack-client signs with by default.
        "AWS_ACCESS_KEY_ID": "accesskey",
        "AWS_SECRET_ACCESS_KEY": "secretkey",
        "AWS_EC2_METADATA_DISABLED": "true",
        "IOT_MTLS_ENABLED": "0",  # its listener would bind every interface
        "SFTP_ENABLED": "0",
        # The emulator tidies up containers by label as it starts: those of somebody else's.
        "DOCKER_HOST": "unix:///nowhere",
    }


async def _serve(descriptor: int) -> None:
    # Imported late: the emulator reads its environment as it is imported.
    import hypercorn.asyncio
    from hypercorn.config import Config
    from ministack.app import app

    improve()
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.keep_alive_timeout = 3600  # so that an idle client's next call does not meet a closed connection
    config.keep_alive_max_requests = 2**31
    await hypercorn.asyncio.serve(app, config, shutdown_trigger=asyncio.Event().wait)


def improve() -> None:
    """Put right what is wrong within the emulator.

    Raises:
        UnknownEmulator: something that is put right is no longer there.
    """
    from ministack.core import iam_evaluator, lambda_runtime
    from ministack.services import kinesis, sts

    _check(kinesis, "_expire_records", "_put_record", "_put_records", "_resolve_stream")
    _check(lambda_runtime.Worker, "_drain_stderr_bounded")
    _check(iam_evaluator, "_principal_keys", "_conditions_met")
    _check(sts, "_sessions")
    kinesis._expire_records = expire_head
    kinesis._put_record, kinesis._put_records = limited(
        kinesis._put_record, kinesis._put_records, kinesis._resolve_stream, time.monotonic
    )
    lambda_runtime.Worker._drain_stderr_bounded.__defaults__ = (SILENT_HANDLER_WAIT, 0.002, 0.250)
    iam_evaluator._principal_keys = with_identity(iam_evaluator._principal_keys, sts._sessions)
    iam_evaluator._conditions_met = with_variable(iam_evaluator._conditions_met)


def expire_head(stream: dict[str, Any]) -> None:
    """Drop the records past their retention.

    The emulator rebuilds every list on every call, which costs 86 ms at 200,000 records stored. Records stand
    in order of arrival, so looking at the first is enough.
    """
    cutoff = time.time() - stream["RetentionPeriodHours"] * 3600
    for shard in stream["shards"].values():
        records = shard["records"]
        if records and records[0]["ApproximateArrivalTimestamp"] < cutoff:
            shard["records"] = [r for r in records if r["ApproximateArrivalTimestamp"] >= cutoff]


def with_identity(principal_keys: PrincipalKeys, sessions: Mapping[str, dict[str, Any]]) -> PrincipalKeys:
    """The caller's condition keys and, for one who came through Cognito, the identity: it is left out."""

    def keys(credential: Any) -> dict[str, Any]:
        identity = sessions.get(credential.access_key_id, {}).get("_identity_id")
        known = {IDENTITY: identity} if identity else {}
        return principal_keys(credential) | known

    return keys


def with_variable(conditions_met: ConditionsMet) -> ConditionsMet:
    """The evaluation of conditions, with the caller's identity in place of the variable that stands for it.

    The emulator knows no policy variables, which would deny everybody what is granted to each identity.
    """

    def met(conditions: dict[str, dict[str, Any]], context: Any) -> bool:
        identity = context.principal_keys.get(IDENTITY)
        if identity:
            conditions = {
                operator: {key: _insert(identity, value) for key, value in tests.items()}
                for operator, tests in conditions.items()
            }
        return conditions_met(conditions, context)

    return met


def _insert(identity: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_insert(identity, item) for item in value]
    return value.replace(f"${{{IDENTITY}}}", identity) if isinstance(value, str) else value


def _check(owner: ModuleType | type, *names: str) -> None:
    missing = [name for name in names if not hasattr(owner, name)]
    if missing:
        raise UnknownEmulator(f"{owner.__name__} has no {', '.join(missing)}: install ministack==1.5.33")


def _end_with_input(folder: Path) -> None:
    """The parent holds the other end of the input and never writes: its end is the parent's end."""
    sys.stdin.buffer.read()
    end(folder)


def end(folder: Path) -> NoReturn:
    """Kill this process group, workers and their children with it, and delete the folder.

    Nothing is worth keeping, and the emulator's own way out waits seconds for an invocation in flight.
    """
    command = ["/bin/sh", "-c", _LEAVE_NOTHING, "sh", str(os.getpgrp()), str(folder)]
    subprocess.Popen(  # noqa: S603 # our own words
        command, start_new_session=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ).wait()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
