"""`tidemill near`: the contents near a place, the nearest first.

Room: command line. Finds the stack and shows; what is near, the SDK's reader says.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tidemill import GeohashUnavailable, Misconfigured, Near, Reader
from tidemill_cli.errors import CommandError, run_or_tell
from tidemill_cli.result_file import check_writable, json_text, write_private
from tidemill_cli.stack import LOCAL_ENDPOINT, STACK, access, content_bucket, outputs_or_remedy
from tidemill_cli.terminal_text import printable
from tidemill_cli.units import above_zero
from tidemill_media.adapters.documents import Documents

SHOWN = 50
"""Contents that are printed."""

EXAMPLE = """\
examples:
  tidemill near 52.52 13.405                          within 5 km, of the local platform
  tidemill near -33.86 151.21 --within 0.5            in the south: no comma behind the latitude
  tidemill near 52.52 13.405 --stack shop --json near.json

A content is found if its owner uploaded the photo with the metadata place=yes, some seconds after it is published.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("latitude", metavar="LATITUDE", type=_degrees, help="degrees, -90 to 90")
    parser.add_argument("longitude", metavar="LONGITUDE", type=_degrees, help="degrees, -180 to 180")
    parser.add_argument("--within", metavar="KM", type=_kilometres, default=5.0, help="kilometres (default: 5)")
    parser.add_argument("--stack", metavar="NAME", help=f"the stack (default: {STACK} on the local platform)")
    parser.add_argument(
        "--json", metavar="PATH", type=Path, help=f"also write all of them to PATH, not {SHOWN} at most"
    )
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when the table could be asked, 1 with a message on stderr when not."""
    return run_or_tell("near", lambda: _run(args), Misconfigured, GeohashUnavailable)


def _run(args: argparse.Namespace) -> int:
    if args.json:
        check_writable(args.json)
    where = access(None if args.stack else LOCAL_ENDPOINT)
    outputs = outputs_or_remedy(where, args.stack, "it by --stack")
    bucket = content_bucket(outputs, args.stack)
    dynamodb, table = where.client("dynamodb"), outputs["TableName"]
    reader = Reader(table, bucket, dynamodb=dynamodb, s3=where.client("s3"))
    try:
        found = reader.near(args.latitude, args.longitude, args.within)
    except ValueError as error:
        raise CommandError(str(error)) from None
    documents = Documents(dynamodb, table, ("title",)).read(one.key for one in (found if args.json else found[:SHOWN]))
    titles = {key: str(document.get("title", "")) for key, document in documents.items()}
    _show(found, titles, args)
    if args.json:
        write_private(args.json, json_text(_result(found, titles, args)))
    return 0


def _show(found: list[Near], titles: dict[str, str], args: argparse.Namespace) -> None:
    if not found:
        print(f"nothing within {args.within:g} km of {args.latitude:g}, {args.longitude:g}")
    for one in found[:SHOWN]:
        line = f"{one.kilometres:>10,.3f} km  {one.key}  {titles.get(one.key, '')}"
        print(printable(line.replace("\n", " ")).rstrip())
    if len(found) > SHOWN:
        print(f"and {len(found) - SHOWN:,} more, with --json")


def _result(found: list[Near], titles: dict[str, str], args: argparse.Namespace) -> dict[str, Any]:
    return {
        "latitude": args.latitude,
        "longitude": args.longitude,
        "kilometres": args.within,
        "found": [
            {"key": one.key, "kilometres": one.kilometres, "title": titles.get(one.key), **one.point._asdict()}
            for one in found
        ],
    }


def _degrees(text: str) -> float:
    """A number of degrees; a comma behind it, as maps write one, is passed over."""
    try:
        return float(text.removesuffix(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of degrees, such as 52.52") from None


def _kilometres(text: str) -> float:
    return above_zero(text, "is no number of kilometres above 0")
