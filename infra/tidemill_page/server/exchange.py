"""One connection: one request is read, within bounds, and one answer is sent.

Room: page, server. h11 reads and writes HTTP; this sets its limits: nobody holds a connection without using it.
Tests: tests/infra/tidemill_page/server/test_page_server.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import h11

from tidemill_page.server.guard import Head

MOST_HEAD: Final = 16 * 1024
MOST_BODY: Final = 4 * 1024
"""Bytes."""

READ: Final = 4 * 1024

UNSENT: Final = 64 * 1024
"""Bytes that may be on their way to a client before it is waited for."""


class BadRequest(Exception):
    """The request cannot be read, or is too large."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Gone(Exception):
    """The client closed the connection, or does not read what it is sent."""


class Exchange:
    """A connection's only request, and its answer.

    Args:
        reader: the connection's.
        writer: the connection's.
        patience: seconds that the request may take to come, and that the client may leave what it is sent unread.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: float) -> None:
        self._reader = reader
        self._writer = writer
        self._patience = patience
        self._method = ""
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
        writer.transport.set_write_buffer_limits(high=UNSENT)

    async def request(self) -> tuple[Head, bytes]:
        """The request and its body.

        Raises:
            BadRequest: it is none, or too large.
            Gone: the client closed the connection, or took too long.
        """
        try:
            async with asyncio.timeout(self._patience):
                return await self._request()
        except TimeoutError:
            raise Gone from None
        except h11.RemoteProtocolError as error:
            raise BadRequest(error.error_status_hint, str(error)) from None

    async def answer(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        """Send a whole answer.

        Raises:
            Gone: the client does not take it.
        """
        await self.begin(status, [*headers, ("content-length", str(len(body)))])
        if self._method != "HEAD":
            await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())

    async def begin(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Send an answer's head.

        Raises:
            Gone: the client does not take it.
        """
        await self._send(h11.Response(status_code=status, headers=[*headers, ("connection", "close")]))

    async def more(self, data: bytes) -> None:
        """Send a part of an answer that was begun.

        Raises:
            Gone: the client does not take it.
        """
        await self._send(h11.Data(data=data))

    async def close(self) -> None:
        """Close the connection, whether or not the client takes what it was sent."""
        self._writer.close()
        try:
            async with asyncio.timeout(self._patience):
                await self._writer.wait_closed()
        except (TimeoutError, OSError):
            self._writer.transport.abort()

    def abort(self) -> None:
        """Drop the connection at once, with what was not sent."""
        self._writer.transport.abort()

    async def _request(self) -> tuple[Head, bytes]:
        head: Head | None = None
        body = b""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._received())
            elif isinstance(event, h11.Request):
                head = _head(event)
                self._method = head.method
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MOST_BODY:
                    raise BadRequest(413, f"the body is larger than {MOST_BODY:,} bytes")
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return head, body
            else:
                raise Gone

    async def _received(self) -> bytes:
        try:
            return await self._reader.read(READ)
        except OSError:
            raise Gone from None

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        try:
            self._writer.write(data or b"")
            async with asyncio.timeout(self._patience):
                await self._writer.drain()
        except (TimeoutError, OSError):
            raise Gone from None


def _head(request: h11.Request) -> Head:
    headers: dict[str, list[str]] = {}
    for name, value in request.headers:
        headers.setdefault(name.decode("ascii"), []).append(value.decode("latin-1"))
    return Head(request.method.decode("ascii"), request.target.decode("latin-1"), headers)
