"""The program that hosts the emulator: one process per platform, which ends when its standard input ends.

Room: local platform, I/O. Run by emulator.py as `python -m tidemill_local.launcher` with a clean environment. Only
patches/ (table: registry.py) relies on the emulator's internals, whose release pyproject.toml pins exactly.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from tidemill_local.patches import left_out, registry
from tidemill_local.patches.durability import durability
from tidemill_local.sweeper import Groups


def main(arguments: list[str]) -> None:
    """Serve on listening sockets until the input ends or SIGTERM comes.

    Args:
        arguments: the sockets' file descriptors, separated by commas; their port; the folder for all written files.
    """
    descriptors, port, folder = arguments[0].split(","), int(arguments[1]), Path(arguments[2])
    state = Path(kept) if (kept := os.environ.pop(durability.VARIABLE, None)) else None
    # The parent handles Ctrl-C in a terminal; workers inherit that SIGINT is ignored.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    patches = _patches(folder, state)
    threading.Thread(target=_end_with_input, daemon=True).start()
    Groups(folder).register(os.getpgrp())
    os.environ.update(settings(port, folder) | (durability.settings(state) if state else {}))
    asyncio.run(_serve(descriptors, patches))


def settings(port: int, folder: Path) -> dict[str, str]:
    """The emulator's environment variables; functions have their own, see runtime.py."""
    return {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "LOG_LEVEL": "WARNING",
        "AUTH": "true",
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "HOME": str(folder),
        # Another root key beside the emulator's own `test`: localstack-client signs with it by default.
        "AWS_ACCESS_KEY_ID": "accesskey",
        "AWS_SECRET_ACCESS_KEY": "secretkey",
        "AWS_EC2_METADATA_DISABLED": "true",
        "IOT_MTLS_ENABLED": "0",  # its listener would bind every interface
        "SFTP_ENABLED": "0",
        # At its start the emulator removes containers by label, which could belong to another emulator.
        "DOCKER_HOST": "unix:///nowhere",
    }


def _patches(folder: Path, state: Path | None) -> Mapping[str, registry.Install]:
    """All patches but those that the environment variable leaves out; an unknown name in it ends the process."""
    table = registry.patches(folder, state)
    try:
        without = left_out.left_out(os.environ.pop(left_out.VARIABLE, ""), table)
    except left_out.UnknownPatch as error:
        sys.exit(str(error))
    if state and "durability" in without:
        sys.exit(f"{left_out.VARIABLE} leaves out durability: nothing would keep the state's folder, or lock it")
    return {name: install for name, install in table.items() if name not in without}


async def _serve(descriptors: list[str], patches: Mapping[str, registry.Install]) -> None:
    # Imported late: the emulator reads its environment on import.
    import hypercorn.asyncio
    from hypercorn.config import Config
    from ministack.app import app

    for install in patches.values():
        install()
    config = Config()
    config.bind = [f"fd://{descriptor}" for descriptor in descriptors]
    config.loglevel = "WARNING"
    config.keep_alive_timeout = 3600  # an idle client's next call must not find its connection closed
    config.keep_alive_max_requests = 2**31
    await hypercorn.asyncio.serve(app, config, shutdown_trigger=asyncio.Event().wait)


def _end_with_input() -> NoReturn:
    """End the process when the parent ends: the parent holds the other end of the input and never writes."""
    sys.stdin.buffer.read()
    # Nothing is worth keeping, and the emulator's own shutdown waits seconds for an invocation in flight.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
