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
brings theirs along. Afterwards it takes its owner's alone. The others' photos, and those that come too late, stay in
`uploads` as removed, for their thumbnails may be there already. A batch's requests make one change of the table, so
whoever follows the table and clears up sees only what is in the document in the end.
"""

from __future__ import annotations

from tidemill.contract.request import Document
from tidemill_consumers import Accepted, Rejected, Request, State

MOST_UPLOADS = 8
"""Identities whose photos a document keeps until it is published."""

MOST_NOTES = 64
"""Identities whose photos a document remembers as removed until it is published: else whoever signs up often enough
fills the document of a content that somebody else is about to publish."""

REMOVED = "removed"

REFUSED = "refused"
"""The status of a photo that was not even looked at, because its content will not take it."""


def processed(state: State, request: Request) -> Accepted | Rejected:
    """Take a photo that was uploaded and looked at: it has thumbnails, or a reason why it has none."""
    photo = request.data
    return Rejected(photo["reason"]) if photo["status"] == REFUSED else _naming(request.key, _take(state, photo))


def removed(state: State, request: Request) -> Accepted | Rejected:
    """Take note that a photo was deleted from the bucket."""
    return _naming(request.key, _take(state, {**request.data, "status": REMOVED}))


def published(document: Document, owner: str | None) -> Document:
    """The document that is published now, with its owner's photo; the others that were uploaded for it are removed."""
    found = dict(document)
    uploads: Document = dict(found.pop("uploads", {}))
    photo = uploads.pop(owner or "", None)
    found |= {"uploads": {by: _gone(one) for by, one in uploads.items()}} if uploads else {}
    return _showing(found, photo) if photo else found


def deleted(document: Document) -> Document:
    """The members that a deleted content keeps of its photos, so that one that comes late is known."""
    photo = document.get("photo")
    left: Document = {"photo": _gone(photo)} if photo else {}
    return left | {name: document[name] for name in ["uploads"] if name in document}


def _naming(key: str | None, outcome: Accepted | Rejected) -> Accepted | Rejected:
    """The outcome, whose answer says of which content it is: the uploader does not know the id of such a request."""
    if isinstance(outcome, Rejected):
        return outcome
    return Accepted(outcome.state, {"key": key, **outcome.answer})


def _take(state: State, photo: Document) -> Accepted | Rejected:
    document = state or {}
    if document.get("deleted"):
        return _refuse(document, photo, "the content was deleted")
    if "title" not in document:
        return _keep(document, photo)
    if document.get("owner") != photo["by"]:
        return _refuse(document, photo, "the content is another's")
    latest = _latest(document.get("photo"), photo)
    return Accepted(_showing(document, latest), _answer(latest))


def _keep(document: Document, photo: Document) -> Accepted | Rejected:
    uploads = document.get("uploads", {})
    waiting = [by for by, one in uploads.items() if one["status"] != REMOVED and by != photo["by"]]
    if len(waiting) >= MOST_UPLOADS:
        why = f"photos of {MOST_UPLOADS} people wait for it to be published: publish it, and upload again"
        return _refuse(document, photo, why)
    latest = _latest(uploads.get(photo["by"]), photo)
    others = _with_notes({by: one for by, one in uploads.items() if by != photo["by"]}, MOST_NOTES - 1)
    return Accepted({**document, "uploads": {**others, photo["by"]: latest}}, _answer(latest))


def _refuse(document: Document, photo: Document, why: str) -> Accepted | Rejected:
    """Note as removed what a content does not take, so that what was made of it goes, too.

    As many such notes are kept as photos may wait, the latest: those of earlier batches have done what they are for.
    """
    if photo["status"] == REMOVED:
        return Rejected(why)
    uploads: Document = dict(document.get("uploads", {}))
    before = uploads.pop(photo["by"], None) or {**_gone(photo), "version": ""}
    noted = {**_gone(photo), "version": max(before["version"], photo["version"]), "late": before.get("late", 0) + 1}
    others = _with_notes(uploads, MOST_UPLOADS - 1)
    return Accepted({**document, "uploads": {**others, photo["by"]: noted}}, {**_answer(photo, REFUSED), "reason": why})


def _with_notes(uploads: Document, most: int) -> Document:
    """The uploads, with the last so many of those that were removed."""
    notes = [by for by, one in uploads.items() if one["status"] == REMOVED]
    forgotten = set(notes[: max(0, len(notes) - most)])
    return {by: one for by, one in uploads.items() if by not in forgotten}


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


def _answer(photo: Document, status: str | None = None) -> Document:
    return {"version": photo["version"], "status": status or photo["status"]}
