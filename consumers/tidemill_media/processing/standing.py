"""How an event stands by the document of its content: whether there is anything to do.

Room: media application, pure. The rules of content.processed and content.removed decide by the same (photo.py in
tidemill_consumers.media); what is known to lead to nothing need not be decoded.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from tidemill.contract.places import Photo
from tidemill.contract.request import Document
from tidemill_consumers import State

Standing: TypeAlias = Literal["new", "known", "late", "foreign", "deleted"]
"""`known`: the document has what this event led to. `late`: it has that of a later one. `foreign`: the content is
another's."""


def standing(document: State, photo: Photo, version: str) -> Standing:
    """How an event stands.

    Args:
        document: the content's.
        photo: whose photo the event tells of.
        version: the event's.
    """
    if not document:
        return "new"
    if document.get("deleted"):
        return "deleted"
    if "title" in document and document.get("owner") != photo.identity:
        return "foreign"
    known = shown(document, photo)["version"] if shown(document, photo) else ""
    if known == version:
        return "known"
    return "late" if known > version else "new"


def shown(document: State, photo: Photo) -> Document:
    """The photo that a document has of this identity; empty if there is none."""
    found: Document = (document or {}).get("photo") or {}
    if found.get("by") == photo.identity:
        return found
    uploaded: Document = (document or {}).get("uploads", {}).get(photo.identity, {})
    return uploaded
