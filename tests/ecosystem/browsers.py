"""Amplify and the SDK for JavaScript in Chromium, signed in by the platform's Cognito. Run by `make test-ecosystem`.

It needs Chromium, which CHROMIUM names, or its usual names find.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest

from tests.browser.devtools import CHROMIUM, QUIET
from tests.ecosystem.secured import Secured, secured
from tests.signing_in import PASSWORD
from tidemill import reply_queue
from tidemill_local.platform import Platform

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; CHROMIUM names one elsewhere"),
]
COUNT = 5
"""Requests sent in each way."""

PAGE = b'<!doctype html><meta charset="utf-8"><script type="module" src="app.js"></script>'
Answers = dict[str, Callable[[bytes], bytes]]


@contextmanager
def website(script: bytes, answers: Answers) -> Iterator[str]:
    """A page with a script, and what its calls are answered by their paths: its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.strip("/")
            body = {"": PAGE, "app.js": script}.get(path)
            kind = "text/html" if path == "" else "text/javascript"
            self._answer(kind, answers[path](b"") if body is None and path in answers else body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer("text/plain", answers[self.path.strip("/")](body))

        def _answer(self, kind: str, body: bytes | None) -> None:
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_request(self, *_: object) -> None:
            """Nothing: the test tells what matters."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def chromium(url: str, front: Secured, folder: Path) -> list[str]:
    """A command that shows the page, in which all of AWS's hosts are that front, and of others only this machine's."""
    pin = base64.b64encode(sha256(front.public_key).digest()).decode()
    rules = f"MAP *.amazonaws.com 127.0.0.1:{front.port}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE *.localhost"
    own = [
        f"--user-data-dir={folder}",
        f"--host-resolver-rules={rules}",
        f"--ignore-certificate-errors-spki-list={pin}",
    ]
    return [str(CHROMIUM), *QUIET, *own, url]


@contextmanager
def shown(url: str, front: Secured, folder: Path) -> Iterator[None]:
    """The page is shown as long as the block."""
    command = chromium(url, front, folder)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.fixture(scope="module")
def platform() -> Iterator[Platform]:
    with Platform(0, {"BatchingWindowSeconds": "1", "ShardCount": "2"}) as running:
        yield running


@pytest.fixture
def outcome(platform: Platform, browser: Path, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What the app in the browser tells of its run."""
    emulator, outputs = platform.emulator, platform.outputs
    users = emulator.client("cognito-idp")
    pool = {"UserPoolId": outputs["UserPoolId"], "Username": "ada@example.com"}
    users.admin_create_user(**pool, MessageAction="SUPPRESS")
    users.admin_set_user_password(**pool, Password=PASSWORD, Permanent=True)
    settings = {
        "stream": outputs["StreamName"],
        "endpoint": emulator.endpoint_url,
        "userPoolId": outputs["UserPoolId"],
        "userPoolClientId": outputs["UserPoolClientId"],
        "identityPoolId": outputs["IdentityPoolId"],
        "username": "ada@example.com",
        "password": PASSWORD,
        "count": COUNT,
    }
    outcomes: Queue[bytes] = Queue()
    with ExitStack() as opened:

        def make_queue(identity: bytes) -> bytes:
            tags = {"identity": json.loads(identity)}
            hears = str(settings["username"])
            making = reply_queue(outputs["RepliesTopicArn"], hears=hears, client_of=emulator.client, tags=tags)
            return opened.enter_context(making).encode()

        def take(outcome: bytes) -> bytes:
            outcomes.put(outcome)
            return b""

        answers: Answers = {
            "settings": lambda _: json.dumps(settings).encode(),
            "identity": make_queue,
            "outcome": take,
        }
        script = (browser / "bundle.js").read_bytes()
        port = int(emulator.endpoint_url.rpartition(":")[2])
        front = opened.enter_context(secured(port, tmp_path))
        url = opened.enter_context(website(script, answers))
        with shown(url, front, tmp_path / "profile"):
            yield json.loads(outcomes.get(timeout=120))


def test_a_signed_in_app_sends_is_applied_once_and_answered(platform: Platform, outcome: dict[str, Any]) -> None:
    assert "error" not in outcome, outcome["error"]
    assert len(outcome["sent"]) == 3 * COUNT
    assert outcome["heard"] == dict.fromkeys(outcome["sent"], "accepted")
    assert outcome["refusals"] == {"forbidden": "AccessDeniedException", "forged": "InvalidSignatureException"}
    table: Any = platform.emulator.client("dynamodb")
    for way in ("tls", "plain", "amplify"):
        item = table.get_item(TableName=platform.outputs["TableName"], Key={"pk": {"S": f"content/{way}"}})["Item"]
        assert item["doc"] == {"M": {"views": {"N": str(COUNT)}}}
