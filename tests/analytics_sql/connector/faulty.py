"""A service before the emulator that loses answers to PutRecords, and refuses entries of it; the rest it passes on."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

from tidemill_local.emulator import Emulator

REFUSED = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "Rate exceeded"}


class Faulty(ThreadingHTTPServer):
    """Of four calls of PutRecords, in JSON, the first is stored and not answered, and of the second half is refused.

    Attributes:
        lost: number of calls whose answer was lost.
        refused: number of entries that were refused.
    """

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = urlsplit(emulator.endpoint_url).netloc
        self.kinesis = emulator.client("kinesis")
        self.lost = self.refused = self._calls = 0
        self._lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def put(self, call: dict[str, Any]) -> dict[str, Any] | None:
        """Puts what is not refused. Returns the answer; None if it is lost."""
        with self._lock:
            self._calls += 1
            turn = self._calls % 4
        entries = [entry | {"Data": base64.b64decode(entry["Data"])} for entry in call["Records"]]
        taken = [place for place in range(len(entries)) if turn != 2 or place % 2]
        results: list[dict[str, Any]] = [REFUSED] * len(entries)
        if taken:
            answer = self.kinesis.put_records(StreamARN=call["StreamARN"], Records=[entries[place] for place in taken])
            for place, result in zip(taken, answer["Records"], strict=True):
                results[place] = result
        self.refused += len(entries) - len(taken)
        self.lost += turn == 1
        failed = sum("ErrorCode" in result for result in results)
        return None if turn == 1 else {"FailedRecordCount": failed, "Records": results}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Faulty

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["X-Amz-Target"].endswith(".PutRecords"):
            answer = self.server.put(json.loads(body))
            if answer is None:
                self.close_connection = True
            else:
                self._answer(200, "application/x-amz-json-1.1", json.dumps(answer).encode())
            return
        passed = http.client.HTTPConnection(self.server.address)
        passed.request(
            "POST", self.path, body, dict(self.headers)
        )  # signed for this address, which it names as its host
        response = passed.getresponse()
        self._answer(response.status, response.headers["Content-Type"], response.read())
        passed.close()

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("x-amzn-RequestId", "1")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        pass


@contextmanager
def faulty(emulator: Emulator) -> Iterator[Faulty]:
    """A running one."""
    with Faulty(emulator) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
