"""The streams of DynamoDB's tables: each change is journaled by itself, so that none is delivered twice.

Room: local platform. Calls that change tables are journaled by calls.py and replayed. The table's stream is restored
from the journal instead, so that its changes keep the sequence numbers that readers know.
Tests: tests/infra/tidemill_local/patches/durability/test_durability.py.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tidemill_local.patches.durability import drawn_ids

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill_local.patches.durability.recorder import Recorder

_STREAMS = ("_stream_records", "_stream_trimmed", "_closed_streams")
"""The emulator's variables that hold the tables' streams, which it does not save."""


def hook(dynamodb: Any, recorder: Recorder) -> None:
    """Have the tables' streams saved, and each change in one journaled."""
    get_state, load = dynamodb.get_state, dynamodb.load_persisted_state

    def state_with_streams() -> dict[str, Any]:
        state: dict[str, Any] = get_state()
        return state | {f"tidemill{name}": copy.deepcopy(getattr(dynamodb, name)) for name in _STREAMS}

    def load_with_streams(state: dict[str, Any]) -> None:
        load(state)
        for name in _STREAMS:
            getattr(dynamodb, name).update(state.get(f"tidemill{name}", {}))

    dynamodb.get_state, dynamodb.load_persisted_state = state_with_streams, load_with_streams
    dynamodb._emit_stream_event = _journaling_change(dynamodb._emit_stream_event, dynamodb, recorder)


def put_back(dynamodb: Any, entry: dict[str, Any]) -> None:
    """Put a journaled change back into its table's stream, unless the snapshot has it already."""
    records, change = dynamodb._stream_records.setdefault(entry["table"], []), entry["change"]
    if not records or records[-1]["dynamodb"]["SequenceNumber"] < change["dynamodb"]["SequenceNumber"]:
        records.append(change)


def _journaling_change(emit: Callable[..., None], dynamodb: Any, recorder: Recorder) -> Callable[..., None]:
    def journaling(table: str, *change: Any, **options: Any) -> None:
        last = (dynamodb._stream_records.get(table) or [None])[-1]
        emit(table, *change, **options)
        records = dynamodb._stream_records.get(table) or [None]
        if records[-1] is not last:
            if recorder.replaying:
                records.pop()  # it has a journal entry of its own
            else:
                recorder.append({"table": table, "change": records[-1]})
        if not drawn_ids.in_a_call():
            recorder.snapshot_soon()

    return journaling
