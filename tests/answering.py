"""A service on 127.0.0.1 that does what it is asked, and answers as it is told: well, badly, or not at all."""

from __future__ import annotations

import gzip
import json
import socketserver
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Lock, Thread
from time import sleep
from typing import Any, TypeAlias

Answer: TypeAlias = Callable[[dict[str, Any]], bytes | Iterable[bytes]]
"""What is sent for a call's body: all bytes of an HTTP response, status line included, or one piece after the other."""


def http(body: bytes, status: int = 200, *headers: str, kind: str = "application/x-amz-json-1.1") -> bytes:
    """A whole response."""
    lines = [f"HTTP/1.1 {status} {'OK' if status == 200 else 'so'}", f"Content-Type: {kind}"]
    lines += [*headers, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


def says(value: Any, status: int = 200) -> Answer:
    """A response in JSON."""
    return lambda _: http(json.dumps(value).encode(), status)


def raw(response: bytes) -> Answer:
    """The same bytes for whoever asks."""
    return lambda _: response


def entries(call: dict[str, Any]) -> list[dict[str, Any]]:
    """What PutRecords answers for each record."""
    return [{"ShardId": "shardId-000000000000", "SequenceNumber": "1"} for _ in call.get("Records", [])]


def good(call: dict[str, Any]) -> bytes:
    """The answer to any call of Kinesis that a producer makes."""
    summary = {"StreamStatus": "ACTIVE", "OpenShardCount": 1}
    answer = {"FailedRecordCount": 0, "Records": entries(call), "StreamDescriptionSummary": summary}
    return http(json.dumps(answer).encode())


def without_marks(call: dict[str, Any]) -> dict[str, Any]:
    """A call of aggregates as it was on its first attempt."""
    records = [one | {"PartitionKey": one["PartitionKey"].partition(" tried ")[0]} for one in call["Records"]]
    return call | {"Records": records}


def dribbles(_: dict[str, Any]) -> Iterator[bytes]:
    """An answer that never ends: a byte now and then, until whoever has asked hangs up."""
    yield b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: 1000000\r\n\r\n"
    while True:
        sleep(0.01)
        yield b" "


def _with_entries(change: Callable[[list[Any]], list[Any]]) -> Answer:
    return lambda call: http(json.dumps({"FailedRecordCount": 0, "Records": change(entries(call))}).encode())


_HTML = b"<html><body><h1>It works!</h1></body></html>"
_JSON = json.dumps({"FailedRecordCount": 0, "Records": [{"ShardId": "s", "SequenceNumber": "1"}]}).encode()
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"

UNREADABLE: dict[str, Answer] = {
    "nothing at all": raw(b""),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "headers alone": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"),
    "a cut header": raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "an empty body": raw(http(b"")),
    "204": raw(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
    "HTML": raw(http(_HTML, kind="text/html")),
    "HTML that is no XML": raw(http(b"<!doctype html><p>It works!<br>", kind="text/html")),
    "cut JSON": raw(http(_JSON[:40])),
    "a cut body": raw(http(_JSON)[:-9]),
    "bad UTF-8": raw(http(_JSON.replace(b'"s"', b'"\xff\xfe"'))),
    "gzip that nobody asked for": raw(http(gzip.compress(_JSON), 200, "Content-Encoding: gzip")),
    "no gzip though it says so": raw(http(b"\x1f\x8b\x08garbage", 200, "Content-Encoding: gzip")),
    "chunks cut off": raw(_CHUNKED + b"40\r\n" + _JSON[:30]),
    "chunks that are none": raw(_CHUNKED + b"zz\r\n" + _JSON),
    "deep JSON": raw(http(b'{"Records":' + b"[" * 200_000)),
    "a list": says([]),
    "null": says(None),
    "a number": says(7),
    "an empty object": says({}),
    "an error in a 200": says({"__type": "InternalFailure", "message": "it broke"}),
    "Records is null": says({"Records": None}),
    "Records is an object": says({"Records": {"0": {}}}),
    "Records is a text": says({"Records": "many"}),
    "entries are null": _with_entries(lambda found: [None for _ in found]),
    "entries are texts": _with_entries(lambda found: ["ok" for _ in found]),
    "entries are empty": _with_entries(lambda found: [{} for _ in found]),
    "no ShardId": _with_entries(lambda found: [{"SequenceNumber": "1"} for _ in found]),
    "no SequenceNumber": _with_entries(lambda found: [{"ShardId": "s"} for _ in found]),
    "ShardId is a number": _with_entries(lambda found: [{"ShardId": 7, "SequenceNumber": "1"} for _ in found]),
    "SequenceNumber is a number": _with_entries(lambda found: [{"ShardId": "s", "SequenceNumber": 1} for _ in found]),
    "ErrorCode is a number": _with_entries(lambda found: [{"ErrorCode": 7} for _ in found]),
    "ErrorCode is empty": _with_entries(lambda found: [{"ErrorCode": "", "ErrorMessage": ""} for _ in found]),
    "no entries": _with_entries(lambda found: []),
    "fewer entries": _with_entries(lambda found: found[1:]),
    "more entries": _with_entries(lambda found: [*found, *found]),
    "10 MB of entries": _with_entries(lambda found: found * 150_000),
    "300": raw(http(b"", 300)),
    "302": raw(http(_HTML, 302, "Location: http://127.0.0.1:9/login", kind="text/html")),
    "304": raw(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"),
    "400 without a body": raw(http(b"", 400)),
    "400 with a list": says([], 400),
    "400 with null": says(None, 400),
    "400 with bad UTF-8": raw(http(b'{"__type":"\xff"}', 400)),
    "400 with a number as its code": says({"__type": 7}, 400),
    "403 of a proxy": raw(http(_HTML, 403, kind="text/html")),
    "404 of a web server": raw(http(_HTML, 404, kind="text/html")),
    "408": raw(http(b"", 408)),
    "408 with a code": says({"__type": "RequestTimeoutException", "message": "slow"}, 408),
    "413 of a proxy": raw(http(_HTML, 413, kind="text/html")),
    "429 of a proxy": raw(http(b"slow down", 429, kind="text/plain")),
    "500": raw(http(b"", 500)),
    "500 with a code": says({"__type": "InternalFailure", "message": "it broke"}, 500),
    "500 with a code of any kind": says({"__type": "Whatever", "message": "it broke"}, 500),
    "502 with HTML": raw(http(_HTML, 502, kind="text/html")),
    "503": raw(http(b"", 503)),
    "504 that is no XML": raw(http(b"<!doctype html>", 504, kind="text/html")),
}
"""Answers after which nobody knows whether the records were stored, each by its name."""

FOREIGN = [
    "nothing at all",
    "headers alone",
    "an empty body",
    "204",
    "HTML",
    "HTML that is no XML",
    "cut JSON",
    "bad UTF-8",
    "no gzip though it says so",
    "chunks cut off",
    "deep JSON",
    "a list",
    "null",
    "an empty object",
    "an error in a 200",
    "300",
    "302",
    "400 with a list",
    "400 with bad UTF-8",
    "403 of a proxy",
    "408",
    "503",
]
"""Those of them that any service may seem to give."""


class Service:
    """Answers each call as it is told to, and as `usually` when there is no more to be told.

    Attributes:
        url: where it is.
        calls: the bodies of all calls, in the order they came.
        methods: of those.
        headers: of those.
    """

    def __init__(self, url: str, usually: Answer, *answers: Answer) -> None:
        self.url = url
        self.calls: list[dict[str, Any]] = []
        self.methods: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._usually = usually
        self._answers = deque(answers)
        self._lock = Lock()

    def answer(self, method: str, headers: dict[str, str], body: bytes) -> Iterable[bytes]:
        """What is sent for it, piece by piece."""
        call = json.loads(body or b"{}") if body[:1] in (b"", b"{") else {"body": body}
        with self._lock:
            self.calls.append(call)
            self.methods.append(method)
            self.headers.append(headers)
            answer = self._answers.popleft() if self._answers else self._usually
        answered = answer(call)
        return [answered] if isinstance(answered, bytes) else answered


@contextmanager
def service(*answers: Answer, usually: Answer = good) -> Iterator[Service]:
    """It runs as long as the block."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            headers: dict[str, str] = {}
            method = self.rfile.readline().partition(b" ")[0].decode()
            while (line := self.rfile.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                headers[name.decode().lower()] = value.strip().decode()
                if name.lower() == b"expect":
                    self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self.rfile.read(int(headers.get("content-length", 0)))
            for piece in running.answer(method, headers, body):
                self.wfile.write(piece)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Whoever does not read to the end hangs up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        running = Service(f"http://127.0.0.1:{server.server_address[1]}", usually, *answers)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
