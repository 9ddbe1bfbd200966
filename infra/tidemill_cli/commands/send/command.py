"""`tidemill send`: one request and its reply, or a file of them.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_send.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tidemill import GivenUp, Misconfigured, NotUploaded, UnsendableRequest
from tidemill_cli.errors import CommandError, run_or_tell
from tidemill_cli.result_file import check_writable
from tidemill_cli.streams import add_stream
from tidemill_cli.units import above_zero

TIMEOUT = 60.0
"""Seconds that the reply may take."""

COMPARE = "; compare AWS_ENDPOINT_URL and the credentials, or start `tidemill up`"
COMPARE_NAMED = "; compare the name, AWS_REGION and the credentials"
"""Appended to an error of AWS, of the local platform or of what --stack or --stream names."""

EXAMPLE = """\
examples:
  tidemill send content.view content/42                      one request; waits for its reply
  tidemill send content.like content/42 '{"stars": 5}' --client alice
  tidemill send report.file report/42 --data-file rows.json  data of up to 5 MiB; above 64 KiB it is uploaded
  tidemill send --file requests.ndjson                       a file: {"cmd": …, "key": …, "data": {…}} a line
  zcat old.ndjson.gz | tidemill send --file -                standard input

Lines may carry id, client, at, and w with n (a replay: sent as they are). The local platform is asked unless
AWS_ENDPOINT_URL, --stack, or --stream say otherwise.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("cmd", metavar="CMD", nargs="?", help="the command, such as content.view")
    parser.add_argument("key", metavar="KEY", nargs="?", help="the ordering key, which names the entity")
    parser.add_argument("data", metavar="JSON", nargs="?", help="the command's data, a JSON object")
    parser.add_argument("--data-file", metavar="FILE", help="read the command's data from FILE; - is standard input")
    parser.add_argument("--file", metavar="PATH", help="send the requests of an NDJSON file; - is standard input")
    parser.add_argument("--client", metavar="NAME", help="who sends (default: one of its own, or the line's)")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=TIMEOUT,
        help="of waiting: for the reply, or with --file for any progress",
    )
    parser.add_argument("--no-reply", action="store_true", help="only wait until it is on the stream")
    parser.add_argument("--plain", action="store_true", help="one request a record, for readers that cannot unpack")
    add_stream(parser, "; no reply is heard then")
    parser.add_argument("--bucket", metavar="NAME", help="the content bucket, for large data (default: the stack's)")
    parser.add_argument("--json", metavar="PATH", type=Path, help="also write the result to PATH")
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when all is on the stream, and accepted where a reply is waited for."""
    compare = COMPARE_NAMED if args.stack or args.stream else COMPARE
    expected = Misconfigured, UnsendableRequest, NotUploaded, GivenUp
    return run_or_tell("send", lambda: _run(args), *expected, after_aws=compare)


def _run(args: argparse.Namespace) -> int:
    from tidemill_cli.commands.send.destination import destination  # here: `--help` needs neither AWS nor rich
    from tidemill_cli.commands.send.lines import send_file
    from tidemill_cli.commands.send.one import send_one

    _check(args)
    to = destination(args)
    return send_file(to) if args.file else send_one(to)


def _check(args: argparse.Namespace) -> None:
    if bool(args.file) == bool(args.cmd):
        raise CommandError("give CMD KEY [JSON], CMD KEY --data-file FILE, or --file PATH; see tidemill send --help")
    if args.cmd and not args.key:
        raise CommandError(f"give the ordering key, which names the entity: tidemill send {args.cmd} KEY")
    if args.data_file is not None and (args.file or args.data is not None):
        raise CommandError("give the data once: as JSON behind KEY, by --data-file, or in the lines of --file")
    if args.bucket == "":
        raise CommandError("--bucket is empty; name the content bucket, or leave it out")
    if args.json:
        check_writable(args.json)


def _seconds(text: str) -> float:
    return above_zero(text, "is no number of seconds above 0")
