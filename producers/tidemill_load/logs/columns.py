"""The columns of a log: time, client and key, and further ones that the log has.

Room: load, logs; pure. The one interface between formats and those who use a log.
Tests: tests/producers/tidemill_load/logs/test_formats.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    Times: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]
    Order: TypeAlias = np.ndarray[tuple[int], np.dtype[np.intp]]


@dataclass(frozen=True, slots=True)
class Columns:
    """Requests of a log, a row each, in the order of the log.

    Attributes:
        times: seconds since 1970.
        clients: who asked: an address or a name.
        keys: what was asked for: the path of the URL, or what the log calls it.
        methods: HTTP methods; empty where the format has none, as are those that follow.
        urls: what stood in the request line, the query included.
        statuses: of the answers, digits or "-".
        sizes: bytes of the answers, digits or "-".
    """

    times: Times
    clients: Sequence[bytes]
    keys: Sequence[bytes]
    methods: Sequence[bytes] = ()
    urls: Sequence[bytes] = ()
    statuses: Sequence[bytes] = ()
    sizes: Sequence[bytes] = ()

    def __len__(self) -> int:
        return len(self.times)

    def take(self, rows: Order) -> Columns:
        """The rows of these numbers, in that order."""
        where = rows.tolist()
        texts = ([column[row] for row in where] if column else () for column in self._texts())
        return Columns(self.times[rows], *texts)

    def dated(self) -> Columns:
        """The rows whose time could be read."""
        known = np.isfinite(self.times)
        return self if known.all() else self.take(np.flatnonzero(known))

    def sorted(self) -> Columns:
        """Sorted by time; rows of one time keep their order."""
        if bool((np.diff(self.times) >= 0).all()):
            return self
        return self.take(np.argsort(self.times, kind="stable"))

    def _texts(self) -> list[Sequence[bytes]]:
        return [getattr(self, field.name) for field in fields(self)[1:]]


NOTHING = Columns(np.empty(0), (), ())


def together(parts: Sequence[Columns]) -> Columns:
    """One after the other. A column that one of them lacks is filled with nothing there."""
    if len(parts) == 1:
        return parts[0]
    texts = []
    for name in (field.name for field in fields(Columns)[1:]):
        its = [getattr(part, name) for part in parts]
        filled = (column or [b""] * len(part) for column, part in zip(its, parts, strict=True))
        texts.append([text for column in filled for text in column] if any(its) else ())
    return Columns(np.concatenate([part.times for part in parts]), *texts)


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that holds no request.

    Attributes:
        place: how many lines of the block are before it.
        line: itself.
        reason: why.
    """

    place: int
    line: bytes
    reason: str


def bad_lines(block: bytes, why: Callable[[bytes], str | None]) -> list[Bad]:
    """The lines of a block of which there is something to say; empty ones are passed over."""
    lines = ((place, line.rstrip(b"\r")) for place, line in enumerate(block.split(b"\n")))
    return [Bad(place, line, reason) for place, line in lines if line.strip() and (reason := why(line))]


def listed(names: Iterable[str]) -> str:
    """Names of fields for a sentence: the first dozen, each of 40 characters at most."""
    every = list(names)
    return ", ".join([name[:40] for name in every[:12]] + ["…"] * (len(every) > 12)) or "none"


class Reader(Protocol):
    """Reads one file. It may keep what a line says of those that follow, such as the names of the fields."""

    @property
    def name(self) -> str:
        """Of the format, for people."""

    def read(self, block: bytes) -> tuple[Columns, Sequence[Bad]]:
        """The requests of whole lines, and the lines that should hold one and do not."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The names of fields in logs of one's own, JSON or CSV.

    Attributes:
        time: when; ISO 8601, a count since 1970 in any unit from seconds to nanoseconds, or as in access logs.
        key: the ordering key.
        client: who asked; None where nobody is told apart.
    """

    time: str
    key: str
    client: str | None = None


Recognise: TypeAlias = Callable[[Sequence[bytes], "Fields | None"], "Reader | None"]
"""A new reader, if there is a line of the format among the first of a file."""
