"""`tidemill query`: the analysts' queries over the archive.

Room: command line. Finds the archive, asks it, and shows the answer; the SQL's own limits are the archive's.
"""

from __future__ import annotations

import argparse
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tidemill import Misconfigured
from tidemill_analytics.archive import Archive, ArchiveError, queries
from tidemill_cli.errors import CommandError, run_or_tell
from tidemill_cli.records import as_json
from tidemill_cli.result_file import write_private
from tidemill_cli.stack import LOCAL_ENDPOINT, STACK, Access, NoStack, access, outputs
from tidemill_cli.terminal_text import console, printable

if TYPE_CHECKING:
    import pandas as pd

OUTPUT = "ArchiveBucketName"
_NUMBERS = (int, Decimal)
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="the query to run; none lists them")
    parser.add_argument("--sql", help="run this SELECT instead")
    parser.add_argument(
        "--archive",
        metavar="PLACE",
        help="s3://bucket/prefix or a folder (default: $TIDEMILL_ARCHIVE, else the running platform's)",
    )
    parser.add_argument("--format", choices=("table", "csv", "json"), default="table", help="how to print the result")
    parser.add_argument("--json", metavar="PATH", type=Path, help="also write the result's records to PATH")
    parser.add_argument("--limit", metavar="N", type=_count, help=f"rows at most (a table: {ROWS_SHOWN})")
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when it could answer, 1 with a message on stderr when it could not."""
    return run_or_tell("query", lambda: _run(args), ArchiveError, Misconfigured)


def _run(args: argparse.Namespace) -> int:
    if args.name and args.sql:
        raise CommandError("give a query's name or --sql, not both")
    if not args.name and not args.sql:
        _show_queries()
    else:
        _show(_ask(args), args)
    return 0


def _ask(args: argparse.Namespace) -> pd.DataFrame:
    archive = _open(args.archive or os.environ.get("TIDEMILL_ARCHIVE"))
    return archive.sql(args.sql) if args.sql else archive.query(args.name)


def _open(place: str | None) -> Archive:
    """The archive at `place`, or that of the running platform."""
    if place is None:
        where = access(default_endpoint=LOCAL_ENDPOINT)
        place = _running_archive(where)
    elif place.startswith("s3://"):
        where = access(default_endpoint=None)
    else:
        return Archive(place)
    return Archive(place, where.endpoint("s3"), where.access_key, where.secret_key, where.session_token, where.region)


def _running_archive(where: Access) -> str:
    """The archive bucket of the stack that runs at the endpoint."""
    try:
        found = outputs(where)
    except NoStack as error:
        raise CommandError(
            f"{error}. Start the local platform with `tidemill up`, or name an archive: "
            "--archive s3://bucket or a folder"
        ) from None
    if OUTPUT not in found:
        raise CommandError(f"the stack {STACK!r} has no output {OUTPUT}; name the archive with --archive")
    return f"s3://{found[OUTPUT]}"


def _show_queries() -> None:
    table = Table("query", "shows", box=None, header_style="bold")
    for name, description in queries().items():
        table.add_row(name, description)
    out = console()
    out.print(table)
    out.print("\nRun one: tidemill query NAME. Your own: tidemill query --sql 'SELECT … FROM requests'.")
    out.print("Its columns: tidemill query --sql 'DESCRIBE requests'; at is a word of SQL, to be written as \"at\".")


def _show(result: pd.DataFrame, args: argparse.Namespace) -> None:
    limited = result if args.limit is None else result.head(args.limit)
    if args.json is not None:
        _write_json(limited, args.json)
    if args.format != "table":
        text = limited.to_csv(index=False) if args.format == "csv" else as_json(limited)
        sys.stdout.write(printable(text) if sys.stdout.isatty() else text)
        return
    shown = limited if args.limit is not None else limited.head(ROWS_SHOWN)
    out = console()
    out.print(_table(shown))
    if len(shown) < len(result):
        out.print(f"{len(shown):,} of {len(result):,} rows; more with --limit, all with --format csv or json")


def _write_json(result: pd.DataFrame, path: Path) -> None:
    write_private(path, as_json(result))


def _table(rows: pd.DataFrame) -> Table:
    table = Table(header_style="bold")
    for name, column in rows.items():
        numbers = column.dtype.kind in "iuf" or column.map(type).isin(_NUMBERS).any()
        table.add_column(Text(printable(str(name))), justify="right" if numbers else "left")
    missing = rows.isna()
    for index, values in enumerate(rows.itertuples(index=False, name=None)):
        cells = zip(values, missing.iloc[index], strict=True)
        table.add_row(*(Text("" if absent else printable(str(value))) for value, absent in cells))
    return table


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count
