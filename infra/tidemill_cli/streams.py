"""The stream that a command's --stack or --stream names.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_scale.py.
"""

from __future__ import annotations

import argparse

from tidemill.contract.signature import stream_name
from tidemill_cli.errors import CommandError
from tidemill_cli.stack import LOCAL_ENDPOINT, STACK, Access, access, outputs_or_remedy


def add_stream(parser: argparse.ArgumentParser, more: str = "") -> None:
    """The arguments that name the stream: --stack, or --stream, whose help ends with `more`."""
    parser.add_argument("--stack", metavar="NAME", help=f"the stack (default: {STACK} on the local platform)")
    parser.add_argument("--stream", metavar="NAME", help=f"the stream (default: the stack's){more}")


def stream_of(args: argparse.Namespace) -> tuple[Access, str]:
    """Access to AWS, and the stream's name; by default that of the local platform's stack.

    Raises:
        CommandError: there is no such stack, or it has no stream.
        Misconfigured: nothing says where AWS is, or who asks.
    """
    where = access(None if args.stack or args.stream else LOCAL_ENDPOINT, args.stream or "")
    if args.stream:
        return where, stream_name(args.stream)
    found = outputs_or_remedy(where, args.stack, "--stream")
    if "StreamName" not in found:
        raise CommandError(f"the stack {args.stack or STACK!r} has no output StreamName; name --stream")
    return where, found["StreamName"]
