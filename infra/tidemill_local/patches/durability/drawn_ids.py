"""The ids that a call draws: noted when it is handled, and drawn again when it is replayed.

Room: local platform. Callers know ids from their answers, such as those of messages, and must find them again.
Tests: tests/infra/tidemill_local/patches/durability/test_durability.py.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ids: ContextVar[list[str] | None] = ContextVar("ids", default=None)
"""The ids drawn by the current call; during its replay, the ids that it will draw."""


def noted() -> list[str]:
    """A list to which the ids are added that the current call draws from now on; each call has its own context."""
    ids: list[str] = []
    _ids.set(ids)
    return ids


@contextmanager
def given(ids: list[str]) -> Iterator[None]:
    """In the block, these ids are drawn, in this order."""
    _ids.set(ids)
    try:
        yield
    finally:
        _ids.set(None)


def in_a_call() -> bool:
    """Whether a call is being handled; some changes come from the emulator's own clean-up instead."""
    return _ids.get() is not None


def repeating(draw: Callable[[], str], is_replaying: Callable[[], bool]) -> Callable[[], str]:
    """The emulator's function that draws an id; it notes each id, and repeats the noted ones during a replay."""

    def drawing() -> str:
        ids = _ids.get()
        if is_replaying() and ids:
            return ids.pop(0)
        drawn = draw()
        if ids is not None and not is_replaying():
            ids.append(drawn)
        return drawn

    return drawing
