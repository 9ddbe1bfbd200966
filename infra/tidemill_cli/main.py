"""The command `tidemill`: finds the subcommand and runs it.

Room: command line. Each command is a module of `commands` with `add_arguments` and `run`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Literal, NoReturn, TextIO

from tidemill_cli.errors import FAILED, INTERRUPTED, MISUSED, complain, of_aws

COMMANDS = {
    "demo": "run the whole pipe on this machine and see what buffering saves",
    "up": "run the local platform until stopped",
    "watch": "show the figures of a stack on AWS on a page, by CloudWatch",
    "send": "put a request on the stream and wait for its reply, or a file of them",
    "smoke": "try each part of a deployed stack once: every way in, replies, quarantine, archive, metrics",
    "query": "ask the archive, by name or in SQL",
    "near": "the contents near a place, the nearest first",
    "cost": "whether buffering pays at a rate, with which settings, item by item",
    "analytics": "run the analytics stage: requests added up before they are applied",
    "bench": "measure the same workload with and without buffering",
    "hot-keys": "the keys and lanes that fill a shard, and whether more shards help",
    "scale": "change how many shards the stream has, in the steps that AWS allows",
    "package": "make the functions' code for Lambda, a zip each",
    "reindex": "bring the index of contents up to date with the table",
    "sweep": "show the objects that no document names any more, and delete them",
    "redrive": "list what is in quarantine, and put it back on the stream",
    "deploy": "make or change the stack on AWS, once its changes were looked at",
    "destroy": "take a stack down without losing a request",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit code is 0 only when everything it reports holds."""
    argv = sys.argv[1:] if argv is None else argv
    # In this order: each takes the descriptor that was closed, which a socket of ours would have taken otherwise.
    sys.stdin = sys.stdin or _nowhere("r")
    sys.stdout, sys.stderr = sys.stdout or _nowhere("w"), sys.stderr or _nowhere("w")
    stop = _Stop()
    # SIGINT too: a shell has its background jobs ignore it, and `kill -INT` should stop those as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    sys.unraisablehook = stop.unraisable
    try:
        return _run(argv)
    except BaseException:
        # A library that was interrupted may raise an error of its own in place of ours.
        if not stop.asked:
            raise
        with suppress(OSError):
            print("stopped", file=sys.stderr)
        return INTERRUPTED
    finally:
        stop.asked = True  # Python would complain of a KeyboardInterrupt while it ends


def _nowhere(mode: Literal["r", "w"]) -> TextIO:
    """A stream in place of one that was closed (`2>&-`): of None, which Python has there, `print` makes stdout."""
    return Path(os.devnull).open(mode)


def _run(argv: list[str]) -> int:
    try:
        parser = _parser(argv)
        if not argv:
            parser.print_help(sys.stderr)
            return MISUSED
        args = parser.parse_args(argv)
        code: int = args.run(args)
        sys.stdout.flush()
    except ModuleNotFoundError as error:
        package = (error.name or "tidemill").partition(".")[0]
        if package.startswith("tidemill"):
            raise
        print(f"tidemill {argv[0]} needs {package}: pip install '.[local]' in the project's folder", file=sys.stderr)
        return FAILED
    except BrokenPipeError:
        # Whoever read has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        problem = of_aws(error)
        if problem is None:
            raise
        complain(argv[0], problem)
        return FAILED
    return code


def _parser(argv: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidemill",
        description="A Kinesis stream-buffered back end: in order, and exactly once in effect.",
        epilog="example: tidemill demo --requests 2000",
    )
    version = ""
    if argv[:1] == ["--version"]:  # only then: to look it up takes a while
        version = import_module("importlib.metadata").version("tidemill")
    parser.add_argument("--version", action="version", version=f"tidemill {version}", help="show the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".")
        # Only the command that runs is imported: the others may need an extra that is not installed.
        if name in argv[:1]:
            module = import_module(f"tidemill_cli.commands.{name.replace('-', '_')}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


class _Stop:
    """Handles the signals to stop: the first is a KeyboardInterrupt.

    A second one ends the process at once, and so does one where a KeyboardInterrupt does harm, amid an import, or
    would be lost, amid a finalizer. An emulator that the process runs ends with it.
    """

    asked = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        if self.asked:
            os._exit(INTERRUPTED)
        self.asked = True
        if _imports(frame):
            self._end()
        raise KeyboardInterrupt

    def unraisable(self, lost: sys.UnraisableHookArgs) -> None:
        """Python's hook for an exception that it cannot pass on to anybody."""
        if issubclass(lost.exc_type, KeyboardInterrupt):
            self._end()
        sys.__unraisablehook__(lost)

    def _end(self) -> NoReturn:
        with suppress(OSError):
            os.write(2, b"stopped\n")
        os._exit(INTERRUPTED)


def _imports(frame: FrameType | None) -> bool:
    """Whether an import is under way: one of a C extension may crash when it is interrupted."""
    while frame and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None
