"""A stream on a port of this machine: it stores what PutRecords brings, and fails now and then after it has.

What it holds is judged as a consumer does: a request whose counter is not above the last of its writer and key is a
repeat of one that was applied, or else it is lost.
"""

from __future__ import annotations

import json
import random
import threading
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tidemill.contract.aggregation import is_aggregate, unpack
from tidemill.contract.request import Request, decode

FAILS = 0.1
"""Share of calls that are stored and answered as if they were not."""


class Stream:
    """What was put, in its order.

    Attributes:
        port: where it listens.
        requests: all that were put, repeats included.
    """

    def __init__(self, seed: int) -> None:
        self.port = 0
        self.requests: list[Request] = []
        self._dice = random.Random(seed)
        self._lock = threading.Lock()

    def answer(self, operation: str, call: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and the answer to a call."""
        if operation != "PutRecords":
            return 200, {"StreamDescriptionSummary": {"StreamStatus": "ACTIVE"}}
        found: list[Request] = []
        for record in call["Records"]:
            data = b64decode(record["Data"])
            found += map(decode, [one.data for one in unpack(data)] if is_aggregate(data) else [data])
        with self._lock:
            self.requests += found
            fails = self._dice.random() < FAILS
        if fails:
            return 500, {"__type": "InternalFailure", "message": "it is stored all the same"}
        stored = {"ShardId": "shardId-000000000000", "SequenceNumber": "1"}
        return 200, {"FailedRecordCount": 0, "Records": [stored] * len(call["Records"])}

    def applied(self) -> tuple[dict[str, list[Request]], int]:
        """Key -> what a consumer applies, in its order; and how many it would take for repeats that are none."""
        applied: dict[str, list[Request]] = defaultdict(list)
        last: dict[tuple[str | None, str | None], int] = defaultdict(int)
        ids: set[str] = set()
        mistaken = 0
        for request in self.requests:
            place, counter = (request.key, request.writer), request.counter or 0
            if counter > last[place]:
                last[place] = counter
                ids.add(request.id)
                applied[str(request.key)].append(request)
            else:
                mistaken += request.id not in ids
        return applied, mistaken

    @property
    def environment(self) -> dict[str, str]:
        """Has AWS's clients go there."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def served(seed: int) -> Iterator[Stream]:
    """A stream that listens."""
    stream = Stream(seed)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers["X-Amz-Target"].partition(".")[2]
            status, answer = stream.answer(operation, json.loads(body))
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that went away is nothing to talk about."""

    server = Server(("127.0.0.1", 0), Handler)
    stream.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield stream
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
