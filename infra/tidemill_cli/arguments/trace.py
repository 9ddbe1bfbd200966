"""The arguments of commands that read an access log.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/cost/test_command.py.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill_cli.errors import CommandError

if TYPE_CHECKING:
    from tidemill_load.logs import Fields

OWN = ("trace_time", "trace_key", "trace_client")


class Misused(CommandError):
    """Arguments that do not go together; says which, and what to do."""


def add_trace(
    group: argparse._ActionsContainer, purpose: str, instead_of: argparse._ActionsContainer | None = None
) -> None:
    """The files, and the names of the fields where a log is one's own.

    Args:
        group: of arguments.
        purpose: what the log is for, in the words of help.
        instead_of: the group of what a log excludes; None for none.
    """
    (instead_of or group).add_argument(
        "--trace",
        type=Path,
        nargs="+",
        metavar="FILE",
        help=f"{purpose}: logs of ALB, CloudFront, API Gateway, S3, nginx, Apache; files or folders",
    )
    group.add_argument(
        "--trace-time", metavar="FIELD", help="of a log of JSON lines or CSV: the field that holds the time"
    )
    group.add_argument("--trace-key", metavar="FIELD", help="and the ordering key")
    group.add_argument("--trace-client", metavar="FIELD", help="and who asked")


def fields_of(args: argparse.Namespace) -> Fields | None:
    """The names of the fields; None where the format is to be recognised.

    Raises:
        Misused: some are missing, or there is no log.
    """
    from tidemill_load.logs import Fields

    given = [name for name in OWN if getattr(args, name)]
    if given and not args.trace:
        raise Misused(f"{option(given[0])} is for a log: name it by --trace")
    if given and not (args.trace_time and args.trace_key):
        raise Misused("a log of one's own needs --trace-time and --trace-key, the names of two fields")
    return Fields(args.trace_time, args.trace_key, args.trace_client) if given else None


def spelled(args: argparse.Namespace) -> str:
    """The log's arguments as another command takes them, to be pasted into a shell."""
    names = [part for name in OWN if (field := getattr(args, name)) for part in (option(name), field)]
    return shlex.join(["--trace", *map(str, args.trace), *names])


def option(name: str) -> str:
    """As it is written: --trace-time."""
    return "--" + name.replace("_", "-")


def named(paths: list[Path]) -> str:
    """The log in a few words: the first file's name, and how many more."""
    return paths[0].name + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
