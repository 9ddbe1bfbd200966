"""Which thumbnails nobody needs any more, by what the table's stream tells of their photos.

Room: media application, pure. Versions of a photo only go up, so what is older than the document's is never needed
again; of a photo that was removed, or that its content was published without, nor is that version itself. Thumbnails
that came late are counted in the document, which is a change like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

import msgspec

from tidemill.contract.places import Photo
from tidemill.contract.request import Document, Json
from tidemill_consumers.media.photo import REMOVED
from tidemill_media.indexing.changes import Content


class Outdated(NamedTuple):
    """The thumbnails of a photo's versions before this one, and of this one too if it `is_gone`."""

    photo: Photo
    version: str
    is_gone: bool

    def holds(self, version: str) -> bool:
        """Whether the thumbnails of a version are among them."""
        return version < self.version or (self.is_gone and version == self.version)


class _State(msgspec.Struct, frozen=True):
    by: str
    version: str
    status: str
    late: int = 0


_States: TypeAlias = Mapping[str, _State]
"""Each one's photo, by who uploaded it."""


def outdated(content: Content) -> Iterator[Outdated]:
    """The thumbnails that are not needed since a content changed."""
    every = [_states(document) for document in content.documents]
    first, last = every[0], every[-1]
    for identity in dict.fromkeys(identity for states in every for identity in states):
        known = [states[identity] for states in every if identity in states]
        newest = last.get(identity)
        if newest is None or newest.status == REMOVED:
            yield Outdated(Photo(identity, content.key), max(one.version for one in known), True)
        elif newest != first.get(identity):  # a photo that is new here may have replaced one in the same batch
            yield Outdated(Photo(identity, content.key), newest.version, False)


def _states(document: Document) -> _States:
    photos = [document.get("photo"), *_values(document.get("uploads"))]
    known = [state for state in map(_state, photos) if state]
    # A deleted content may have two of its owner's, as it was and as it came late.
    return {state.by: state for state in sorted(known, key=lambda one: one.version)}


def _values(uploads: Json) -> list[Json]:
    return list(uploads.values()) if isinstance(uploads, dict) else []


def _state(photo: Json) -> _State | None:
    try:
        return msgspec.convert(photo, _State)
    except msgspec.ValidationError:  # there is none, or it is another application's
        return None
