"""The last event, and who waits for the next one.

Room: page, server. Only the newest is kept: who is slow misses some, and nothing grows.
Tests: tests/infra/tidemill_page/server/test_page_server.py.
"""

from __future__ import annotations

import asyncio


class Feed:
    """Used on one event loop only."""

    def __init__(self) -> None:
        self._number = 0
        self._event = b""
        self._changed = asyncio.Condition()

    async def put(self, event: bytes) -> None:
        """Make this the last event."""
        async with self._changed:
            self._number, self._event = self._number + 1, event
            self._changed.notify_all()

    async def after(self, number: int) -> tuple[int, bytes]:
        """The last event and its number, once there is one after that number; 0 takes any."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._number > number)
            return self._number, self._event
