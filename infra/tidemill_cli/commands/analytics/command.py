"""`tidemill analytics run`: the analytics stage on this machine, until stopped.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/analytics/test_beginning.py, and tests/analytics_sql/stream/platform.py, which
needs PyFlink.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tidemill import Misconfigured
from tidemill_cli.commands.analytics.beginning import Beginning, begin_of, beginning
from tidemill_cli.commands.analytics.folder import StateFolder
from tidemill_cli.commands.analytics.job import FLINK_GROUP, Job, options
from tidemill_cli.commands.analytics.stack import Stack, commands_of, rules_of, stack_of, stages_of
from tidemill_cli.commands.analytics.tools import tools
from tidemill_cli.errors import CommandError, run_or_tell
from tidemill_cli.stack import LOCAL_ENDPOINT, STACK, Access, access
from tidemill_cli.units import positive
from tidemill_stream import GROUP, InvalidSettings, Settings
from tidemill_stream.retention import OUTAGE_SECONDS
from tidemill_stream.settings import periods_in

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
    with _folder(args.state) as folder:
        begins = _beginning(args, where, folder)
        settings = Settings.read(begins.properties)
        folder.keep(begins.properties)
        if begins.checkpoint is None:
            folder.forget_checkpoints()
        flink = options(needed, folder, begins.checkpoint, args.parallelism, args.checkpoints)
        job = Job(needed, folder, {GROUP: settings.properties, FLINK_GROUP: flink}, _environment(where), args.heap)
        _say(f"{_told(begins)}; it starts, which takes some 20 seconds")
        try:
            with job:
                _say(f"it runs: {', '.join(settings.stages)}; windows of {settings.window} s; log {folder.log}")
                _say("running; Ctrl-C stops it")
                while True:
                    job.check(1.0)
        except KeyboardInterrupt:
            _say("stopped")
    return 0


def _beginning(args: argparse.Namespace, where: Access, folder: StateFolder) -> Beginning:
    stack = stack_of(where, args.stack)
    wanted = _properties(args, stack, where.endpoint("kinesis"))
    now = time.time()
    new = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}-{secrets.token_hex(3)}"
    return beginning(wanted, folder.kept(now), args.generation, new, OUTAGE_SECONDS)


def _properties(args: argparse.Namespace, stack: Stack, endpoint: str | None) -> dict[str, str]:
    rules = rules_of(args.rules or stack.rules)
    commands = commands_of(rules)
    if not commands:
        raise CommandError(f"{args.rules or stack.rules}: no rule is in Aggregatable, so there is nothing to add up")
    begin = begin_of(periods_in(stack.periods), args.window) if args.begin is None else args.begin
    return {
        "begin": str(begin),
        "commands": json.dumps(commands),
        "periods": stack.periods,
        "horizon.seconds": stack.horizon,
        "window.seconds": str(args.window),
        "stages": ",".join(stages_of(rules)),
        "stream.arn": stack.streams[0],
        "stream.created": stack.created,
        "aggregated.arn": stack.streams[1],
        **({"aws.endpoint": endpoint} if endpoint else {}),
    }


def _environment(where: Access) -> dict[str, str]:
    """The variables by which AWS's SDK for Java has the same access."""
    given = {
        "AWS_REGION": where.region,
        "AWS_ACCESS_KEY_ID": where.access_key,
        "AWS_SECRET_ACCESS_KEY": where.secret_key,
        "AWS_SESSION_TOKEN": where.session_token,
    }
    return {name: value for name, value in given.items() if value}


@contextmanager
def _folder(path: Path | None) -> Iterator[StateFolder]:
    with ExitStack() as opened:
        if path is None:
            made = TemporaryDirectory(prefix="tidemill-analytics-", ignore_cleanup_errors=True)
            path = Path(opened.enter_context(made))
        folder = StateFolder(path)
        opened.callback(folder.close)
        yield folder


def _told(begins: Beginning) -> str:
    generation = begins.properties["generation"]
    if begins.checkpoint:
        return f"generation {generation} goes on from {Path(begins.checkpoint).name}"
    anew = f"generation {generation} counts from {begins.properties['begin']} on"
    return f"{begins.why}: {anew}" if begins.why else anew


def _say(line: str) -> None:
    print(line, flush=True)
