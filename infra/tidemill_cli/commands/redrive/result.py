"""The result of `tidemill redrive` as --json writes it.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_redrive.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tidemill_cli.commands.redrive.place import Place
from tidemill_cli.commands.redrive.shown import iso
from tidemill_consumers.operations.redrive import Found, Redriven


def as_json(place: Place, found: Iterable[Found], done: Iterable[Redriven]) -> dict[str, Any]:
    """The objects that were found, and the outcome of each that was to be put back."""
    became = {one.object_key: one for one in done}
    objects = [_entry(one) | _became(became.get(one.object_key)) for one in found]
    counts = {
        outcome: sum(one.outcome == outcome for one in became.values()) for outcome in ("redriven", "gone", "failed")
    }
    return {"bucket": place.bucket, "stream": place.stream or None, **counts, "objects": objects}


def _entry(one: Found) -> dict[str, Any]:
    kept = one.kept
    entry: dict[str, Any] = {"object": one.object_key, "problem": one.problem, "parts": one.count}
    if kept:
        entry |= {
            "arrived": iso(kept.arrived),
            "reason": kept.reason,
            "cmd": kept.cmd,
            "key": kept.key,
            "id": kept.id,
            "shard": kept.shard,
            "sequence": kept.sequence,
            "sub": kept.sub,
        }
    return entry


def _became(one: Redriven | None) -> dict[str, Any]:
    if one is None:
        return {}
    return {"outcome": one.outcome} | ({"problem": one.problem} if one.problem else {})
