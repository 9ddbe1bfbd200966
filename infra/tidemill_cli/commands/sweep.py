"""`tidemill sweep`: shows the objects that no document names any more, and deletes them.

Room: command line. Finds the stack, shows, asks and reports; finding and deleting are the consumers' operations.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tidemill import Misconfigured
from tidemill_cli.arguments.yes import ask
from tidemill_cli.errors import FAILED, complain, run_or_tell
from tidemill_cli.result_file import check_writable, json_text, write_private
from tidemill_cli.stack import LOCAL_ENDPOINT, STACK, Access, access, content_bucket, outputs_or_remedy
from tidemill_cli.terminal_text import progress
from tidemill_consumers.operations.sweep import DAY, Sweep, Version

NONE_NAMED = ". Nothing was deleted that a document names: run it again"
"""Appended to an error of AWS."""

SHOWN = 10
"""Objects that are printed."""

EXAMPLE = """\
examples:
  tidemill sweep                            what nothing names, of the local platform
  tidemill sweep --apply                    delete it
  tidemill sweep --stack shop --apply --yes    of a stack in your AWS account

The stack's function does the same once a week. Objects stay for as long as the stream keeps requests, and a day,
because requests that name them may be on their way.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--apply", action="store_true", help="delete the objects")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--stack", metavar="NAME", help=f"the stack (default: {STACK} on the local platform)")
    parser.add_argument("--json", metavar="PATH", type=Path, help="also write the result to PATH")
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when all that it said it would do is done, 1 with a message on stderr when not."""
    return run_or_tell("sweep", lambda: _run(args), Misconfigured, after_aws=NONE_NAMED)


def _run(args: argparse.Namespace) -> int:
    if args.json:
        check_writable(args.json)
    where = access(None if args.stack else LOCAL_ENDPOINT)
    found = outputs_or_remedy(where, args.stack, "it by --stack")
    bucket, retention = content_bucket(found, args.stack), _retention(where, found["StreamName"])
    sweep = Sweep(where.client("s3"), bucket, where.client("dynamodb"), found["TableName"], retention)
    with progress("…", otherwise=lambda _: None) as tell:
        old = sweep.find(tell=tell)
    versions = list(sweep.unnamed(old))
    days = (retention + DAY) / DAY
    print(f"{len(old):,} objects in {bucket} are older than {days:g} days; of these no document names {old.unnamed:,}")
    for one in versions[:SHOWN]:
        print(f"  {one.name}  {one.size:,} bytes")
    if len(versions) > SHOWN:
        print(f"  and {len(versions) - SHOWN:,} more")
    gone = _delete(sweep, versions, args) if args.apply and versions else []
    if args.json:
        write_private(args.json, json_text(_result(bucket, len(old), old.unnamed, versions, gone)))
    return _report(versions, gone) if args.apply else 0


def _retention(where: Access, stream: str) -> float:
    """Seconds that a stream keeps a record."""
    described = where.client("kinesis").describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    return float(described["RetentionPeriodHours"]) * 3600


def _delete(sweep: Sweep, versions: list[Version], args: argparse.Namespace) -> list[Version]:
    if not args.yes:
        ask(f"delete {len(versions):,}, for good? [y/N]", "delete them", "nothing was deleted")
    gone: list[Version] = []
    with progress("…", otherwise=lambda _: None) as tell:
        for some in sweep.delete(versions):
            gone += some
            tell(f"{len(gone):,} of {len(versions):,} deleted")
    return gone


def _report(versions: list[Version], gone: list[Version]) -> int:
    print(f"{len(gone):,} deleted, {sum(one.size for one in gone):,} bytes")
    if len(gone) < len(versions):
        complain("sweep", f"{len(versions) - len(gone):,} could not be deleted; run it again")
        return FAILED
    return 0


def _result(bucket: str, old: int, unnamed: int, versions: list[Version], gone: list[Version]) -> dict[str, Any]:
    return {
        "bucket": bucket,
        "old": old,
        "unnamed": unnamed,
        "versions": [one._asdict() for one in versions],
        "deleted": len(gone),
    }
