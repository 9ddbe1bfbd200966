"""What the bucket, the documents and the index must hold in the end, by what people did; reckoned apart from the code.

S3's own order of an object's versions and the order of the stream decide. The judge compares no sequencers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import msgspec

from tests.simulation.photos.decoder import File
from tests.simulation.photos.functions import SIZES, Functions
from tests.simulation.photos.history import Listed, listed, listed_as, wrong_histories
from tests.simulation.photos.people import People
from tests.simulation.photos.storage import Version
from tidemill.contract.content_index import MANIFEST, read_manifest, read_page
from tidemill.contract.places import CACHED, INDEX, PHOTOS, THUMBNAILS, photo_of
from tidemill.contract.request import Document
from tidemill_consumers.codec.items import from_item
from tidemill_consumers.media.photo import MOST_UPLOADS
from tidemill_media.imaging import FORMATS
from tidemill_media.media import MOST_BEGUN
from tidemill_media.processing.requests import FATAL


@dataclass
class Verdict:
    """What a run, or several, came to."""

    acts: int = 0
    decoded: int = 0
    listed: int = 0
    thumbnails: int = 0
    given_up: int = 0
    """Events that failed three times, and were sent again by an operator."""
    invocations: int = 0
    """Of the index function."""
    faults: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    seeds: int = 0
    failed_seeds: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether nothing went wrong."""
        return not self.problems

    @property
    def summary(self) -> str:
        """What went wrong, for a line."""
        return "; ".join(self.problems[:3])

    def add(self, other: Verdict) -> None:
        """Add another's figures."""
        for name, value in vars(other).items():
            if name == "faults":
                self.faults.update(value)
            else:
                setattr(self, name, getattr(self, name) + value)


_Uploads: TypeAlias = dict[str, list[Version]]
"""By name of a photo: what is in the bucket now, or a delete marker; as it is known by its own event, or by one of a
later version that was deleted for good."""


def _uploads(functions: Functions) -> _Uploads:
    storage = functions.storage
    found: _Uploads = {}
    for name in {*storage.versions, *storage.purged}:
        if name.startswith(PHOTOS):
            last = storage.versions[name][-1] if name in storage.versions else None
            later = [one for one in storage.purged.get(name, []) if last is None or one.padded > last.padded]
            known = [replace(last or one, sequencer=one.sequencer, modified=one.modified) for one in later]
            found[name] = [last, *known] if last else known
    return found


def judge(functions: Functions, people: People) -> Verdict:
    """What went wrong."""
    storage = functions.storage
    documents = {key: from_item(item).document or {} for key, item in functions.table.items.items()}
    contents = _contents(functions)
    uploads = _uploads(functions)
    problems = [
        *people.misread,
        *functions.bus.failures,
        *_wrong_requests(functions, people, contents),
        *_wrong_documents(documents, contents, uploads, functions.unfinished),
        *_wrong_thumbnails(functions, documents),
        *_wrong_cached(functions, documents),
        *_wrong_indexes(functions, documents),
        *wrong_histories(functions),
        *(f"file {number} was decoded again" for number in functions.decoded_again),
    ]
    return Verdict(
        acts=len(people.sent) + sum(len(of_name) for name, of_name in storage.versions.items() if name in uploads),
        decoded=functions.decoder.begun.total(),
        listed=len(_entries(documents, None)),
        thumbnails=len(storage.names(THUMBNAILS)),
        given_up=functions.bus.given_up,
        invocations=functions.changes.invocations,
        faults=functions.world.faults.copy(),
        problems=problems,
        seeds=1,
    )


# ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class _Content:
    """A content, as the stream has it."""

    owner: str | None = None
    title: str | None = None
    views: int = 0
    is_deleted: bool = False
    statuses: dict[str, str] = field(default_factory=dict)
    """What became of its requests, by id, as far as it follows from these."""


def _contents(functions: Functions) -> dict[str, _Content]:
    contents: dict[str, _Content] = {}
    seen: set[str] = set()
    for place in functions.pipeline.log.places:
        request = place.request
        if request.id not in seen and request.cmd.startswith("content."):
            seen.add(request.id)
            content = contents.setdefault(place.key, _Content())
            status = _taken(content, request.cmd.removeprefix("content."), request.client, request.data)
            if status is not None:
                content.statuses[request.id] = "accepted" if status else "rejected"
    return contents


