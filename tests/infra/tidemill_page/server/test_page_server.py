"""The page's server by raw sockets: what it serves, what it refuses, and whom it does not wait for."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from tidemill_page.figures import Figures, History, QuarantinedObject, as_json
from tidemill_page.server.answering import MOST_FOLLOWERS, Redrove
from tidemill_page.server.page_server import MOST_CONNECTIONS, PageServer
from tidemill_page.wording import shown

HOSTILE = "</script><script>alert(1)</script>\u202e\x00\r\n\r\ndata: {}\n\n"


def figures(requests: int = 10, reason: str = "unknown command x") -> Figures:
    one = QuarantinedObject("quarantine/1", "", reason, None, "k", None, None)
    return Figures("local", float(requests), 0.0, requests, 1, History(5), newest_quarantined=(one,))


class Quarantine:
    """Puts objects back, and remembers which."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_go = threading.Event()
        self.may_go.set()

    def redrive(self, object_key: str) -> Redrove:
        self.asked.append(object_key)
        self.may_go.wait(30)
        if object_key == "fails":
            raise RuntimeError("no stream")
        return Redrove(done=object_key != "no", text=f"asked for {object_key}")


@pytest.fixture
def quarantine() -> Quarantine:
    return Quarantine()


@pytest.fixture
def server(quarantine: Quarantine) -> Iterator[PageServer]:
    with PageServer("a test", redrive=quarantine.redrive) as server:
        yield server


