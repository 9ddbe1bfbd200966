"""Logs quarantined requests: an entry for each reason, with the traceback if a rule raised.

Room: adapters. A batch may quarantine thousands of requests for one reason, so each reason is logged once, with their
number.
"""

from __future__ import annotations

import linecache
import logging
from collections.abc import Iterable, Iterator, Sequence

from tidemill_consumers.core.batch import Arrival, Frame, Quarantined

MOST_TOLD = 10
"""Reasons of a batch that are logged; more are only counted."""

log = logging.getLogger(__name__)


def tell(quarantined: Iterable[Quarantined]) -> None:
    """Log the quarantined requests."""
    of_reason: dict[str, list[Quarantined]] = {}
    for one in quarantined:
        of_reason.setdefault(one.reason, []).append(one)
    for every in list(of_reason.values())[:MOST_TOLD]:
        log.warning("%s", "\n".join(_lines(every)))
    if len(of_reason) > MOST_TOLD:
        log.warning("quarantined for %d more reasons", len(of_reason) - MOST_TOLD)


def _lines(every: Sequence[Quarantined]) -> Iterator[str]:
    first = every[0]
    count = f"{len(every)} requests, the first" if len(every) > 1 else "a request"
    yield f"quarantined {count} {_which(first)}: {_plain(first.reason)}"
    yield from traceback_lines(first.trace)


def traceback_lines(trace: Sequence[Frame]) -> Iterator[str]:
    """The lines of a traceback as Python writes it, without the exception; none if there are no frames."""
    if trace:
        yield "Traceback (most recent call last):"
    for frame in trace:
        yield from _frame(frame)


def _which(one: Quarantined) -> str:
    at = one.arrival
    what = f"{at.request.cmd}, id {at.request.id}, " if isinstance(at, Arrival) else ""
    return _plain(f"({what}key {at.key})")


def _frame(frame: Frame) -> Iterator[str]:
    yield f'  File "{frame.file}", line {frame.line}, in {frame.function}'
    if line := linecache.getline(frame.file, frame.line).strip():
        yield f"    {line}"


def _plain(text: str) -> str:
    """The text without line ends and terminal control characters, which clients may put there."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
