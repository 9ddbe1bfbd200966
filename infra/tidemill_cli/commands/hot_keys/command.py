"""`tidemill hot-keys`: the keys and lanes that fill a shard, from the stream's last minutes.

Room: command line. Finds the stream and shows what tidemill_deploy.capacity read and reckoned of it.
Tests: tests/infra/tidemill_cli/commands/test_hot_keys.py.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from botocore.config import Config

from tidemill import Misconfigured
from tidemill_cli.commands.hot_keys.shown import as_json, show
from tidemill_cli.errors import run_or_tell
from tidemill_cli.result_file import check_writable, json_text, write_private
from tidemill_cli.streams import add_stream, stream_of
from tidemill_cli.terminal_text import console, progress
from tidemill_cli.units import above_zero
from tidemill_deploy.capacity.hot_keys import advice
from tidemill_deploy.capacity.reading import SHARE, read

MINUTES = 5.0

EXAMPLE = f"""\
examples:
  tidemill hot-keys                             the local platform's stream, its last {MINUTES:g} minutes
  tidemill hot-keys --stack shop --minutes 15   of a stack in your AWS account

It reads the stream beside the functions and the archive: {SHARE}.
It takes no longer than the time that it looks back on, and says what it could not read by then.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "--minutes", metavar="N", type=_minutes, default=MINUTES, help=f"look back (default: {MINUTES:g})"
    )
    parser.add_argument("--top", metavar="N", type=int, choices=range(1, 11), default=3, help="keys a shard, 1 to 10")
    add_stream(parser)
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the result to FILE")
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when the stream could be read, 1 with a message on stderr when not."""
    return run_or_tell("hot-keys", lambda: _run(args), Misconfigured)


def _run(args: argparse.Namespace) -> int:
    if args.json:
        check_writable(args.json)
    where, stream = stream_of(args)
    out = console()
    out.print(f"reading the last {args.minutes:g} minutes of {stream}: {SHARE}", soft_wrap=True)
    once = Config(retries={"mode": "standard", "total_max_attempts": 1}, max_pool_connections=16)
    with progress("…", otherwise=lambda _: None) as tell:
        loads = read(where.client("kinesis", once), stream, args.minutes * 60, tell)
    found = advice(loads)
    show(out, loads, found, args.top, _options(args))
    if args.json:
        write_private(args.json, json_text(as_json(stream, args.minutes, loads, found)))
    return 0


def _options(args: argparse.Namespace) -> str:
    """The options that name this stream to `tidemill scale` too."""
    named = {"--stack": args.stack, "--stream": args.stream}
    return " ".join(f"{option} {shlex.quote(value)}" for option, value in named.items() if value)


def _minutes(text: str) -> float:
    return above_zero(text, "is no number of minutes above 0")
