"""`tidemill up`: the local platform until stopped.

Room: command line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from tidemill_cli.result_file import check_writable
from tidemill_local.deployment import DeploymentFailed
from tidemill_local.emulator import DEFAULT_PORT, EmulatorError
from tidemill_local.files import write_whole
from tidemill_local.function_code import RulesNotFound
from tidemill_local.hooks import state_files
from tidemill_local.platform import Platform
from tidemill_local.template import TemplateError

MAX_PORT = 65_535

FILLED_IN = {
    "Rules": "use --rules",
    "CodeBucket": "the functions' code is put there",
    "CodeKey": "the functions' code is put there",
}
"""Parameters of the template that are not given by name -> why."""

SECRET, SECRET_VARIABLE = "ApplicationSecret", "TIDEMILL_APPLICATION_SECRET"
"""The parameter that everybody who lists processes could read on the command line, and where else it may come from."""

POLL_SECONDS = 1.0

QUIET_SECONDS = 10.0
"""Without a terminal, how often a change of the mappings' state is told at most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="on 127.0.0.1; 0 chooses a free one")
    parser.add_argument("--rules", default="tidemill_consumers.rules", help="the module that holds RULES")
    parser.add_argument(
        "--state", type=Path, metavar="FOLDER", help="keep everything in FOLDER and go on from there, even after a kill"
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="keep endpoint, outputs and mappings' state in PATH")
    parser.add_argument(
        "--parameter",
        type=_parameter,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the template, such as BatchingWindowSeconds=1 or DirectEndpoint=on; NAME=@FILE takes what "
        f"a file holds; may be repeated. {SECRET} is that of the variable {SECRET_VARIABLE}, if it is set",
    )
    parser.epilog = "example: tidemill up --rules shop.rules --parameter BatchingWindowSeconds=1"


def run(args: argparse.Namespace) -> int:
    """Run until stopped by Ctrl-C or SIGTERM, which is how it is meant to end."""
    os.umask(0o077)  # what is kept has secrets in it
    try:
        if args.json:
            check_writable(args.json)
        if args.state:
            state_files.check(args.state)
        parameters = {**_secret(), **dict(args.parameter), "Rules": args.rules}
        with Platform(args.port, parameters, say=_say, state=args.state) as platform:
            for name, value in platform.emulator.environment.items():
                _say(f"export {name}={value}")
            for name, value in sorted(platform.outputs.items()):
                _say(f"  {name:<26} {value}")
            _say("running; Ctrl-C stops it")
            with _shown() as show:
                while True:
                    platform.emulator.check()
                    mappings = list(_mappings(platform))
                    show.update(mappings)
                    if args.json:
                        _write(args.json, platform, mappings)
                    time.sleep(POLL_SECONDS)
    except (EmulatorError, DeploymentFailed, RulesNotFound, TemplateError, OSError) as error:
        print(f"tidemill up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("stopped")
        return 0


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: 0 to {MAX_PORT}")
    return int(text)


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    if name in FILLED_IN:
        raise argparse.ArgumentTypeError(f"{name} is filled in: {FILLED_IN[name]}")
    if value.startswith("@"):
        return name, _contents(Path(value[1:]))
    if name == SECRET and value:
        raise argparse.ArgumentTypeError(
            f"others can read {SECRET} in the list of processes; use {SECRET}=@FILE, or the variable {SECRET_VARIABLE}"
        )
    return name, value


def _contents(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"{path} cannot be read: {getattr(error, 'strerror', error)}") from None


def _secret() -> dict[str, str]:
    given = os.environ.get(SECRET_VARIABLE)
    return {SECRET: given} if given else {}


def _mappings(platform: Platform) -> Iterator[dict[str, Any]]:
    """The state of each event source mapping."""
    for source in platform.event_sources:
        counts = source.counts
        yield {
            "uuid": source.config.uuid,
            "source": source.config.stream_arn.split(":", 5)[5],
            "function": source.config.function_arn.rpartition(":")[2],
            "invocations": counts.invocations,
            "errors": counts.errors,
            "throttles": counts.throttles,
            "records": counts.records,
            "discarded": counts.discarded,
            "waiting": source.waiting,
            "iterator_age_ms": round(counts.iterator_age * 1000),
            "last_result": counts.last_result,
        }


class _Lines:
    """Tells of the mappings by a line each, when something has changed."""

    def __init__(self) -> None:
        self._told: list[dict[str, Any]] = []
        self._at = time.monotonic()

    def update(self, mappings: list[dict[str, Any]]) -> None:
        busy = [one for one in mappings if one not in self._told and one["invocations"]]
        if busy and time.monotonic() - self._at >= QUIET_SECONDS:
            self._told, self._at = mappings, time.monotonic()
            for one in busy:
                _say(
                    f"{one['source']} -> {one['function']}: {one['invocations']:,} invocations, {one['errors']:,} "
                    f"errors, {one['records']:,} records, {one['waiting']:,} waiting, iterator age "
                    f"{one['iterator_age_ms']:,} ms, last result {one['last_result']}"
                )


class _LiveTable:
    """Shows the mappings as a table that stays where it is."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def update(self, mappings: list[dict[str, Any]]) -> None:
        names = ("source", "function", "invocations", "errors", "records", "waiting", "iterator_age_ms", "last_result")
        table = Table(box=None, pad_edge=False)
        for name in names:
            table.add_column(name.replace("_", " "), justify="left" if name in ("source", "function") else "right")
        for one in mappings:
            table.add_row(*(f"{one[name]:,}" if isinstance(one[name], int) else one[name] for name in names))
        self._live.update(table)


@contextmanager
def _shown() -> Iterator[_Lines | _LiveTable]:
    console = Console()
    if console.is_terminal:
        with Live(console=console, refresh_per_second=2) as live:
            yield _LiveTable(live)
    else:
        yield _Lines()


def _write(path: Path, platform: Platform, mappings: list[dict[str, Any]]) -> None:
    state = {
        "endpoint": platform.emulator.endpoint_url,
        "outputs": dict(platform.outputs),
        "mappings": mappings,
    }
    write_whole(path, (json.dumps(state, indent=2) + "\n").encode())


def _say(text: str) -> None:
    print(text, flush=True)
