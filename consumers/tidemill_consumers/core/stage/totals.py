"""Decides what a request of the analytics stage adds to its key: the difference of two running totals.

Room: core. Pure. docs/protocol.md, "The analytics stage", says why this is exact; the stage's own code is apart.

A request of the stage states a window and a generation's total through it. The first line that holds counts:

| the window | what is done |
|---|---|
| is of a generation earlier than all that are remembered, and these are as many as can be | nothing |
| is not after the last one seen of its generation: a repeat, or one that a later one overtook and included | nothing |
| has a total below the last one seen of its generation | its request is quarantined, nothing is noted |
| is not after the last one applied, of whatever generation | it is noted: its generation's next amount begins there |
| is later than all of these | the amount is its total less its generation's last, which is 0 where the key has none |

Windows are cut by the records' arrival, so they hold the same requests whichever generation counts them. A generation
begins with a window that no other has left unfinished, and its windows of a key come in order.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tidemill.contract.request import STAGE, Request
from tidemill_consumers.core.batch import Totals, Window
from tidemill_consumers.core.fitting import MOST_GENERATIONS

MOST_TOTAL = 2**63 - 1
"""The largest total: what SQL's BIGINT holds."""

CLOCKS_DIFFER = 60.0
"""Seconds by which a window may seem to end after its request arrived, as the two streams' clocks differ."""

GENERATION = r"[0-9]{8}T[0-9]{6}Z-[0-9a-z]{6}"
"""When it began, and six characters of chance."""

LONGEST_COMMAND = 128 - len("stage/20260101T000000Z-abcdef/")
"""Characters of an aggregatable command: with the rest it is a writer, of 128 at most."""

_is_of_stage = re.compile(rf"{STAGE}({GENERATION})/(.+)", re.DOTALL).fullmatch


def totals_text(totals: Totals) -> str:
    """Totals as the item has them."""
    return "/".join([str(totals.applied), *(f"{one.generation}/{one.number}/{one.total}" for one in totals.seen)])


def read_totals(text: str) -> Totals:
    """Totals from such a text.

    Raises:
        ValueError: it is none.
    """
    applied, *parts = text.split("/")
    if len(parts) % 3:
        raise ValueError("its totals are not of a generation, a window and a total each")
    seen = [Window(parts[at], int(parts[at + 1]), int(parts[at + 2])) for at in range(0, len(parts), 3)]
    return Totals(int(applied), tuple(seen))


class Step(NamedTuple):
    """What follows from a window.

    Attributes:
        amount: what the rule is to add; None if it is not asked.
        totals: what the entity remembers afterwards of the command's windows.
    """

    amount: int | None
    totals: Totals


def step(before: Totals, window: Window) -> Step | str:
    """What follows from a window, by the table above; a text says why its request must be quarantined."""
    applied, seen = before
    last = next((one for one in seen if one.generation == window.generation), None)
    is_too_early = len(seen) >= MOST_GENERATIONS and window.generation < seen[0].generation
    if is_too_early or (last is not None and window.number <= last.number):
        return Step(None, before)
    counted = 0 if last is None else last.total
    if window.total < counted:
        return f"the total of its generation falls, from {counted} to {window.total}"
    latest = tuple(sorted([*(one for one in seen if one is not last), window])[-MOST_GENERATIONS:])
    if window.number <= applied:
        return Step(None, Totals(applied, latest))
    return Step(window.total - counted, Totals(window.number, latest))


def window_of(request: Request, arrived: float) -> Window | str:
    """The window that a request of the stage states; a text says why it states none.

    Args:
        request: a request of the stage for an aggregatable command.
        arrived: when it arrived on the stage's stream, in seconds since 1970.
    """
    found = _is_of_stage(request.writer or "")
    if found is None or found[2] != request.cmd:
        return "its writer is not stage/, a generation, / and its command"
    number, total = request.counter, request.data.get("total")
    if number is None or request.data.get("of") != number:
        return "its window (n) is not the one that its data is of"
    if not 0 < number <= arrived + CLOCKS_DIFFER:
        return f"its window {number} is not over yet, by the stream's clock"
    if type(total) is not int or not 0 <= total <= MOST_TOTAL:
        return f"total: a whole number from 0 to {MOST_TOTAL}"
    return Window(found[1], number, total)
