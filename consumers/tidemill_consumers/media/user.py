"""Users who sign up. Key: "user/<e-mail address in lower case>", which makes the address unique.

Room: rules. Pure.
Tests: tests/consumers/tidemill_consumers/media/test_media.py.
"""

from __future__ import annotations

import re

from tidemill_consumers import Accepted, Rejected, Request, State

MAX_NAME = 100
"""Characters."""

EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}"
)
"""HTML's rule for input type=email, with at least one dot in the domain."""


def create(state: State, request: Request) -> Accepted | Rejected:
    """Sign up with a name of letters and spaces and an e-mail address nobody has used."""
    name, email = request.data.get("name"), request.data.get("email")
    if not isinstance(name, str) or not _is_name(name):
        return Rejected(f"name: letters and spaces, at most {MAX_NAME}")
    if not isinstance(email, str) or not EMAIL.fullmatch(email):
        return Rejected("email: not an e-mail address")
    if request.key != f"user/{email.lower()}":
        return Rejected("key: must be user/ and the e-mail address in lower case")
    if state and "email" in state:
        return Rejected("email: there is a user with this address")
    return Accepted({**(state or {}), "name": name, "email": email}, {"user": request.key})


def deleted_content(state: State, request: Request) -> Accepted | Rejected:
    """Count a deleted content of the user's. Emitted by content.delete to user/ and the owner's client name.

    A user whose client name is the e-mail address has the count in the same document; other owners get one of their
    own.
    """
    document = state or {}
    return Accepted({**document, "deleted_contents": document.get("deleted_contents", 0) + 1})


def _is_name(name: str) -> bool:
    return 0 < len(name) <= MAX_NAME and bool(name.strip()) and all(c.isalpha() or c == " " for c in name)
