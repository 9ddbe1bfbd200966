"""`tidemill destroy`: takes a stack down without losing a request.

Room: command line. Asks and tells; closing, draining and deleting are tidemill_deploy's.
Tests: tests/e2e/test_destroy.py.
"""

from __future__ import annotations

import argparse
import time

from tidemill import Misconfigured
from tidemill.aws.loopback import is_loopback
from tidemill_cli.arguments.yes import ask
from tidemill_cli.errors import CommandError, run_or_tell
from tidemill_cli.stack import STACK, Access, access
from tidemill_cli.terminal_text import printable
from tidemill_cli.units import positive
from tidemill_deploy.stack.code_bucket import CodeBucket
from tidemill_deploy.stack.draining import NotDrained
from tidemill_deploy.stack.kept import NotKept
from tidemill_deploy.stack.stack import Stack, StackError
from tidemill_deploy.stack.takedown import Takedown
from tidemill_deploy.stage.application import Application, StageError
from tidemill_deploy.stage.life import unfinished
from tidemill_deploy.template import TemplateError, loads

EXPECTED = (Misconfigured, NotDrained, NotKept, StackError, StageError, TemplateError)

EXAMPLE = """\
examples:
  tidemill destroy --stack shop                  keeps the stream, tables, buckets and pools
  tidemill destroy --stack shop --delete-data    deletes those too

First the stream refuses everybody but the functions. Once all that was accepted is applied and archived, the stack is
deleted. What is kept costs what it holds; `tidemill deploy` under the same name takes it over again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--stack", metavar="NAME", default=STACK, help=f"the stack (default: {STACK})")
    parser.add_argument("--delete-data", action="store_true", help="also delete the stream, tables, buckets and pools")
    parser.add_argument("--minutes", metavar="N", type=positive, default=60, help="how long to wait for the requests")
    parser.add_argument(
        "--without-draining",
        action="store_true",
        help="do not wait: what is not applied stays on the stream for the next stack, if the stream is kept",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when the stack is gone."""
    return run_or_tell("destroy", lambda: _run(args), *EXPECTED)


def _run(args: argparse.Namespace) -> int:
    where = access(None)
    stack = Stack(where.client("cloudformation"), args.stack)
    bucket = _bucket(where)
    state = stack.state()
    if state is None and not (args.delete_data and bucket.read_record(args.stack)):
        raise CommandError(f"there is no stack {args.stack} in {where.region}")
    template = loads(stack.template()) if state and not state.is_new else {}
    if not args.yes:
        _ask(args)
    takedown = Takedown(stack, bucket, template, where, _say)
    if state and not state.is_new:
        stack.check_idle(state)
        if not args.without_draining and "StreamName" in state.outputs:
            _drain(takedown, where, args)
    left = takedown.delete(with_data=args.delete_data)
    for one in left:
        _say(f"kept: {one.logical_id:<20} {', '.join(one.identifier.values())}")
    _say(f"the stack {args.stack} is gone")
    return 0


def _drain(takedown: Takedown, where: Access, args: argparse.Namespace) -> None:
    stage = _stage(takedown.stack, where)
    try:  # the local platform's policies hold at once
        takedown.close(**({"settling": 0.0} if is_loopback(where.endpoint("iam")) else {}))
    except NotDrained as error:
        raise CommandError(
            f"{error}. Nothing was done. Run it again when that is mended, or with --without-draining: what is not "
            "applied stays on the stream then, if it is kept"
        ) from None
    try:
        takedown.drain(args.minutes * 60)
        if stage:
            stage.stop(_say)
        takedown.drain_totals(args.minutes * 60)
    except (NotDrained, StageError) as error:
        raise CommandError(
            f"{error}. The stack stands, its ways in are closed: look at its alarms and at the functions' log, and run "
            f"it again, or open it again: tidemill deploy --stack {args.stack}"
        ) from None


def _stage(stack: Stack, where: Access) -> Application | None:
    """The analytics stage, which has counted all that was left to it; None if the stack has none.

    Raises:
        CommandError: it may not have counted all.
        StageError: it is being changed.
    """
    state = stack.state()
    if state is None or "StageName" not in state.outputs:
        return None
    stage = Application(where.client("kinesisanalyticsv2"), state.outputs["StageName"])
    if left := unfinished(stage.found(), state.parameters["AnalyticsPeriods"], time.time()):
        raise CommandError(
            f"the analytics stage may not have counted all that was left to it: {left}. Nothing was done. With "
            "--without-draining it goes with the stack, and what it has not counted is lost"
        )
    return stage


def _bucket(where: Access) -> CodeBucket:
    account = where.client("sts").get_caller_identity()["Account"]
    return CodeBucket(where.client("s3"), account, where.region)


def _ask(args: argparse.Namespace) -> None:
    what = "and all its data, for good" if args.delete_data else "and keep its data"
    ask(f"take {printable(args.stack)} down {what}? Type its name:", "take it down", word=args.stack)


def _say(line: str) -> None:
    print(printable(line), flush=True)
