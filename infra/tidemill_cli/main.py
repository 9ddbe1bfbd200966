"""The command `tidemill`: finds the subcommand and runs it.

Room: command line. Each command is a file of its own with `add_arguments` and `run`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from importlib import import_module
from types import FrameType

COMMANDS = {
    "demo": "run the whole pipe on this machine and see what buffering saves",
    "up": "run the local platform until stopped",
    "query": "ask the archive, by name or in SQL",
}

INTERRUPTED = 130


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the exit code is 0 only when everything it reports holds."""
    argv = sys.argv[1:] if argv is None else argv
    # SIGINT too: a shell has its background jobs ignore it, and `kill -INT` should stop those as well.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        args = _parser(argv).parse_args(argv)
        code: int = args.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser(argv: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidemill",
        description="A Kinesis stream-buffered back end: in order, and exactly once in effect.",
        epilog="example: tidemill demo --requests 2000",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".")
        # Only the command that runs is imported: the others may need an extra that is not installed.
        if name in argv[:1]:
            _load(name, command)
    return parser


def _load(name: str, command: argparse.ArgumentParser) -> None:
    try:
        module = import_module(f"tidemill_cli.{name}")
    except ModuleNotFoundError as error:
        command.exit(1, f"tidemill {name} needs {error.name}: pip install 'tidemill[local]'\n")
    module.add_arguments(command)
    command.set_defaults(run=module.run)


def _stop(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
