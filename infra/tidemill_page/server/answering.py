"""What each path answers: the page, its events, and what came of a redrive.

Room: page, server.
Tests: tests/infra/tidemill_page/server/test_page_server.py.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import Any, Final

from tidemill_page.figures import Figures, as_json
from tidemill_page.html import policy, render
from tidemill_page.server.exchange import BadRequest, Exchange
from tidemill_page.server.feed import Feed
from tidemill_page.server.guard import EVENTS, METHODS, NOT_ALLOWED, PAGE, refusal
from tidemill_page.wording import shown

MOST_FOLLOWERS: Final = 16
"""Connections that follow the figures: one an open page."""

STILL_THERE: Final = 15.0
"""Seconds without an event after which an empty one is sent, so that a client that has gone is noticed."""

SECURITY_HEADERS: Final = [
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Redrove:
    """What came of a redrive: whether it is done, and what to tell."""

    done: bool
    text: str


class Answering:
    """Answers requests, on one event loop.

    Args:
        title: whose figures the page shows.
        redrive: puts an object of the quarantine back, on a thread of its own; without it, nothing is redriven.

    Attributes:
        feed: what pages that are open are sent.
        followers: how many follow it.
    """

    def __init__(self, title: str, redrive: Callable[[str], Redrove] | None) -> None:
        self._title = title
        self._redrive = redrive
        self._token = secrets.token_urlsafe(32)
        self._one_redrive = asyncio.Lock()
        self.feed = Feed()
        self.followers = 0

    async def answer(self, exchange: Exchange, port: int) -> None:
        """Answer a connection's request; `port` is the server's.

        Raises:
            Gone: the client closed the connection, or does not read what it is sent.
        """
        try:
            head, body = await exchange.request()
        except BadRequest as error:
            await _tell(exchange, error.status, Redrove(done=False, text=str(error)))
            return
        if refused := refusal(head, port, self._token):
            allowed = [("allow", METHODS[head.target])] if refused.status == NOT_ALLOWED else []
            await _tell(exchange, refused.status, Redrove(done=False, text=refused.reason), allowed)
        elif head.target == PAGE:
            await self._page(exchange)
        elif head.target == EVENTS:
            await self._events(exchange)
        else:
            await self._put_back(exchange, body)

    async def _page(self, exchange: Exchange) -> None:
        nonce = secrets.token_urlsafe(16)
        page = render(self._title, self._token, nonce, redrives=self._redrive is not None)
        headers = [("content-type", "text/html; charset=utf-8"), ("content-security-policy", policy(nonce))]
        await exchange.answer(200, [*SECURITY_HEADERS, *headers], page.encode())

    async def _events(self, exchange: Exchange) -> None:
        if self.followers >= MOST_FOLLOWERS:
            await _tell(exchange, 503, Redrove(done=False, text="too many pages are open"))
            return
        self.followers += 1
        try:
            await exchange.begin(200, [*SECURITY_HEADERS, ("content-type", "text/event-stream")])
            number = 0
            while True:
                try:
                    number, event = await asyncio.wait_for(self.feed.after(number), STILL_THERE)
                except TimeoutError:
                    event = b":\n\n"
                await exchange.more(event)
        finally:
            self.followers -= 1

    async def _put_back(self, exchange: Exchange, body: bytes) -> None:
        object_key = _object_of(body)
        if self._redrive is None or object_key is None:
            text = "nothing is redriven here" if self._redrive is None else "the body names no object"
            await _tell(exchange, 400, Redrove(done=False, text=text))
            return
        async with self._one_redrive:
            became = await _on_a_thread(self._redrive, object_key)
        await _tell(exchange, 200, became)


def event_of(figures: Figures) -> dict[str, Any]:
    """What the page is sent: the figures as JSON has them, and what it shows of them."""
    return {"figures": as_json(figures), "shown": shown(figures)}


def _object_of(body: bytes) -> str | None:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        return None
    found = asked.get("object") if isinstance(asked, dict) else None
    return found if isinstance(found, str) else None


async def _on_a_thread(redrive: Callable[[str], Redrove], object_key: str) -> Redrove:
    """The redrive's outcome. Its thread keeps nobody from stopping: asyncio's own would be waited for."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Redrove] = loop.create_future()

    def work() -> None:
        try:
            became = redrive(object_key)
        except Exception as error:
            log.exception("the redrive of %s failed", ascii(object_key))
            became = Redrove(done=False, text=f"it failed: {error}")
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(_settle, outcome, became)

    Thread(target=work, name="redrive", daemon=True).start()
    return await outcome


def _settle(outcome: asyncio.Future[Redrove], became: Redrove) -> None:
    if not outcome.done():
        outcome.set_result(became)


async def _tell(exchange: Exchange, status: int, told: Redrove, more: Sequence[tuple[str, str]] = ()) -> None:
    body = json.dumps({"done": told.done, "text": told.text}).encode()
    await exchange.answer(status, [*SECURITY_HEADERS, *more, ("content-type", "application/json")], body)
