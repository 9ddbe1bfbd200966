"""The photo of a content, as events of the bucket tell of it. Key: "content/<id>", as it stands in the photo's name.

Room: rules. Pure.

A photo is what the function on the bucket's events found out: `by`, the identity that uploaded it; `version`, text that
sorts by when it was uploaded or removed; `status`, which is "ready", "unsupported" or "removed"; `thumbnails`, and what
else is known of it. Events may come late and again, so the higher version counts:

| the photo's version is | then |
|---|---|
| higher than the document's, or the first | the document has this photo |
| the document's | it came before: nothing changes |
| lower | the document's photo counts one more as `late`: whoever follows the table sees a change, and clears up |

A content that nobody has published has a photo for each identity that uploaded one, in `uploads`; whoever publishes it
brings theirs along. Afterwards it takes its owner's alone.
"""

from __future__ import annotations

from tidemill.contract.request import Document
from tidemill_consumers import Accepted, Rejected, Request, State

MOST_UPLOADS = 8
"""Identities whose photos a document keeps until it is published."""

REMOVED = "removed"


def processed(state: State, request: Request) -> Accepted | Rejected:
    """Take a photo that was uploaded and looked at: it has thumbnails, or a reason why it has none."""
    return _take(state, request.data)


def removed(state: State, request: Request) -> Accepted | Rejected:
    """Take note that a photo was deleted from the bucket."""
    return _take(state, {**request.data, "status": REMOVED})


def published(document: Document, owner: str | None) -> Document:
    """The document that is published now, with its owner's photo in place of all that were uploaded for it."""
    found = dict(document)
    photo = found.pop("uploads", {}).get(owner)
    return _showing(found, photo) if photo else found


def deleted(document: Document) -> Document:
    """What a deleted content leaves of its photo, so that one that comes late is known."""
    photo = document.get("photo")
    return {"photo": _gone(photo)} if photo else {}


def _take(state: State, photo: Document) -> Accepted | Rejected:
    document = state or {}
    if document.get("deleted"):
        return _take_late(document, photo)
    if "title" not in document:
        return _keep(document, photo)
    if document.get("owner") != photo["by"]:
        return Rejected("the content is another's")
    latest = _latest(document.get("photo"), photo)
    return Accepted(_showing(document, latest), _answer(latest))


def _keep(document: Document, photo: Document) -> Accepted | Rejected:
    uploads = document.get("uploads", {})
    if photo["by"] not in uploads and len(uploads) >= MOST_UPLOADS:
        return Rejected(f"photos of {MOST_UPLOADS} people wait for it to be published: publish it, and upload again")
    latest = _latest(uploads.get(photo["by"]), photo)
    return Accepted({**document, "uploads": {**uploads, photo["by"]: latest}}, _answer(latest))


def _take_late(document: Document, photo: Document) -> Accepted | Rejected:
    """Note which version's thumbnails came after the content was deleted, so that they go, too."""
    current = document.get("photo") or {**_gone(photo), "version": ""}
    if current["by"] != photo["by"] or not photo.get("thumbnails"):
        return Rejected("it was deleted")
    noted = {**current, "version": max(current["version"], photo["version"]), "late": current.get("late", 0) + 1}
    return Accepted({**document, "photo": noted}, _answer(noted))


def _latest(current: Document | None, photo: Document) -> Document:
    """The photo to go on with, by the table above."""
    if current is None or photo["version"] > current["version"]:
        return photo
    if photo["version"] == current["version"]:
        return current
    return {**current, "late": current.get("late", 0) + 1}


def _showing(document: Document, photo: Document) -> Document:
    """The document with this photo, and with its place in the form that contents are found by."""
    found = {name: value for name, value in document.items() if name != "geohash"}
    place = {"geohash": photo["geohash"]} if "geohash" in photo else {}
    return {**found, "photo": photo, **place}


def _gone(photo: Document) -> Document:
    return {"by": photo["by"], "version": photo["version"], "status": REMOVED}


def _answer(photo: Document) -> Document:
    return {"version": photo["version"], "status": photo["status"]}
