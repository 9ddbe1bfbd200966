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
        self._waiting: set[asyncio.Future[None]] = set()

    def put(self, event: bytes) -> None:
        """Make this the last event."""
        self._number, self._event = self._number + 1, event
        for one in self._waiting:
            if not one.done():
                one.set_result(None)

    async def after(self, number: int) -> tuple[int, bytes]:
        """The last event and its number, once there is one after that number; 0 takes any."""
        while self._number <= number:
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(changed)
            try:
                await changed
            finally:
                self._waiting.discard(changed)
        return self._number, self._event
