"""Objects of the quarantine on the terminal: a table of many, or one whole.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_redrive.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidemill.contract.request import RefusedRequest, decode_json
from tidemill_cli.terminal_text import printable
from tidemill_consumers.adapters.quarantine import Kept
from tidemill_consumers.operations.redrive import Found

ROWS_SHOWN = 50
"""Rows of the table unless --limit says otherwise; --json is whole."""


def print_table(out: Console, found: Sequence[Found], limit: int | None) -> None:
    """Print the objects, a row each, and below it why some cannot be redriven.

    Args:
        out: where to.
        found: the objects, the oldest first.
        limit: that --limit asks for: then all of `found` is shown.
    """
    if not found:
        out.print("the quarantine holds nothing that matches")
        return
    shown = found if limit is not None else found[-ROWS_SHOWN:]
    if len(shown) < len(found):
        out.print(f"the newest {len(shown):,} of {len(found):,}; all with --json PATH")
    table = Table(header_style="bold")
    for name in ("arrived", "reason", "command", "key", "id"):
        table.add_column(name, overflow="fold")
    for one in shown:
        kept = one.kept
        cells = [iso(kept.arrived), kept.reason, kept.cmd, kept.key, kept.id] if kept else [None, one.problem]
        table.add_row(*(Text(printable(cell or "")) for cell in cells))
    out.print(table)
    for one in shown:
        if one.problem:
            line = f"cannot be redriven: {one.object_key}: {one.problem}"
            out.print(Text(printable(line)), soft_wrap=True)


def print_whole(out: Console, object_key: str, kept: Kept) -> None:
    """Print an object with its payloads."""
    lines = {
        "object": object_key,
        "reason": kept.reason,
        "arrived": iso(kept.arrived),
        "command": kept.cmd or "none",
        "key": kept.key,
        "id": kept.id or "none",
        "place": f"{kept.shard} {kept.sequence}, {kept.sub} in its record",
        "payload": f"{sum(len(part.payload) for part in kept.all_parts):,} bytes",
    }
    for name, value in lines.items():
        out.print(Text(f"{name:<8} {printable(value)}"), soft_wrap=True)
    for part in kept.all_parts:
        if kept.parts:
            out.print(Text(f"part {part.sub}, key {printable(part.key)}: {printable(part.reason)}"))
        out.print(Text(printable(_decoded(part.payload)) + "\n"), soft_wrap=True)


def iso(seconds: float) -> str:
    """A time, in seconds since 1970, as ISO 8601 with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _decoded(payload: bytes) -> str:
    """JSON indented, text as it is, other bytes escaped."""
    try:
        return json.dumps(decode_json(payload), indent=2, ensure_ascii=False)
    except RefusedRequest:
        return payload.decode(errors="backslashreplace")
