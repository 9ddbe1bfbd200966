"""`tidemill scale`: changes how many shards the stream has.

Room: command line. Finds the stream and tells how far it is; the steps are tidemill_deploy.capacity's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tidemill import Misconfigured
from tidemill_cli.errors import run_or_tell
from tidemill_cli.result_file import check_writable, json_text, write_result
from tidemill_cli.streams import add_stream, stream_of
from tidemill_cli.terminal_text import print_on_stderr, progress
from tidemill_cli.units import positive
from tidemill_deploy.capacity.scaling import scale
from tidemill_deploy.capacity.steps import MOST_CHANGES, CannotScale

EXAMPLE = f"""\
examples:
  tidemill scale --shards 8                 the local platform's stream
  tidemill scale --shards 8 --stack shop    of a stack in your AWS account

AWS changes the number to double or half at most, {MOST_CHANGES} times in 24 hours: this goes in steps. Requests flow
meanwhile and stay in order. Give the next deployment the same ShardCount. `tidemill hot-keys` says whether it helps.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--shards", metavar="N", type=positive, required=True, help="how many the stream shall have")
    add_stream(parser)
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the result to FILE")
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when the stream has as many shards, 1 with a message on stderr when not."""
    return run_or_tell("scale", lambda: _run(args), CannotScale, Misconfigured)


def _run(args: argparse.Namespace) -> int:
    if args.json:
        check_writable(args.json)
    where, stream = stream_of(args)
    with progress("…", otherwise=print_on_stderr) as tell:
        counts = scale(where.client("kinesis"), stream, args.shards, tell)
    gone = f", by {' -> '.join(f'{one:,}' for one in counts)}" if len(counts) > 1 else ", as before"
    print(f"{stream} has {args.shards:,} shard{'s' if args.shards != 1 else ''}{gone}")
    if args.json:
        write_result(args.json, json_text({"stream": stream, "shards": args.shards, "steps": list(counts)}))
    return 0
