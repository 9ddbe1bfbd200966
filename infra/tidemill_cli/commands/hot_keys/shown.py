"""What `tidemill hot-keys` found, on the terminal and as --json writes it.

Room: command line.
Tests: tests/infra/tidemill_cli/commands/test_hot_keys.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tidemill.contract.lanes import LANES
from tidemill_cli.terminal_text import printable
from tidemill_deploy.capacity.counting import Heavy
from tidemill_deploy.capacity.hot_keys import SHARD_BYTES, SHARD_RECORDS, Advice, ShardLoad

COMMANDS = {"double": "tidemill scale --shards {0}", "half": "tidemill scale --shards {0}"}

MOST_SHOWN = 60
"""Characters of a key on the terminal."""


def show(out: Console, loads: Sequence[ShardLoad], advice: Advice, top: int, options: str = "") -> None:
    """Print the shards, the fullest first, their hottest keys and lanes, and what to do.

    Args:
        out: the terminal.
        loads: what was read of each shard.
        advice: what to do about it.
        top: the number of keys of a shard.
        options: those that name the stream to the command that is advised, such as "--stack shop".
    """
    if not any(one.records for one in loads):
        out.print("no records arrived in that time")
        return
    ordered = sorted(loads, key=lambda one: -one.load)
    table = Table(header_style="bold")
    for name in ("shard", "KiB/s of 1,024", "records/s of 1,000", "busiest second", "requests/s", "keys"):
        table.add_column(name, justify="left" if name == "shard" else "right")
    for one in ordered:
        table.add_row(*_cells(one))
    out.print(table)
    for one in ordered:
        if one.requests:
            for line in _hottest(one, top):
                out.print(Text(printable(line)), soft_wrap=True)
    for one in ordered:
        if not one.is_whole:
            out.print(f"{one.shard} was read in part: the oldest {one.seconds:.0f} s of that time", soft_wrap=True)
    command = COMMANDS.get(advice.kind, "").format(advice.shards)
    run = f" Run: {command} {options}".rstrip() if command else ""
    out.print(Text(printable(f"{advice.kind}: {advice.reason}{run}")), soft_wrap=True)


def as_json(stream: str, minutes: float, loads: Sequence[ShardLoad], advice: Advice) -> dict[str, Any]:
    """The result: all that was found of each shard, and the advice."""
    return {
        "stream": stream,
        "minutes": minutes,
        "advice": {"kind": advice.kind, "shards": advice.shards, "reason": advice.reason},
        "shards": [_entry(one) for one in loads],
    }


def _cells(one: ShardLoad) -> Iterator[str]:
    busiest = f"{one.busiest.bytes / 1024:,.0f} KiB, {one.busiest.records:,}"
    yield one.shard if one.is_open else f"{one.shard} (closed)"
    yield f"{one.total_bytes / one.seconds / 1024:,.1f} ({one.of_bytes:.0%})"
    yield f"{one.records / one.seconds:,.1f} ({one.of_records:.0%})"
    yield busiest
    yield f"{one.requests / one.seconds:,.1f}"
    yield f"{'about ' if one.keys_are_estimate else ''}{one.keys:,}"


def _hottest(one: ShardLoad, top: int) -> Iterator[str]:
    yield f"{one.shard}, hottest keys by bytes: {_shares(one.by_bytes[:top], one.request_bytes)}"
    yield f"{one.shard}, by requests: {_shares(one.by_requests[:top], one.requests)}"
    lanes = ", ".join(f"{lane} {size / max(1, one.request_bytes):.1%}" for lane, size in one.by_lane[:top])
    yield f"{one.shard}, lanes of {LANES} by bytes: {lanes}"


def _shares(keys: Sequence[Heavy], total: int) -> str:
    return ", ".join(f"{key.key[:MOST_SHOWN]} {_share(key, max(1, total))}" for key in keys)


def _share(key: Heavy, total: int) -> str:
    least, most = f"{key.least / total:.1%}", f"{min(key.most, total) / total:.1%}"
    return least if least == most else f"{least} to {most}"


def _entry(one: ShardLoad) -> dict[str, Any]:
    return {
        "shard": one.shard,
        "open": one.is_open,
        "read_to_its_end": one.is_whole,
        "seconds": round(one.seconds, 1),
        "bytes_per_second": round(one.total_bytes / one.seconds, 1),
        "records_per_second": round(one.records / one.seconds, 1),
        "requests_per_second": round(one.requests / one.seconds, 1),
        "of_bytes": round(one.of_bytes, 4),
        "of_records": round(one.of_records, 4),
        "limits_per_second": {"bytes": SHARD_BYTES, "records": SHARD_RECORDS},
        "busiest_second": {"bytes": one.busiest.bytes, "records": one.busiest.records},
        "keys": one.keys,
        "keys_are_estimate": one.keys_are_estimate,
        "by_bytes": _keys(one.by_bytes, one.request_bytes),
        "by_requests": _keys(one.by_requests, one.requests),
        "lanes": [
            {"lane": lane, "bytes": size, "share": round(size / max(1, one.request_bytes), 4)}
            for lane, size in one.by_lane
        ],
    }


def _keys(keys: Sequence[Heavy], total: int) -> list[dict[str, Any]]:
    return [
        {
            "key": one.key,
            "at_least": one.least,
            "at_most": min(one.most, total),
            "share_at_least": round(one.least / max(1, total), 4),
        }
        for one in keys
    ]
