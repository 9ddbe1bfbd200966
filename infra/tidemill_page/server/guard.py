"""Which requests the page's server refuses: those that another page, or another name of this machine, has sent.

Room: page, server, pure. A page of any site may have a browser send requests to 127.0.0.1, and a name that its owner
lets point there makes them look like that site's own (DNS rebinding). So a request must name this server as its host,
and say nothing of another origin; and what changes something needs the token that only our own page holds.
https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

PAGE, EVENTS, REDRIVE = "/", "/events", "/redrive"

METHODS: Final = {PAGE: "GET", EVENTS: "GET", REDRIVE: "POST"}
"""The only method of each path. None with GET changes anything."""

NOT_ALLOWED: Final = 405

TOKEN_HEADER: Final = "x-tidemill-token"  # noqa: S105 # a header's name


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body: `headers` has the values of each header by its name in lower case."""

    method: str
    target: str
    headers: Mapping[str, Sequence[str]]

    def one(self, name: str) -> str | None:
        """The header's value; None if it is missing or there several times."""
        values = self.headers.get(name, ())
        return values[0] if len(values) == 1 else None

    def has(self, name: str) -> bool:
        """Whether the header is there."""
        return bool(self.headers.get(name))


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a request that is refused."""

    status: int
    reason: str


def refusal(head: Head, port: int, token: str) -> Refusal | None:
    """Why the request is refused; None if it is not.

    Args:
        head: the request.
        port: the server's.
        token: the page's.
    """
    host = (head.one("host") or "").lower()
    if host not in (f"127.0.0.1:{port}", f"localhost:{port}"):
        return Refusal(421, "the host is not this server")
    is_post = head.method == "POST"
    if head.has("origin") and head.one("origin") != f"http://{host}":
        return Refusal(403, "the request is another origin's")
    if head.has("sec-fetch-site") and head.one("sec-fetch-site") not in (
        ("same-origin",) if is_post else ("same-origin", "none")
    ):
        return Refusal(403, "the request is another site's")
    method = METHODS.get(head.target)
    if method is None:
        return Refusal(404, "there is no such page")
    if head.method != method:
        return Refusal(NOT_ALLOWED, f"only {method} is allowed")
    return _refused_post(head, token) if is_post else None


def _refused_post(head: Head, token: str) -> Refusal | None:
    if not hmac.compare_digest((head.one(TOKEN_HEADER) or "").encode(), token.encode()):
        return Refusal(403, "the token is not this page's; load the page again")
    if (head.one("content-type") or "").partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, "the body must be application/json")
    return None
