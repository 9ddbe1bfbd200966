"""The direct sender against an API that does as it is told: order, retries, what is given up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, TypeAlias

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import Credentials

from tidemill_bench.sending import TRIES, DirectSender, StreamSender
from tidemill_load.results.request_tracker import RequestTracker
from tidemill_load.workloads.scheduled_request import ScheduledRequest

Answer: TypeAlias = Callable[[dict[str, Any]], tuple[int, Any]]


class Api:
    """Answers each request as `answer` says, and keeps what came."""

    def __init__(self) -> None:
        self.answer: Answer = lambda request: (200, {"id": request["id"], "status": "accepted"})
        self.came: list[dict[str, Any]] = []
        self.signed: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = Lock()

    def take(self, headers: Any, body: bytes) -> tuple[int, bytes]:
        request = json.loads(body)
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self.came.append(request)
            self.signed.append(headers["authorization"])
            status, answer = self.answer(request)
        time.sleep(0.005)
        with self._lock:
            self._at_once -= 1
        return status, answer if isinstance(answer, bytes) else json.dumps(answer).encode()


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def url(api: Api) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            status, answer = api.take(self.headers, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/requests"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def tracker() -> RequestTracker:
    return RequestTracker("t")


@pytest.fixture
def sender(tracker: RequestTracker, url: str) -> Iterator[DirectSender]:
    made = DirectSender(tracker, url, Credentials("key", "secret"), "us-east-1", connections=4)
    yield made
    made.close()


def send(sender: DirectSender, tracker: RequestTracker, *keys: str) -> None:
    for key in keys:
        sender.send(tracker.item(ScheduledRequest(0.0, "content.view", key, "ann", {}), time.monotonic()))
    assert sender.finish(20)


def test_requests_of_a_key_leave_one_after_the_other_and_others_at_once(
    api: Api, sender: DirectSender, tracker: RequestTracker
) -> None:
    keys = [f"content/{number % 8}" for number in range(80)]
    send(sender, tracker, *keys)
    for key in set(keys):
        serials = [one["data"]["serial"] for one in api.came if one["key"] == f"t/{key}"]
        assert serials == list(range(1, 11))
    assert 1 < api.most_at_once <= 4
    assert tracker.statuses == {"accepted": 80}
    assert (sender.http_requests, sender.retries, tracker.errors) == (80, 0, 0)
    assert len({one["w"] for one in api.came}) == 1
    assert all(one.startswith("AWS4-HMAC-SHA256 Credential=key/") and "execute-api" in one for one in api.signed)


def test_outcomes_are_read_from_the_answers(api: Api, sender: DirectSender, tracker: RequestTracker) -> None:
    answers = iter([(200, "accepted"), (409, "rejected"), (422, "quarantined")])

    def answer(request: dict[str, Any]) -> tuple[int, Any]:
        status, outcome = next(answers)
        return status, {"id": request["id"], "status": outcome}

    api.answer = answer
    send(sender, tracker, "a", "a", "a")
    assert tracker.statuses == {"accepted": 1, "rejected": 1, "quarantined": 1}


@pytest.mark.parametrize("problem", [(503, {"error": "not now"}), (500, b"oops"), (429, b""), (502, {"message": "x"})])
def test_what_may_succeed_is_sent_again_as_it_was(
    api: Api, sender: DirectSender, tracker: RequestTracker, problem: tuple[int, Any]
) -> None:
    def answer(request: dict[str, Any]) -> tuple[int, Any]:
        return problem if len(api.came) == 1 else (208, {"id": request["id"]})

    api.answer = answer
    send(sender, tracker, "a", "a")
    assert [one["data"]["serial"] for one in api.came] == [1, 1, 2]
    assert api.came[0] == api.came[1]
    assert tracker.statuses == {"accepted": 2}
    assert (sender.retries, sender.http_requests) == (1, 3)


@pytest.mark.parametrize("problem", [(400, {"error": "no key"}), (403, {"message": "Forbidden"}), (409, {"id": "x"})])
def test_what_cannot_succeed_is_an_error_at_once(
    api: Api, sender: DirectSender, tracker: RequestTracker, problem: tuple[int, Any]
) -> None:
    api.answer = lambda _: problem
    send(sender, tracker, "a")
    assert (tracker.errors, tracker.settled, len(api.came)) == (1, 1, 1)


def test_what_never_succeeds_is_given_up(
    api: Api, sender: DirectSender, tracker: RequestTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill_bench.sending.FIRST_PAUSE", 0.001)
    api.answer = lambda _: (503, {"error": "not now"})
    send(sender, tracker, "a")
    assert (tracker.errors, len(api.came), sender.retries) == (1, TRIES, TRIES - 1)
    assert tracker.problems == {'status 503: {"error": "not now"}': 1}


def test_an_error_that_nobody_foresaw_keeps_nobody_waiting(
    api: Api, sender: DirectSender, tracker: RequestTracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(payload: bytes) -> tuple[int | None, bytes]:
        raise LookupError("nobody foresaw this")

    monkeypatch.setattr(sender, "_call", odd)
    send(sender, tracker, "a", "a", "b")
    assert tracker.problems == {"LookupError('nobody foresaw this')": 3}


def test_what_the_producer_gives_up_is_told_with_its_cause(api: Api, url: str, tracker: RequestTracker) -> None:
    def answer(call: dict[str, Any]) -> tuple[int, Any]:
        if "Records" in call:
            return 400, {"__type": "AccessDeniedException", "message": "not authorized"}
        return 200, {"StreamDescriptionSummary": {"StreamStatus": "ACTIVE"}}

    api.answer = answer
    kinesis: Any = boto3.client(
        "kinesis",
        endpoint_url=url.removesuffix("/requests"),
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(proxies={}),
    )
    with closing(kinesis), closing(StreamSender(tracker, kinesis, "s", aggregate=True)) as sender:
        for number in range(3):
            sender.send(tracker.item(ScheduledRequest(0.0, "content.view", f"k{number}", "c", {}), 0.0))
        assert sender.finish(30)
    assert (tracker.errors, tracker.settled) == (3, 3)
    [(problem, count)] = tracker.problems.items()
    assert count == 3
    assert "AccessDeniedException" in problem
    assert problem.endswith("(allow the caller kinesis:PutRecords on the stream)")
