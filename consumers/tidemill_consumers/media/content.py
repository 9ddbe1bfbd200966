"""Content that people publish, view, like, change and delete. Key: "content/<id>".

Room: rules. Pure.
Tests: tests/consumers/tidemill_consumers/media/test_media.py.
"""

from __future__ import annotations

from tidemill.contract.request import MAX_KEY_CHARACTERS, Document
from tidemill_consumers import Accepted, Emit, Rejected, Request, State
from tidemill_consumers.media import photo

MAX_TITLE = 200
"""Characters."""


def publish(state: State, request: Request) -> Accepted | Rejected:
    """Publish under a title; counts from before are kept, and a photo that the owner uploaded."""
    if state and "title" in state:
        return Rejected("it is published already")
    title = request.data.get("title")
    if not _is_title(title):
        return Rejected(f"title: 1 to {MAX_TITLE} characters")
    if _is_deleted(state):
        return Rejected("it was deleted")
    return Accepted({**photo.published(state or {}, request.client), "title": title, "owner": request.client})


def update(state: State, request: Request) -> Accepted | Rejected:
    """Change the title."""
    if not state or "title" not in state:
        return Rejected("there is no such content")
    title = request.data.get("title")
    if not _is_title(title):
        return Rejected(f"title: 1 to {MAX_TITLE} characters")
    return Accepted({**state, "title": title})


def viewed(state: State, amount: int) -> Accepted | Rejected:
    """Count views. Content that lives elsewhere is counted too: a view needs no title."""
    return _count(state, "views", amount)


def liked(state: State, amount: int) -> Accepted | Rejected:
    """Count likes."""
    return _count(state, "likes", amount)


def delete(state: State, request: Request) -> Accepted | Rejected:
    """Delete the content and count it for its owner. Its id cannot be used again: late requests find it deleted."""
    if not state or "title" not in state:
        return Rejected("there is no such content")
    left = {"deleted": True, **photo.deleted(state)}
    return Accepted(left, emits=_to_owner(state, "user.deleted_content", {"content": request.key}))


def _to_owner(state: Document, cmd: str, data: Document) -> tuple[Emit, ...]:
    """A follow-up request to the content's owner; none if there is no owner or the name does not fit a key."""
    owner = state.get("owner")
    key = f"user/{owner}"
    return (Emit(cmd, key, data),) if owner and len(key) <= MAX_KEY_CHARACTERS else ()


def _count(state: State, counter: str, amount: int) -> Accepted | Rejected:
    if _is_deleted(state):
        return Rejected("it was deleted")
    document: Document = state or {}
    return Accepted({**document, counter: document.get(counter, 0) + amount})


def _is_title(title: object) -> bool:
    return isinstance(title, str) and 0 < len(title.strip()) <= MAX_TITLE


def _is_deleted(state: State) -> bool:
    return bool(state and state.get("deleted"))