def _taken(content: _Content, act: str, client: str | None, data: Document) -> bool | None:
    """What the application does with a request, and whether it accepts it; None if others have to say so."""
    is_open = not content.is_deleted
    match act:
        case "publish" if is_open and content.title is None:
            content.title, content.owner = data["title"], client
        case "update" if content.title is not None:
            content.title = data["title"]
        case "view" if is_open:
            content.views += 1
        case "delete" if content.title is not None:
            content.is_deleted, content.title, content.owner = True, None, None
        case "processed" | "removed":
            return None
        case _:
            return False
    return True


def _wrong_requests(functions: Functions, people: People, contents: dict[str, _Content]) -> Iterator[str]:
    heard = functions.pipeline.topic.heard
    expected = {one: status for content in contents.values() for one, status in content.statuses.items()}
    for one in people.sent:
        if heard.get(one) != {expected.get(one)}:
            yield f"a client heard {heard.get(one)} of a request that was {expected.get(one)}"
    for place in functions.pipeline.log.places:
        request = place.request
        if request.client and len(heard.get(request.id, ())) != 1:
            yield f"{request.client} heard {heard.get(request.id)} of {request.cmd}"
    if functions.pipeline.quarantined:
        yield f"{len(functions.pipeline.quarantined)} requests are in the quarantine"
    if functions.pipeline.topic.too_early:
        yield "a reply left before its effect was stored"


# ── Documents ────────────────────────────────────────────────────────────────────────────────────────────────


def _wrong_documents(
    documents: dict[str, Document],
    contents: dict[str, _Content],
    uploads: _Uploads,
    unfinished: Counter[str],
) -> Iterator[str]:
    photos = {photo: one for name, one in uploads.items() if (photo := photo_of(name))}
    for key in sorted(contents.keys() | {photo.key for photo in photos}):
        document, content = documents.get(key, {}), contents.get(key, _Content())
        by_identity = {photo.identity: one for photo, one in photos.items() if photo.key == key}
        found = [document.get(name) for name in ("title", "owner", "views", "deleted")]
        views = None if content.is_deleted else content.views or None
        if found != [content.title, content.owner, views, content.is_deleted or None]:
            yield f"{key} says {found} where its requests say {content}"
        fatal = {one.padded for known in by_identity.values() for one in known if unfinished[one.padded] >= MOST_BEGUN}
        yield from (f"{key} {problem}" for problem in _wrong_photos(document, content, by_identity, fatal))
        if document.get("geohash") != document.get("photo", {}).get("geohash"):
            yield f"{key} is found at {document.get('geohash')}, where its photo was not taken"


def _wrong_photos(document: Document, content: _Content, uploaded: _Uploads, fatal: Collection[str]) -> Iterator[str]:
    """What is wrong with a document's photos; those versions in `fatal` may have been given up."""
    shown, kept = document.get("photo"), document.get("uploads", {})
    if content.is_deleted:
        if _waiting(kept) or (shown or {}).get("thumbnails"):
            yield "was deleted, and has photos"
        return
    if len(uploaded) > MOST_UPLOADS:  # some were refused until it was published, the owner's perhaps
        uploaded = {by: one for by, one in uploaded.items() if by in _waiting(kept)}
    if content.owner is None:
        if shown:
            yield f"is not published, and shows a photo by {shown['by']}"
        for identity, known in uploaded.items():
            yield from _wrong_photo(kept.get(identity), identity, known, fatal)
        return
    if _waiting(kept):
        yield f"is published, and has uploads by {_waiting(kept)}"
    if content.owner in uploaded:
        yield from _wrong_photo(shown, content.owner, uploaded[content.owner], fatal)
    elif shown and shown["by"] != content.owner:
        yield f"shows a photo by {shown['by']}, and its owner has uploaded none"


def _waiting(uploads: Document) -> list[str]:
    """Whose photos wait for their content to be published."""
    return sorted(by for by, one in uploads.items() if one["status"] != "removed")


def _wrong_photo(
    photo: Document | None, identity: str, known: Sequence[Version], fatal: Collection[str]
) -> Iterator[str]:
    problems = [list(_differences(photo, identity, one, one.padded in fatal)) for one in known]
    if all(problems):
        yield from problems[0]


def _differences(photo: Document | None, identity: str, version: Version, may_be_given_up: bool) -> Iterator[str]:
    expected = _photo(identity, version)
    if may_be_given_up and (photo or {}).get("reason") == FATAL:
        expected = {name: expected[name] for name in ("by", "version", "uploaded", "object", "bytes")}
    if expected.get("status") == "removed" and (photo is None or photo["status"] == "removed"):
        return  # it need not be told, and not again of each version that goes
    found = {name: (photo or {}).get(name) for name in expected}
    for name, value in expected.items():
        if found[name] != value:
            yield f"has a photo whose {name} is {found[name]!r} instead of {value!r}"
            return


