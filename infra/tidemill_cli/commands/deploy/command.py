"""`tidemill deploy`: makes or changes the stack on AWS, once its changes were looked at.

Room: command line. Shows, asks and tells; packaging and CloudFormation are tidemill_deploy's.
Tests: tests/e2e/test_deploy.py.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tidemill import Misconfigured
from tidemill_cli.arguments.parameters import SECRET
from tidemill_cli.arguments.yes import ask
from tidemill_cli.commands.deploy.analytics import Stage
from tidemill_cli.commands.deploy.parameters import Parameters, add_parameters
from tidemill_cli.commands.deploy.shown import after_plan, estimate, show_plan, snippets
from tidemill_cli.commands.package.command import add_connector
from tidemill_cli.errors import CommandError, run_or_tell
from tidemill_cli.result_file import check_writable, json_text, write_result
from tidemill_cli.stack import STACK, access
from tidemill_cli.terminal_text import console, printable
from tidemill_cli.units import rate
from tidemill_deploy.capacity.steps import CannotScale
from tidemill_deploy.packaging.errors import PackagingError
from tidemill_deploy.stack.changes import losses
from tidemill_deploy.stack.code_bucket import CodeBucket
from tidemill_deploy.stack.kept import NotKept
from tidemill_deploy.stack.rollout import SHARDS, Rollout
from tidemill_deploy.stack.stack import ChangeSet, Stack, StackError, State
from tidemill_deploy.stage.application import StageError
from tidemill_deploy.template import TemplateError, load, template_path

EXAMPLE = """\
examples:
  tidemill deploy --rules shop --plan                      shows what would be changed, and changes nothing
  tidemill deploy --rules shop --stack shop --rate 200/s
  tidemill deploy --stack shop --parameter ShardCount=8    with the stack's rules, whose module is here

