"""`tidemill query`: the analysts' queries over the archive.

Room: command line. Finds the archive, asks it, and shows the answer; the SQL's own limits are the archive's.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidemill_analytics.archive import Archive, ArchiveError, queries

if TYPE_CHECKING:
    import pandas as pd

STACK = "tidemill"
OUTPUT = "ArchiveBucketName"
LOCAL_ENDPOINT = "http://127.0.0.1:4566"
LOCAL_KEY = "test"
ROWS_SHOWN = 50
"""Rows of a table unless --limit says otherwise; CSV and JSON are whole."""

EXAMPLE = """\
examples:
  tidemill query                      list the queries
  tidemill query top-content          run one
  tidemill query --sql "SELECT cmd, count(*) FROM requests GROUP BY cmd" --format csv
  tidemill query clients --archive s3://my-bucket --json clients.json

tables: interactions (every archived line), requests (every request once)
"""

_WIDTH_WITHOUT_TERMINAL = 160


class QueryError(Exception):
    """The command cannot answer; says why and what to run."""


@dataclass(frozen=True, slots=True)
class _Access:
    """Where AWS is and who asks."""

    endpoint_url: str | None
    region: str
    access_key: str | None = LOCAL_KEY
    secret_key: str | None = LOCAL_KEY
    session_token: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="the query to run; none lists them")
    parser.add_argument("--sql", help="run this SELECT instead")
    parser.add_argument(
        "--archive",
        metavar="PLACE",
        help="s3://bucket/prefix or a folder (default: $TIDEMILL_ARCHIVE, else the running platform's)",
    )
    parser.add_argument("--format", choices=("table", "csv"), default="table", help="how to print the result")
    parser.add_argument("--json", metavar="PATH", type=Path, help="also write the result's records to PATH")
    parser.add_argument("--limit", metavar="N", type=_count, help=f"rows at most (a table: {ROWS_SHOWN})")
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when it could answer, 1 with a message on stderr when it could not."""
    try:
        if args.name and args.sql:
            raise QueryError("give a query's name or --sql, not both")
        if not args.name and not args.sql:
            _show_queries()
        else:
            _show(_ask(args), args)
    except (ArchiveError, QueryError) as error:
        Console(stderr=True, soft_wrap=True).print(Text(f"tidemill query: {_printable(str(error))}"))
        return 1
    return 0


def _ask(args: argparse.Namespace) -> pd.DataFrame:
    archive = _open(args.archive or os.environ.get("TIDEMILL_ARCHIVE"))
    return archive.sql(args.sql) if args.sql else archive.query(args.name)


def _open(place: str | None) -> Archive:
    """The archive at `place`, or that of the running platform."""
    if place is None:
        access = _access(default_endpoint=LOCAL_ENDPOINT)
        place = _running_archive(access)
    elif place.startswith("s3://"):
        access = _access(default_endpoint=None)
    else:
        return Archive(place)
    return Archive(
        place, access.endpoint_url, access.access_key, access.secret_key, access.session_token, access.region
    )


def _access(default_endpoint: str | None) -> _Access:
    """AWS_ENDPOINT_URL and the user's credentials; without either, the local platform and its test keys.

    The local platform at its default address gets its own keys: it does not know the user's.
    """
    endpoint_url = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or default_endpoint
    session = boto3.Session()
    region = session.region_name or "us-east-1"
    if endpoint_url == LOCAL_ENDPOINT and "AWS_ACCESS_KEY_ID" not in os.environ:
        return _Access(endpoint_url, region)
    credentials = session.get_credentials()
    if credentials is None:
        return _Access(endpoint_url or LOCAL_ENDPOINT, region)
    keys = credentials.get_frozen_credentials()
    return _Access(endpoint_url, region, keys.access_key, keys.secret_key, keys.token)


def _running_archive(access: _Access) -> str:
    """The archive bucket of the stack that runs at the endpoint."""
    cloudformation = boto3.client(
        "cloudformation",
        endpoint_url=os.environ.get("AWS_ENDPOINT_URL_CLOUDFORMATION") or access.endpoint_url,
        region_name=access.region,
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        aws_session_token=access.session_token,
        config=Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 2}),
    )
    try:
        stacks = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        raise QueryError(
            f"no stack {STACK!r} answers at {access.endpoint_url} ({error}). Start the local platform with "
            "`tidemill up`, or name an archive: --archive s3://bucket or a folder"
        ) from None
    finally:
        cloudformation.close()
    outputs = {output["OutputKey"]: output["OutputValue"] for stack in stacks for output in stack.get("Outputs", [])}
    if OUTPUT not in outputs:
        raise QueryError(f"the stack {STACK!r} has no output {OUTPUT}; name the archive with --archive")
    return f"s3://{outputs[OUTPUT]}"


def _show_queries() -> None:
    table = Table("query", "shows", box=None, header_style="bold")
    for name, description in queries().items():
        table.add_row(name, description)
    console = _console()
    console.print(table)
    console.print("\nRun one: tidemill query NAME. Your own: tidemill query --sql 'SELECT … FROM requests'.")


def _show(result: pd.DataFrame, args: argparse.Namespace) -> None:
    limited = result if args.limit is None else result.head(args.limit)
    if args.json is not None:
        _write_json(limited, args.json)
    if args.format == "csv":
        sys.stdout.write(limited.to_csv(index=False))
        return
    shown = limited if args.limit is not None else limited.head(ROWS_SHOWN)
    console = _console()
    console.print(_table(shown))
    if len(shown) < len(result):
        console.print(f"{len(shown):,} of {len(result):,} rows; more with --limit, all with --format csv")


def _write_json(result: pd.DataFrame, path: Path) -> None:
    try:
        path.write_text(result.to_json(orient="records", date_format="iso", indent=1) + "\n")
    except OSError as error:
        raise QueryError(f"{path} cannot be written: {error.strerror}") from None


def _table(rows: pd.DataFrame) -> Table:
    table = Table(header_style="bold")
    for name, column in rows.items():
        table.add_column(Text(_printable(str(name))), justify="right" if column.dtype.kind in "iuf" else "left")
    missing = rows.isna()
    for index, values in enumerate(rows.itertuples(index=False, name=None)):
        cells = zip(values, missing.iloc[index], strict=True)
        table.add_row(*(Text("" if absent else _printable(str(value))) for value, absent in cells))
    return table


def _printable(text: str) -> str:
    """What clients sent must not steer the terminal that shows it."""
    return "".join(
        character if character.isprintable() or character == "\n" else ascii(character)[1:-1] for character in text
    )


def _console() -> Console:
    """Rich honours NO_COLOR and writes no colour into a pipe; it cannot know a pipe's width."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_WITHOUT_TERMINAL)


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count
