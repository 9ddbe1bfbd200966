"""`tidemill analytics run`: the analytics stage on this machine, until stopped.

Room: command line.
Tests: tests/infra/tidemill_cli/analytics/test_beginning.py, and tests/analytics_sql/stream/platform.py, which
needs PyFlink.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tidemill import Misconfigured
from tidemill_cli.analytics import Wanted, prepared, stack_of, state_folder, tools
from tidemill_cli.errors import run_or_tell
from tidemill_cli.stack import LOCAL_ENDPOINT, STACK, access
from tidemill_cli.units import positive
from tidemill_stream import InvalidSettings
from tidemill_stream.retention import OUTAGE_SECONDS

EXAMPLE = f"""\
examples:
  tidemill up --parameter Analytics=on --parameter AnalyticsPeriods=$(date +%s)-      in one shell
  tidemill analytics run --state stage                                                in another
  tidemill analytics run --stack shop --state stage    of a stack in your AWS account

It needs Java 17, `make analytics-env` and `make connector`. With --state it goes on where it ended, however it ended;
without, it counts anew from the first period on. Both are exact: no total is lost or doubled. A job that stood still
for more than {OUTAGE_SECONDS // 60} minutes, or that is another one now, counts anew too.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    commands = parser.add_subparsers(metavar="WHAT", required=True)
    job = commands.add_parser("run", help="run the stage until stopped", description="Run the stage until stopped.")
    job.add_argument("--stack", metavar="NAME", help=f"the stack (default: {STACK} on the local platform)")
    job.add_argument("--state", metavar="FOLDER", type=Path, help="keep its state in FOLDER, and go on from there")
    job.add_argument("--window", metavar="SECONDS", type=positive, default=10, help="a window's length (default: 10)")
    job.add_argument(
        "--from",
        dest="begin",
        metavar="SECONDS",
        type=int,
        help="where a new generation's first window begins, since 1970: not after what the last one has left to do",
    )
    job.add_argument("--generation", metavar="NAME", help="the name of a new generation (default: by the time)")
    job.add_argument("--rules", metavar="MODULE", help="the module that holds RULES (default: the stack's)")
    job.add_argument("--parallelism", metavar="N", type=positive, default=1, help="subtasks of each part (default: 1)")
    job.add_argument("--checkpoints", metavar="SECONDS", type=positive, default=10, help="between them (default: 10)")
    job.add_argument("--heap", metavar="MIB", type=positive, default=512, help="of the JVM (default: 512)")
    job.add_argument("--python", metavar="PATH", type=Path, help="the Python that has PyFlink")
    job.add_argument("--jar", metavar="PATH", type=Path, help="the connector")
    for one in (parser, job):
        one.epilog = EXAMPLE
        one.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run until stopped by Ctrl-C or SIGTERM, which is how it is meant to end."""
    os.umask(0o077)
    return run_or_tell("analytics", lambda: _run(args), InvalidSettings, Misconfigured)


def _run(args: argparse.Namespace) -> int:
    needed = tools(args.python, args.jar)
    where = access(None if args.stack else LOCAL_ENDPOINT)
    wanted = Wanted(args.window, args.begin, args.generation, args.rules, args.parallelism, args.checkpoints, args.heap)
    with state_folder(args.state) as folder:
        found = prepared(needed, where, stack_of(where, args.stack), wanted, folder)
        _say(found.told)
        try:
            with found.job as job:
                _say(found.runs)
                _say("running; Ctrl-C stops it")
                while True:
                    job.check(1.0)
        except KeyboardInterrupt:
            _say("stopped")
    return 0


def _say(line: str) -> None:
    print(line, flush=True)
