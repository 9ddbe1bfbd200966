"""`tidemill reindex`: brings the index of contents up to date with the table.

Room: command line. Finds the stack, shows how far it is, and reports; comparing and listing are the application's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from botocore.config import Config

from tidemill import Misconfigured
from tidemill_cli.errors import CommandError, run_or_tell
from tidemill_cli.result_file import check_writable, json_text, write_private
from tidemill_cli.stack import LOCAL_ENDPOINT, STACK, access, outputs_or_remedy
from tidemill_cli.terminal_text import progress
from tidemill_consumers.adapters.calls import at_once
from tidemill_consumers.adapters.entities import Unloadable
from tidemill_media.adapters.documents import Documents
from tidemill_media.adapters.index_files import IndexFiles
from tidemill_media.adapters.mending import LostFile
from tidemill_media.adapters.old_thumbnails import OldThumbnails
from tidemill_media.index import CALLS_AT_ONCE, Contended, Indexing
from tidemill_media.rebuilding import rebuild

AGAIN = ". What was listed anew is right: run it again for the rest"
"""Appended to an error of AWS."""

EXAMPLE = """\
examples:
  tidemill reindex                 the local platform's
  tidemill reindex --stack shop    a stack's in your AWS account

The stack's function keeps the index by itself. This is for what it cannot mend: changes that waited for more than a
day, and files of the index that were lost or damaged. It reads the whole table, and may run beside the function.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--stack", metavar="NAME", help=f"the stack (default: {STACK} on the local platform)")
    parser.add_argument("--json", metavar="PATH", type=Path, help="also write the result to PATH")
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when the index is up to date, 1 with a message on stderr when not."""
    return run_or_tell("reindex", lambda: _run(args), Misconfigured, Unloadable, Contended, LostFile, after_aws=AGAIN)


def _run(args: argparse.Namespace) -> int:
    if args.json:
        check_writable(args.json)
    where = access(None if args.stack else LOCAL_ENDPOINT)
    outputs = outputs_or_remedy(where, args.stack, "it by --stack")
    if "IndexFunctionName" not in outputs:
        raise CommandError(f"the stack {args.stack or STACK!r} keeps no index: it has not the parameter Photos=on")
    config = Config(retries={"mode": "standard"}, max_pool_connections=CALLS_AT_ONCE)
    s3, bucket = where.client("s3", config), outputs["ContentBucketName"]
    documents = Documents(where.client("dynamodb", config), outputs["TableName"])
    calls = at_once(CALLS_AT_ONCE, "reindex")
    with progress("…", otherwise=lambda _: None) as tell:
        done = rebuild(Indexing(IndexFiles(s3, bucket), documents, OldThumbnails(s3, bucket, calls), calls), tell)
    print(f"{done.contents:,} contents in {done.indexes:,} indexes; {done.relisted:,} were listed anew")
    if done.damaged:
        print(f"{done.damaged:,} files of the index were lost or damaged, and are made anew")
    if args.json:
        write_private(args.json, json_text(done._asdict()))
    return 0