def _photo(identity: str, version: Version) -> Document:
    """What a document is to say of a photo, but for its thumbnails' names and bytes."""
    said: Document = {
        "by": identity,
        "version": version.padded,
        "uploaded": int(version.modified.timestamp() * 1000),
    }
    if version.body is None:
        return said | {"status": "removed"}
    file = msgspec.json.decode(version.body, type=File)
    said |= {"object": version.id, "bytes": len(version.body)}
    if file.kind != "photo":
        return said | {"status": "unsupported", "reason": f"{file.kind}s are not shown"}
    place = file.place if version.metadata.get("place") == "yes" else None
    said |= {"place": {"latitude": place[0], "longitude": place[1]} if place else None}
    return said | {"status": "ready", "format": "JPEG", "width": file.width, "height": file.height}


# ── Thumbnails ───────────────────────────────────────────────────────────────────────────────────────────────


def _wrong_thumbnails(functions: Functions, documents: dict[str, Document]) -> Iterator[str]:
    storage = functions.storage
    named: dict[str, int] = {}
    folders: set[str] = set()
    for key, document in documents.items():
        for photo in _photos(document):
            shown = photo.get("thumbnails", [])
            if photo["status"] != "removed":
                folders.add(f"{THUMBNAILS}{photo['by']}/{key}/v={photo['version']}")
            kinds = sorted((one["size"], one["type"]) for one in shown)
            wanted = sorted((size, f"image/{extension}") for size in SIZES for extension in FORMATS)
            if photo["status"] == "ready" and kinds != wanted:
                yield f"{key} has thumbnails {kinds}"
            named |= {one["name"]: one["bytes"] for one in shown}
    there = {name: len(body) for name, body in storage.bodies(THUMBNAILS).items()}
    for name in sorted(named.keys() - there.keys()):
        yield f"{name} is not there"
    for name in sorted(named.keys() & there.keys()):
        if named[name] != there[name]:
            yield f"{name} has {there[name]} bytes"
    for name in sorted(there.keys() - named.keys()):
        if name.rpartition("/")[0] not in folders or not name.endswith(".json"):
            yield f"{name} is left over"


def _wrong_cached(functions: Functions, documents: dict[str, Document]) -> Iterator[str]:
    folders = {
        f"{CACHED}{photo['by']}/{key}/v={photo['version']}/"
        for key, document in documents.items()
        for photo in _photos(document)
        if photo["status"] == "ready"
    }
    for name in functions.storage.names(CACHED):
        if name.rpartition("/")[0] + "/" not in folders and name not in functions.left_by_failures:
            yield f"{name} is left over"


def _photos(document: Document) -> list[Document]:
    shown = document.get("photo")
    return [*([shown] if shown and shown.get("status") else []), *document.get("uploads", {}).values()]


# ── Indexes ──────────────────────────────────────────────────────────────────────────────────────────────────


def _entries(documents: dict[str, Document], owner: str | None) -> list[Listed]:
    """What an index is to list: what is published and has a photo to show, newest first."""
    found = [one for key, document in documents.items() if (one := listed(key, document))]
    return sorted((one for one in found if owner in (None, one.owner)), key=lambda one: (-one.uploaded, one.key))


def _wrong_indexes(functions: Functions, documents: dict[str, Document]) -> Iterator[str]:
    owners = {one["owner"] for one in documents.values() if "owner" in one}
    expected = {f"{INDEX}all/": _entries(documents, None)}
    expected |= {f"{INDEX}by/{owner}/": _entries(documents, owner) for owner in owners}
    bodies = functions.storage.bodies(INDEX)
    folders = {name.rpartition("/")[0] + "/" for name in bodies}
    for folder in sorted(folders | expected.keys()):
        wanted = expected.get(folder, [])
        try:
            found = _read(bodies, folder)
        except KeyError as name:
            yield f"{name} is not there"
            continue
        if found != wanted:
            missing, extra = len({*wanted} - {*found}), len(found) - len({*wanted} & {*found})
            yield f"{folder} lacks {missing} and has {extra} that should not be there, of {len(wanted)}"


def _read(bodies: dict[str, bytes], folder: str) -> list[Listed]:
    if folder + MANIFEST not in bodies:
        return []
    pages = [bodies[folder + page.name] for page in read_manifest(bodies[folder + MANIFEST]).pages]
    return [listed_as(one) for page in pages for one in read_page(page)]
