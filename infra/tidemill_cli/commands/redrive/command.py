"""`tidemill redrive`: lists the quarantine, and puts its requests back on the stream.

Room: command line. Shows, asks, and reports; finding, putting back and moving are the shell's redrive.py.
Tests: tests/infra/tidemill_cli/commands/test_redrive.py.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from tidemill import Misconfigured
from tidemill.contract.request import RefusedRequest
from tidemill_cli.arguments.yes import ask
from tidemill_cli.commands.redrive.place import Place, place_of
from tidemill_cli.commands.redrive.put_back import put_back
from tidemill_cli.commands.redrive.result import as_json
from tidemill_cli.commands.redrive.shown import ROWS_SHOWN, print_table, print_whole
from tidemill_cli.errors import FAILED, CommandError, complain, run_or_tell
from tidemill_cli.result_file import check_writable, json_text, write_private
from tidemill_cli.stack import STACK
from tidemill_cli.terminal_text import console, progress
from tidemill_cli.units import positive
from tidemill_consumers.adapters.quarantine import PREFIX, read
from tidemill_consumers.operations.redrive import DONE_PREFIX, Found, Objects, Redriven, Wanted, oldest_first

NONE_TWICE = ". What was put back is not applied twice: run it again when the cause is gone"
"""Appended to an error of AWS."""

EXAMPLE = """\
examples:
  tidemill redrive                                        list what is there, newest last
  tidemill redrive --reason "unknown command" --since 2026-11-25T07:00
  tidemill redrive --show 0193f2c4-8a11-7c3e-b6de-0123456789ab
  tidemill redrive --reason "unknown command" --apply     put those back on the stream
  tidemill redrive --stack shop --apply --yes             of a stack in your AWS account

Redriven requests are applied once, late, and answered again; those of --untold perhaps once more. The local
platform is asked unless AWS_ENDPOINT_URL, --stack, or --bucket and --stream say otherwise. The application's
secret is that of its stack, unless TIDEMILL_APPLICATION_SECRET gives it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--reason", metavar="TEXT", default="", help="only those whose reason contains TEXT")
    parser.add_argument("--since", metavar="TIME", type=_time, help="only those that arrived at TIME or later")
    parser.add_argument("--until", metavar="TIME", type=_time, help="only before TIME; ISO 8601, UTC by default")
    parser.add_argument("--key", metavar="KEY", help="only those of one ordering key")
    parser.add_argument("--limit", metavar="N", type=positive, help=f"the N oldest at most (the table: {ROWS_SHOWN})")
    parser.add_argument("--show", metavar="ID|OBJECT", help="print one whole, by its request's id or its object")
    parser.add_argument("--apply", action="store_true", help="put them back on the stream")
    parser.add_argument(
        "--untold",
        action="store_true",
        help="also those that cannot be told from repeats, some of which may have been applied",
    )
    parser.add_argument(
        "--loops",
        action="store_true",
        help="also follow-up requests of rules that emitted without end, which go round again unless that is mended",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--stack", metavar="NAME", help=f"the stack (default: {STACK} on the local platform)")
    parser.add_argument("--bucket", metavar="NAME", help="the quarantine's bucket (default: the stack's)")
    parser.add_argument("--stream", metavar="NAME", help="the stream (default: the stack's)")
    parser.add_argument("--json", metavar="PATH", type=Path, help="also write the result to PATH")
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Run the command; 0 when all that it said it would do is done, 1 with a message on stderr when not."""
    return run_or_tell("redrive", lambda: _run(args), Misconfigured, after_aws=NONE_TWICE)


def _run(args: argparse.Namespace) -> int:
    if args.show and args.apply:
        raise CommandError("give --show or --apply, not both")
    if args.json:
        check_writable(args.json)
    place, out = place_of(args), console()
    return _show(args, place, out) if args.show else _list_and_put_back(args, place, out)


def _list_and_put_back(args: argparse.Namespace, place: Place, out: Console) -> int:
    found = _find(args, place.objects)
    can_go = [one for one in found if one.problem is None]
    print_table(out, found, args.limit)
    if not args.apply:
        _write(args, as_json(place, found, []))
        return 0
    staying = sum(one.count for one in found if one.problem is not None)
    left = f"; {staying:,} cannot be and stay" if staying else ""
    out.print(f"{len(can_go):,} to be put back on the stream {place.stream}{left}")
    if can_go and not args.yes:
        ask("put them back? [y/N]", "put them back", "nothing was put back")
    done = list(put_back(place, can_go)) if can_go else []
    _write(args, as_json(place, found, done))
    return _report(out, done)


def _find(args: argparse.Namespace, objects: Objects) -> list[Found]:
    found: list[Found] = []
    wanted = Wanted(args.reason, args.key, args.since, args.until, args.untold, args.loops)
    with progress("…", otherwise=lambda _: None) as tell:
        for number, one in enumerate(objects.find(wanted), 1):
            tell(f"{number:,} objects read, {len(found):,} match")
            if one:
                found.append(one)
    ordered = oldest_first(found)
    return ordered if args.limit is None else ordered[: args.limit]


def _show(args: argparse.Namespace, place: Place, out: Console) -> int:
    """Print those with this id, or this object; objects that were redriven can be named too."""
    name, objects = args.show, place.objects
    names = [name] if name.startswith((PREFIX, DONE_PREFIX)) else _named(objects, name)
    stored = [(one, body) for one in names if (body := objects.read(one)) is not None]
    if not stored:
        raise CommandError(f"nothing in the quarantine has the id or is the object {name}; list it: tidemill redrive")
    shown = []
    for object_key, body in stored:
        try:
            kept = read(body)
        except RefusedRequest as error:
            raise CommandError(f"{object_key}: {error}") from None
        print_whole(out, object_key, kept)
        shown.append({"object": object_key, **msgspec.to_builtins(kept)})
    _write(args, {"bucket": place.bucket, "objects": shown})
    return 0


def _named(objects: Objects, request_id: str) -> list[str]:
    every = (one for one in objects.find(Wanted()) if one)
    return [one.object_key for one in oldest_first(every) if one.kept and one.kept.id == request_id]


def _report(out: Console, done: Sequence[Redriven]) -> int:
    failed = [one for one in done if one.outcome == "failed"]
    gone = sum(one.outcome == "gone" for one in done)
    moved = len(done) - len(failed) - gone
    out.print(
        f"{moved:,} put back, and moved to {DONE_PREFIX}"
        + (f"; {gone:,} had been put back by somebody else" if gone else "")
    )
    for one in failed[:ROWS_SHOWN]:
        complain("redrive", f"{one.object_key}: {one.problem}")
    if failed:
        complain("redrive", f"{len(failed):,} are still in the quarantine; run it again: none is applied twice")
    return FAILED if failed else 0


def _write(args: argparse.Namespace, result: dict[str, Any]) -> None:
    if args.json:
        write_private(args.json, json_text(result))


def _time(text: str) -> float:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-11-25 or 2026-11-25T07:00Z") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
