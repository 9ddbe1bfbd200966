"""The page's server: an event loop on a thread of its own, so that no reader of the page holds up the platform.

Room: page, server. Written on h11 and asyncio, for it needs what web servers do not offer: a bound on connections, and
dropping one whose client does not read.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Final, Self

from tidemill_page.figures import Figures
from tidemill_page.server.answering import Answering, Redrove, event_of
from tidemill_page.server.exchange import Exchange, Gone

HOST: Final = "127.0.0.1"

MOST_CONNECTIONS: Final = 64

PATIENCE: Final = 10.0
"""Seconds that a client may take for its request, and that it may leave what it is sent unread."""

log = logging.getLogger(__name__)


class PageServer:
    """Serves the page as a context manager.

    Args:
        title: whose figures it shows.
        port: on 127.0.0.1; 0 chooses a free one.
        redrive: puts an object of the quarantine back, on a thread of its own; without it, nothing is redriven.
        patience: seconds that a client may leave what it is sent unread.

    Raises:
        OSError: on entering: the port is taken.
    """

    def __init__(
        self,
        title: str,
        port: int = 0,
        redrive: Callable[[str], Redrove] | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._answering = Answering(title, redrive)
        self._asked_port = port
        self._patience = patience
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._started = Event()
        self._connections = 0

    @property
    def port(self) -> int:
        """The port that it is served at."""
        if self._socket is None:
            raise RuntimeError("the page is not served yet")
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def address(self) -> str:
        """The page's address."""
        return f"http://{HOST}:{self.port}/"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serve, in the background.

        Raises:
            OSError: the port is taken.
        """
        self._socket = socket.create_server((HOST, self._asked_port), backlog=MOST_CONNECTIONS)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run, args=[self._loop], name="page", daemon=True)
        self._thread.start()
        self._started.wait()

    def stop(self) -> None:
        """Close all connections, and stop."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
            self._loop = None

    def publish(self, figures: Figures) -> None:
        """Show these figures from now on. Returns at once, whoever reads."""
        event = f"data: {json.dumps(event_of(figures))}\n\n".encode()
        loop = self._loop
        if loop:
            with suppress(RuntimeError):  # it has just been stopped
                loop.call_soon_threadsafe(self._answering.feed.put, event)

    @property
    def followers(self) -> int:
        """How many follow the figures now."""
        return self._answering.followers

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._socket)
        self._started.set()
        async with server:
            await self._stop.wait()
            server.close()
            # They follow for ever, and the server would wait for them.
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        exchange = Exchange(reader, writer, self._patience)
        if self._connections >= MOST_CONNECTIONS:
            exchange.abort()
            return
        self._connections += 1
        try:
            await self._answering.answer(exchange, self.port)
            await exchange.close()
        except (Gone, asyncio.CancelledError):
            exchange.abort()
        except Exception:
            log.exception("the page's server could not answer")
            exchange.abort()
        finally:
            self._connections -= 1