@contextmanager
def connected(server: PageServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as made:
        yield made


def answer(server: PageServer, request: str, body: str = "") -> tuple[int, str, str]:
    """The status, the head and the body of what comes back until the connection is closed."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    with connected(server) as made:
        made.sendall(f"{request}\r\n{length}\r\n{body}".encode("latin-1"))
        return parts(everything(made))


def everything(made: socket.socket) -> bytes:
    found = b""
    while more := made.recv(65_536):
        found += more
    return found


def parts(raw: bytes) -> tuple[int, str, str]:
    head, _, body = raw.decode().partition("\r\n\r\n")
    return int(head.split()[1]), head.lower(), body


def get(server: PageServer, path: str = "/", **headers: str) -> tuple[int, str, str]:
    return answer(server, f"GET {path} HTTP/1.1" + written({"Host": f"127.0.0.1:{server.port}"} | headers))


def post(server: PageServer, body: str, **headers: str) -> tuple[int, str, str]:
    own = {
        "Host": f"127.0.0.1:{server.port}",
        "Origin": f"http://127.0.0.1:{server.port}",
        "Content-Type": "application/json",
        "X-Tidemill-Token": token_of(server),
    }
    return answer(server, "POST /redrive HTTP/1.1" + written(own | headers), body)


def written(headers: dict[str, str]) -> str:
    return "".join(f"\r\n{name.replace('_', '-')}: {value}" for name, value in headers.items() if value)


def token_of(server: PageServer) -> str:
    found = re.search(r'name="token" content="([\w-]{43})"', get(server)[2])
    assert found
    return found[1]


@contextmanager
def following(server: PageServer) -> Iterator[tuple[socket.socket, Callable[[], Any]]]:
    """A connection that follows the figures, and what reads its next event."""
    with connected(server) as made, made.makefile("rb") as lines:
        made.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())

        def event() -> Any:
            for line in lines:
                if line.startswith(b"data: "):
                    return json.loads(line.removeprefix(b"data: "))
            raise AssertionError("it ended")

        yield made, event


def test_the_page_is_whole_and_runs_nothing_but_its_own_script(server: PageServer) -> None:
    status, head, body = get(server)
    assert status == 200
    found = re.search(r"content-security-policy: (.+)", head)
    assert found
    policy = found[1]
    nonce = re.findall(r'<script nonce="([\w-]+)"', body)
    assert f"script-src 'nonce-{nonce[0]}'".lower() in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "access-control" not in head
    assert "x-content-type-options: nosniff" in head
    assert len(re.findall("<script", body)) == 1
    assert re.findall(r"(?:src|href)=\"(?!data:,\")", body) == []
    assert re.findall(r"\son\w+=|\sstyle=|https?://", body) == []
    assert get(server)[2] != body, "a nonce is used once"


def test_an_event_has_the_figures_as_json_has_them_and_in_words(server: PageServer) -> None:
    server.publish(figures(reason=HOSTILE))
    with following(server) as (_, event):
        told = event()
        assert told["figures"] == json.loads(json.dumps(as_json(figures(reason=HOSTILE))))
        assert told["shown"] == shown(figures(reason=HOSTILE))
        server.publish(figures(20))
        assert event()["figures"]["requests"] == 20
    with following(server) as (_, event):
        assert event()["figures"]["requests"] == 20, "who comes late has the last one at once"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Host": ""}, 400),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/", "/events"])
def test_other_hosts_and_origins_get_nothing(
    server: PageServer, path: str, headers: dict[str, str], status: int
) -> None:
    server.publish(figures())
    refused, head, body = get(server, path, **headers)
    assert refused == status
    assert token_of(server) not in body
    assert "access-control" not in head


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"X-Tidemill-Token": ""}, 403),
        ({"X-Tidemill-Token": "t" * 43}, 403),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
def test_a_forged_redrive_reaches_nothing(
    server: PageServer, quarantine: Quarantine, headers: dict[str, str], status: int
) -> None:
    assert post(server, '{"object": "one"}', **headers)[0] == status
    assert quarantine.asked == []


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"object": 7}', '{"object": null}', "[" * 4_000])
def test_a_body_that_names_no_object_is_refused(server: PageServer, quarantine: Quarantine, body: str) -> None:
    assert post(server, body)[0] == 400
    assert quarantine.asked == []


def test_what_is_too_large_is_refused(server: PageServer, quarantine: Quarantine) -> None:
    assert post(server, json.dumps({"object": "x" * 5_000}))[0] == 413
    with suppress(ConnectionResetError):  # it does not read to the end
        assert get(server, "/" + "x" * 100_000)[0] == 431
    assert quarantine.asked == []


def test_bytes_that_are_no_http_are_refused(server: PageServer) -> None:
    assert answer(server, "\x16\x03\x01 nothing\r\n")[0] == 400


def test_our_own_page_redrives_and_is_told_what_came_of_it(server: PageServer, quarantine: Quarantine) -> None:
    status, _, body = post(server, '{"object": "one"}')
    assert (status, json.loads(body)) == (200, {"done": True, "text": "asked for one"})
    assert json.loads(post(server, '{"object": "no"}')[2]) == {"done": False, "text": "asked for no"}
    assert json.loads(post(server, '{"object": "fails"}')[2]) == {"done": False, "text": "it failed: no stream"}
    assert quarantine.asked == ["one", "no", "fails"]


def test_without_a_redrive_nothing_is_redriven() -> None:
    with PageServer("a test") as server:
        assert post(server, '{"object": "one"}')[0] == 400
        assert "const redrives = false" in get(server)[2]


def test_other_methods_are_told_the_one(server: PageServer) -> None:
    for method in ("HEAD", "OPTIONS", "PUT"):
        status, head, _ = answer(server, f"{method} / HTTP/1.1\r\nHost: 127.0.0.1:{server.port}")
        assert status == 405
        assert "allow: get" in head


def test_figures_come_while_a_redrive_takes_its_time(server: PageServer, quarantine: Quarantine) -> None:
    quarantine.may_go.clear()
    answered: list[int] = []
    redriving = threading.Thread(target=lambda: answered.append(post(server, '{"object": "one"}')[0]))
    redriving.start()
    with following(server) as (_, event):
        server.publish(figures(30))
        assert event()["figures"]["requests"] == 30
    assert answered == []
    quarantine.may_go.set()
    redriving.join()
    assert answered == [200]


def test_one_that_does_not_read_is_dropped_and_holds_up_nobody() -> None:
    with PageServer("a test", patience=0.2) as server, connected(server) as slow:
        slow.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        large = figures(reason="x" * 1_000_000)
        with following(server) as (_, event):
            server.publish(figures(1))
            assert event()["figures"]["requests"] == 1
            assert slow.recv(10), "it follows, and reads no further"
            for number in range(2, 40):  # more than both sockets' buffers hold
                server.publish(
                    Figures("local", number, 0.0, number, 1, History(5), newest_quarantined=large.newest_quarantined)
                )
                assert event()["figures"]["requests"] == number
            while server.followers > 1:
                server.publish(figures(1))
                event()
        with suppress(ConnectionResetError):
            assert b"0\r\n\r\n" not in everything(slow)[-5:], "dropped, not ended"


def test_one_that_does_not_say_what_it_wants_is_dropped() -> None:
    with PageServer("a test", patience=0.2) as server, connected(server) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost:")
        with suppress(ConnectionResetError):
            assert slow.recv(10) == b""


def test_many_connections_take_up_no_more_than_their_bound(server: PageServer) -> None:
    idle = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(3 * MOST_CONNECTIONS)]
    try:
        dropped = 0
        for one in idle:
            one.settimeout(0.05)
            with suppress(TimeoutError):
                try:
                    dropped += one.recv(1) == b""
                except ConnectionResetError:
                    dropped += 1
        assert dropped == 2 * MOST_CONNECTIONS
        server.publish(figures())
    finally:
        for one in idle:
            one.close()
    while True:
        with suppress(ConnectionError, IndexError):  # until the server has noticed that they have gone
            assert get(server)[0] == 200
            return


def test_followers_are_bounded_too(server: PageServer) -> None:
    server.publish(figures())
    made: list[Any] = []
    try:
        for _ in range(MOST_FOLLOWERS):
            context = following(server)
            made.append(context)
            _, event = context.__enter__()
            event()
        assert get(server, "/events")[0] == 503
        assert get(server)[0] == 200
    finally:
        for context in made:
            context.__exit__(None, None, None)


def test_it_stops_though_somebody_follows_and_a_redrive_goes_on(quarantine: Quarantine) -> None:
    quarantine.may_go.clear()
    with PageServer("a test", redrive=quarantine.redrive) as server, following(server) as (made, event):
        server.publish(figures())
        event()

        def quietly() -> None:
            with suppress(ConnectionError, IndexError):
                post(server, '{"object": "one"}')

        redriving = threading.Thread(target=quietly)
        redriving.start()
        while not quarantine.asked:
            pass
        server.stop()
        with suppress(ConnectionResetError):
            everything(made)
    redriving.join()
    quarantine.may_go.set()
    server.publish(figures())


def test_a_port_that_is_taken_is_an_error(server: PageServer) -> None:
    with pytest.raises(OSError, match="in use"):
        PageServer("another", server.port).start()
