"""`tidemill demo`: the whole pipe on this machine, on a generated workload or a real access log.

Room: command line.
Tests: tests/e2e/test_demo.py.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
import time
from dataclasses import asdict
from pathlib import Path

from tidemill_cli.arguments.page import add_page
from tidemill_cli.arguments.trace import add_trace
from tidemill_cli.commands.demo.demo import Demo
from tidemill_cli.errors import FAILED, complain, run_or_tell
from tidemill_cli.result_file import check_writable, json_text, write_result
from tidemill_cli.units import above_zero, positive, producers

PARENT_SECONDS = 0.5
"""Seconds between two looks at whether make, which started the demo, is still there."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_trace(parser, "replay what was asked for once")
    parser.add_argument("--requests", type=positive, metavar="N", help="at most N requests")
    parser.add_argument(
        "--producers",
        type=producers,
        default=1,
        metavar="N",
        help="who send, each a writer of its own (1)",
    )
    parser.add_argument("--speed", type=_speed, metavar="N|max", help="times real time, or as fast as it goes")
    parser.add_argument("--seed", type=int, default=1, help="of the generated workload")
    parser.add_argument(
        "--hostile",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="mix in records that are no requests",
    )
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="leave the platform's state and the archive in FOLDER, a new one"
    )
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the result to PATH")
    photos = parser.add_mutually_exclusive_group()
    photos.add_argument(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help="upload the photos of FOLDER rather than some that are drawn; hidden files and links are passed over",
    )
    photos.add_argument("--no-photos", action="store_true", help="upload none, which is so with --trace too")
    parser.add_argument("--sheet", type=Path, metavar="PATH", help="write the photos' contact sheet, a page, to PATH")
    add_page(parser)
    parser.epilog = "example: tidemill demo --trace access.log --speed max --json out.json"


def run(args: argparse.Namespace) -> int:
    """Run the demo; 0 when everything reconciles, and all is written that was asked for."""
    _say("tidemill: the whole pipe on this machine; nothing leaves it")
    if "MAKELEVEL" in os.environ:
        _end_with_parent()
    # Imported here: the line above must not wait for them.
    from tidemill import GivenUp, NotUploaded
    from tidemill_analytics.archive import ArchiveError
    from tidemill_load.workloads.trace import TraceError
    from tidemill_local.deployment import DeploymentFailed
    from tidemill_local.emulator import EmulatorError

    expected = (TraceError, DeploymentFailed, EmulatorError, GivenUp, NotUploaded, ArchiveError)
    return run_or_tell("demo", lambda: _run(args), *expected)


def _run(args: argparse.Namespace) -> int:
    if args.json:
        check_writable(args.json)
    if args.sheet:
        check_writable(args.sheet)
    if args.keep:
        _check_new(args.keep)
    result = Demo(args, _say).run()
    for problem in result.not_written:
        complain("demo", problem)
    if args.json:
        write_result(args.json, json_text(asdict(result)))
    return 0 if result.reconciled and not result.not_written else FAILED


def _end_with_parent() -> None:
    """Stop as on SIGTERM once the parent is gone: make, when killed, cannot tell its children."""
    parent, main = os.getppid(), threading.main_thread()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        signal.pthread_kill(main.ident or 0, signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _check_new(folder: Path) -> None:
    """Make the folder, for its owner only; refuse one with contents, whose requests would not reconcile."""
    os.umask(0o077)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = any(folder.iterdir())
    except OSError as error:
        raise OSError(f"{folder} cannot keep anything: {error.strerror}") from None
    if taken:
        raise FileExistsError(f"{folder} is not empty; name a new folder to keep it in")


def _speed(text: str) -> float:
    return float("inf") if text == "max" else above_zero(text, "is neither a positive number nor max")


def _say(text: str) -> None:
    print(text, flush=True)
