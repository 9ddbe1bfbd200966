"""The ids that a call draws: noted as it is handled, and given to it again as it is played again.

Room: local platform. Whoever was answered knows the ids of messages, for one, and must find them again.
Tests: tests/infra/tidemill_local/patches/durability/test_durability.py.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ids: ContextVar[list[str] | None] = ContextVar("ids", default=None)
"""The ids drawn by the call in hand; as it is played again, those that it will draw."""


def noted() -> list[str]:
    """A list to which each id is added that the call in hand draws from now on: each call has a context of its own."""
    ids: list[str] = []
    _ids.set(ids)
    return ids


@contextmanager
def given(ids: list[str]) -> Iterator[None]:
    """In the block, these are drawn, in this order."""
    _ids.set(ids)
    try:
        yield
    finally:
        _ids.set(None)


def in_a_call() -> bool:
    """Whether a call is in hand: some changes are made by the emulator's own tidying up."""
    return _ids.get() is not None


def repeating(draw: Callable[[], str], is_replaying: Callable[[], bool]) -> Callable[[], str]:
    """The emulator's drawing of an id, which notes it, or gives what was noted while the journal is played again."""

    def drawing() -> str:
        ids = _ids.get()
        if is_replaying() and ids:
            return ids.pop(0)
        drawn = draw()
        if ids is not None and not is_replaying():
            ids.append(drawn)
        return drawn

    return drawing
