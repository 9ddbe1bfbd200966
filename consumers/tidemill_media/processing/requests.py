"""Makes of an event the photo as its content's document is to have it, and the request that says so.

Room: media application, pure. An event's request is the same each time, so a repeat is recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from uuid import UUID, uuid5

import msgspec

from tidemill.contract.geohash import geohash_of, point_at
from tidemill.contract.places import thumbnail_name
from tidemill.contract.request import EVENT, Document, Request
from tidemill_consumers.media.photo import REFUSED
from tidemill_media.imaging.results import Made, Place, Thumbnail, Unsupported
from tidemill_media.processing.notifications import Notification

IDS = UUID("5f0c2d9e-5f0b-4bb5-9a0c-3f5d8f6a4e21")
"""The namespace of the ids (RFC 9562, section 5.5)."""

FATAL = "it ended the function that decodes it, twice"

REFUSALS = {"foreign": "the content is another's", "deleted": "the content was deleted"}
"""Why a photo is not even decoded, by how it stands."""


def processed(told: Notification, outcome: Made | Unsupported, *, with_place: bool) -> Document:
    """The photo as the document is to have it.

    Args:
        told: that it was uploaded.
        outcome: what came of it.
        with_place: whether its owner agreed to tell where it was taken.
    """
    photo = {
        "by": told.photo.identity,
        "version": told.version,
        **({"object": told.object} if told.object else {}),
        "bytes": told.size,
        "uploaded": told.at,
    }
    if isinstance(outcome, Unsupported):
        return {**photo, "status": "unsupported", "reason": outcome.reason}
    known = {"taken": outcome.taken, "camera": outcome.camera}
    place = outcome.place if with_place else None
    return {
        **photo,
        "status": "ready",
        "format": outcome.format,
        "width": outcome.width,
        "height": outcome.height,
        **{name: value for name, value in known.items() if value},
        **(_placed(place) if place else {}),
        "thumbnails": [_listed(told, one) for one in outcome.thumbnails],
    }


def name_of(told: Notification, thumbnail: Thumbnail) -> str:
    """A thumbnail's name in the bucket."""
    return thumbnail_name(told.photo, told.version, thumbnail.size, thumbnail.type.rpartition("/")[2])


def processed_request(told: Notification, photo: Document) -> Request:
    """The request that a photo was looked at."""
    return _request("content.processed", told, photo)


def removed_request(told: Notification) -> Request:
    """The request that a photo was removed."""
    photo = {"by": told.photo.identity, "version": told.version, "uploaded": told.at}
    return _request("content.removed", told, photo)


def refused_request(told: Notification, why: str) -> Request:
    """The request by which whoever uploaded a photo hears why it is not shown; the content's rule rejects it.

    It has an id and a writer of its own for each reason: the photo's own request may be on the stream already, and a
    content that is another's may be deleted before the event comes again.
    """
    photo = {"by": told.photo.identity, "version": told.version, "uploaded": told.at, "status": REFUSED, "reason": why}
    return _request("content.processed", told, photo, REFUSED, why)


def _placed(place: Place) -> Document:
    """Where it was taken, and as what contents are found by."""
    at = {"latitude": place.latitude, "longitude": place.longitude}
    return {"place": at, "geohash": geohash_of(point_at(**at))}


def _listed(told: Notification, one: Thumbnail) -> Document:
    described = {"size": one.size, "width": one.width, "height": one.height, "type": one.type}
    return {**described, "name": name_of(told, one), "bytes": len(one.data)}


def _request(cmd: str, told: Notification, data: Document, *more: str) -> Request:
    of = _hashed(told.bucket, told.name, told.version, *more)
    return Request(
        id=str(uuid5(IDS, of)),
        cmd=cmd,
        key=told.photo.key,
        client=told.photo.identity,
        writer=EVENT + of,
        counter=1,
        at=told.at,
        data=data,
    )


def _hashed(*parts: str) -> str:
    as_json: Sequence[str] = parts  # so that different lists of parts never give the same bytes
    return sha256(msgspec.json.encode(as_json)).hexdigest()
