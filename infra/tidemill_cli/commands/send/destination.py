"""The stream that `tidemill send` sends to, its producer, and the output of its results.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_send.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote
from typing import Any

from rich.console import Console
from rich.text import Text

from tidemill import Producer
from tidemill.aws.loopback import is_loopback
from tidemill.content.bucket import settings_of_s3
from tidemill_cli.producers import kinesis_of_producer
from tidemill_cli.result_file import json_text, write_private
from tidemill_cli.stack import LOCAL_ENDPOINT, STACK, Access, access, outputs_or_remedy
from tidemill_cli.terminal_text import console, printable

WAIT = "Compare AWS_ENDPOINT_URL and the network, or wait longer with --timeout"


@dataclass(frozen=True, slots=True)
class Destination:
    """A stream, and where the result goes.

    Attributes:
        args: the command's.
        access: to AWS.
        outputs: the stack's; none where --stream names the stream.
        stream: its name.
        out: the terminal.
    """

    args: argparse.Namespace
    access: Access
    outputs: Mapping[str, str]
    stream: str
    out: Console

    @property
    def shown_by(self) -> str:
        """The command that shows the state of the stack's mappings."""
        is_local = is_loopback(self.access.endpoint("lambda"))
        return "tidemill up" if is_local else f"tidemill watch --stack {quote(self.args.stack or STACK)}"

    @property
    def bucket(self) -> str | None:
        """The content bucket's name, if anything says it: an older stack has none."""
        named: str | None = self.args.bucket
        return named or self.outputs.get("ContentBucketName")

    def producer(self, uploads: bool, **settings: Any) -> Producer:
        """A producer on the stream.

        Args:
            uploads: whether it uploads large data to the bucket.
            settings: further ones of its.
        """
        if uploads:
            settings |= {"bucket": self.bucket, "s3": self.access.client("s3", settings_of_s3())}
        kinesis = kinesis_of_producer(self.access)
        return Producer(self.stream, kinesis=kinesis, aggregate=not self.args.plain, **settings)

    def say(self, text: str) -> None:
        """Print a line."""
        self.out.print(Text(printable(text)), soft_wrap=True)

    def write(self, result: dict[str, Any]) -> None:
        """Write the result, if --json asks for it."""
        if self.args.json:
            write_private(self.args.json, json_text(result))


def destination(args: argparse.Namespace) -> Destination:
    """The stream that the arguments name, or that of a stack.

    Raises:
        NoStack: there is none.
        Misconfigured: nothing says where AWS is, or who asks.
    """
    where = access(None if args.stack or args.stream else LOCAL_ENDPOINT, args.stream or "")
    outputs = {} if args.stream else dict(outputs_or_remedy(where, args.stack, "--stream"))
    return Destination(args, where, outputs, args.stream or outputs["StreamName"], console())