The functions' packages are made, and uploaded to a bucket of your account that is made when it is needed. Then the
changes are shown; nothing is changed before you agree.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--stack", metavar="NAME", default=STACK, help=f"the stack (default: {STACK})")
    add_parameters(parser)
    parser.add_argument("--rate", type=rate, default=100.0, help="requests a second, for the estimate (default: 100)")
    parser.add_argument(
        "--new-generation", action="store_true", help="have the analytics stage count anew what the stream still has"
    )
    add_connector(parser)
    parser.add_argument("--replace", action="store_true", help="agree to lose what is in a stream, a table or a pool")
    parser.add_argument("--plan", action="store_true", help="show the changes, and make none of them")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--template", metavar="FILE", type=Path, help="a template in place of Tidemill's own")
    parser.add_argument("--json", metavar="PATH", type=Path, help="also write the changes and the outputs to PATH")
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when the stack is as it should be, or the plan was shown."""
    expected = (CannotScale, Misconfigured, NotKept, PackagingError, StackError, StageError, TemplateError)
    return run_or_tell("deploy", lambda: _run(args), *expected)


def _run(args: argparse.Namespace) -> int:
    if args.json:
        check_writable(args.json)
    where, path = access(None), args.template or template_path()
    body, template = path.read_bytes(), load(path)
    stack = Stack(where.client("cloudformation"), args.stack)
    parameters = Parameters(args, template, stack.state())
    stage = Stage(parameters, lambda: where.client("kinesisanalyticsv2"), anew=args.new_generation)
    account = where.client("sts").get_caller_identity()["Account"]
    bucket = CodeBucket(where.client("s3"), account, where.region)
    _say(f"the stack {args.stack} in {where.region}, account {account}")
    with tempfile.TemporaryDirectory(prefix="tidemill-deploy-") as folder:
        packages = parameters.packages(Path(folder), _say) + stage.packages(Path(folder), args.connector)
        bucket.make()
        given = parameters.values() | stage.values() | {"CodeBucket": bucket.name}
        for one in packages:
            _say(f"  {one.function:<9} {one.zipped:,} bytes, sha256 {one.sha256[:12]}…")
            given |= {f"{one.function}CodeKey": bucket.upload(one.path.read_bytes(), ".zip")}
    rollout = Rollout(stack, bucket, body, template, given)
    _clear(args, stack)
    change_set = rollout.prepare()
    if change_set is None:
        _say("nothing is to be changed")
        return _ended(args, where.region, (), _begun(stage, stack.state(), given, args.plan))
    try:
        _show(change_set, given)
        _say(estimate(args.rate, parameters.all() | given))
        between = () if args.plan else _agreed_steps(args, rollout, change_set)
    except BaseException:
        stack.discard(change_set)
        raise
    if args.plan:
        stack.discard(change_set)
        _say(after_plan(change_set.changes))
        _write(args, change_set.changes, {})
        return 0
    if between:
        change_set = _in_steps(rollout, stack, change_set, between)
    state = _begun(stage, rollout.execute(change_set, _say), given, args.plan)
    return _ended(args, where.region, change_set.changes, state)


def _begun(stage: Stage, state: State | None, given: Mapping[str, str], is_plan: bool) -> State | None:
    """The stack, whose stage runs."""
    if not is_plan:
        stage.begin(state, given, _say)
    return state


def _clear(args: argparse.Namespace, stack: Stack) -> None:
    """Delete what a failed creation has left, if somebody agrees to it: CloudFormation plans nothing before.

    Raises:
        CommandError: nobody does.
    """
    state = stack.state()
    if state and state.is_unmade:
        _say(f"the stack's earlier creation failed ({state.status}): what is left of it has to be deleted first")
        if args.plan:
            raise CommandError("nothing can be planned before; without --plan it asks, and deletes it")
        if not args.yes:
            ask("delete that? [y/N]", "delete it")
        stack.delete(_say)


def _in_steps(rollout: Rollout, stack: Stack, agreed: ChangeSet, between: Sequence[int]) -> ChangeSet:
    """Change the shards step by step but for the last; the change set for that and all else.

    Raises:
        StackError: a step failed, or somebody else has changed the stack meanwhile.
    """
    stack.discard(agreed)
    for shards in between:
        _say(f"to {shards:,} shards")
        rollout.with_parameter(SHARDS, str(shards), _say)
    again = rollout.prepare()
    if again is None or set(losses(again.changes)) - set(losses(agreed.changes)):
        raise StackError("the stack is not as it was when you agreed: look at the plan again")
    return again


def _show(change_set: ChangeSet, given: Mapping[str, str]) -> None:
    show_plan(console(), change_set.changes)
    if change_set.kind == "IMPORT":
        _say("and then makes what else the template has, with the parameters that the stack had")
        if not given.get(SECRET):
            _say(f"{SECRET} is not among them, for it is a secret: give it again if there was one")


def _agreed_steps(args: argparse.Namespace, rollout: Rollout, change_set: ChangeSet) -> tuple[int, ...]:
    """The numbers of shards on the way, once somebody has agreed."""
    between = rollout.steps()
    if between:
        shards = ", ".join(map(str, between))
        _say(f"the stream goes by way of {shards} shards: an update doubles or halves them at most, ten times a day")
    _agree(args, change_set)
    return between


def _agree(args: argparse.Namespace, change_set: ChangeSet) -> None:
    """Raises:
    CommandError: the changes lose something, or nobody agrees to them.
    """
    if (lost := losses(change_set.changes)) and not args.replace:
        named = "; ".join(f"{one.logical_id}: {one.loss}" for one in lost)
        raise CommandError(f"it would {lost[0].kind} {named}. Nothing was done; --replace agrees to that")
    if not args.yes:
        ask("make these changes? [y/N]", "make the changes")


def _ended(args: argparse.Namespace, region: str, changes: Any, state: State | None) -> int:
    outputs = state.outputs if state else {}
    for line in snippets(args.stack, region, outputs):
        _say(line)
    _write(args, changes, outputs)
    return 0


def _write(args: argparse.Namespace, changes: Any, outputs: Mapping[str, str]) -> None:
    if args.json:
        told = [
            {"kind": one.kind, "resource": one.logical_id, "type": one.type, "properties": list(one.properties)}
            for one in changes
        ]
        write_result(args.json, json_text({"stack": args.stack, "changes": told, "outputs": dict(outputs)}))


def _say(line: str) -> None:
    print(printable(line), flush=True)
