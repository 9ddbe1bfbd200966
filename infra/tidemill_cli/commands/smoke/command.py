"""`tidemill smoke`: tries each part of a deployed stack once, and says which do what they are for.

Room: command line. Shows and counts; the steps are the modules beside it.
Tests: tests/e2e/test_smoke.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tidemill import Misconfigured
from tidemill_cli.errors import FAILED, run_or_tell
from tidemill_cli.result_file import check_writable, json_text, write_result
from tidemill_cli.stack import STACK
from tidemill_cli.terminal_text import printable, progress
from tidemill_cli.units import above_zero

PATIENCE = 120.0
"""Seconds: AWS may take a minute or two until a mapping that is new reads its stream."""

EXAMPLE = """\
examples:
  tidemill smoke --stack shop                the stack in your AWS account, once after its first deployment
  tidemill smoke --stack shop --json out.json
  tidemill smoke                             the local platform's stack

It sends a few requests that change no document, under keys that begin with smoke/, makes a user, and removes
what it made. docs/how-to/running-on-aws.md says what each step proves, and which permissions it needs.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--stack", metavar="NAME", help=f"the stack (default: {STACK} on the local platform)")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=lambda text: above_zero(text, "is no number of seconds above 0"),
        default=PATIENCE,
        help="that a reply may take beyond the batching window, or a file of the archive beyond its interval "
        f"(default: {PATIENCE:.0f})",
    )
    parser.add_argument("--json", metavar="PATH", type=Path, help="also write the result to PATH")
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when no step failed."""
    return run_or_tell("smoke", lambda: _run(args), Misconfigured)


def _run(args: argparse.Namespace) -> int:
    from tidemill_cli.commands.smoke.result import as_json, has_passed  # here: `--help` needs no AWS
    from tidemill_cli.commands.smoke.steps import outcomes
    from tidemill_cli.commands.smoke.subject import under_test

    if args.json:
        check_writable(args.json)
    stack = under_test(args.stack, args.timeout)
    print(f"the stack {stack.name} in {stack.access.region}; keys and ids begin with {stack.run}", flush=True)
    seen = []
    with progress("…", otherwise=lambda _: None) as tell:
        for outcome in outcomes(stack, tell):
            seen.append(outcome)
            print(printable(outcome.line), flush=True)
    if args.json:
        write_result(args.json, json_text(as_json(stack.name, stack.access.region, stack.run, seen)))
    failed = [one.step for one in seen if one.verdict == "fail"]
    print(f"failed: {', '.join(failed)}" if failed else "all of it works")
    return 0 if has_passed(seen) else FAILED
