"""The figures of a stack at one moment: the page shows them, and `tidemill up --json` writes them.

Room: page, pure. What is not known is None. Figures are rounded where they are reckoned, so that both say the same.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

Source: TypeAlias = Literal["local", "cloudwatch"]


@dataclass(frozen=True, slots=True)
class ShardFigures:
    """One shard of the stream.

    Attributes:
        shard: its id.
        waiting: records read and not done.
        records_per_second: done in the last seconds.
    """

    shard: str
    waiting: int | None = None
    records_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class QuarantinedObject:
    """One object of the quarantine: a request, or parts of a record that are none.

    Attributes:
        object: its key in the bucket.
        arrived: when it arrived, as ISO 8601; empty if the object cannot be read.
        reason: why it is there.
        cmd: its command, if it is a request.
        key: its ordering key.
        id: its id, if it is a request.
        problem: why it cannot be redriven; None if it can.
    """

    object: str
    arrived: str
    reason: str
    cmd: str | None
    key: str
    id: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class History:
    """The last minutes, in steps of equal length, the oldest first; None where nothing is known, as before the start.

    Attributes:
        step_seconds: the length of a step.
        requests_per_second: applied in each.
        lag_ms: the iterator age at the end of each.
        p99_ms: from arrival to reply in each.
        writes_per_second: write units in each, or where those are not known, write calls.
    """

    step_seconds: float
    requests_per_second: tuple[float | None, ...] = ()
    lag_ms: tuple[int | None, ...] = ()
    p99_ms: tuple[int | None, ...] = ()
    writes_per_second: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a stack.

    Attributes:
        source: where they are from.
        at: when, in seconds since 1970.
        since: from when on the totals count, in seconds since 1970.
        requests: that functions were given; those that Lambda delivered again count once.
        invocations: of the functions that were given them.
        requests_per_second: in the last seconds.
        lag_ms: how old the last record of the last batch was when the batch ended, or the first record that waits now,
            whichever is older; None while there is neither.
        waiting: records read and not done.
        applied: requests that were, once each; so are the three below.
        rejected: by a rule.
        repeats: recognised, and not applied again.
        quarantined: as the functions counted them.
        write_calls: of the functions to the table.
        write_units: that those used.
        p50_ms: from the arrival of a request to its reply, in the last minute.
        p99_ms: the same of the slowest hundredth.
        errors: invocations that failed, wholly or in part.
        throttles: invocations that did not run.
        discarded: records given up.
        problem: what is wrong now, in words; None if nothing is known to be.
        alarms: the names of those that are on; None where nobody tells.
        shards: of the stream.
        newest_quarantined: the objects of the quarantine that were stored last, the newest first.
        history: of the last minutes.
    """

    source: Source
    at: float
    since: float
    requests: int | None
    invocations: int
    history: History
    requests_per_second: float | None = None
    lag_ms: int | None = None
    waiting: int | None = None
    applied: int | None = None
    rejected: int | None = None
    repeats: int | None = None
    quarantined: int | None = None
    write_calls: int | None = None
    write_units: float | None = None
    p50_ms: int | None = None
    p99_ms: int | None = None
    errors: int = 0
    throttles: int = 0
    discarded: int | None = None
    problem: str | None = None
    alarms: tuple[str, ...] | None = None
    shards: tuple[ShardFigures, ...] = ()
    newest_quarantined: tuple[QuarantinedObject, ...] = ()

    @property
    def saved(self) -> int | None:
        """Invocations saved so far: one a request, less those there were."""
        return None if self.requests is None else max(0, self.requests - self.invocations)

    @property
    def saved_share(self) -> float | None:
        """What part of one invocation a request was saved, 0 to 1."""
        return round(self.saved / self.requests, 4) if self.saved is not None and self.requests else None


def as_json(figures: Figures) -> dict[str, Any]:
    """The figures as JSON's values, by their names."""
    return asdict(figures) | {"saved": figures.saved, "saved_share": figures.saved_share}
