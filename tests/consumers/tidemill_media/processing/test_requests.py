"""What an event leads to. Values only."""

from typing import Any

import pytest

from tests.consumers.tidemill_media.bucket_events import AT_MS, created
from tidemill.contract.geohash import point_of
from tidemill.contract.request import EVENT, MAX_NAME_CHARACTERS
from tidemill.contract.validation import to_payload
from tidemill_media.imaging import Made, Place, Thumbnail, Unsupported
from tidemill_media.processing.notifications import Notification, read
from tidemill_media.processing.requests import (
    name_of,
    processed,
    processed_request,
    refused_request,
    removed_request,
)

SEQUENCER = "617f08299329d189"
SMALL = Thumbnail(256, 256, 192, "image/webp", b"webp")
PLACE = Place(52.5, 13.4)
MADE = Made("JPEG", 640, 480, "2024-05-01T12:00:00", None, PLACE, (SMALL,))


def told(sequencer: str = SEQUENCER, **of: Any) -> Notification:
    found = read(created(sequencer, **of))
    assert found is not None
    return found


VERSION = told().version
KNOWN = {"by": "ann", "version": VERSION, "object": "v", "bytes": 5, "uploaded": AT_MS}


def test_a_photo_that_was_decoded() -> None:
    name = f"thumbnails/ann/content/1/v={VERSION}/256.webp"
    assert name_of(told(), SMALL) == name
    assert processed(told(), MADE, with_place=False) == {
        **KNOWN,
        "status": "ready",
        "format": "JPEG",
        "width": 640,
        "height": 480,
        "taken": "2024-05-01T12:00:00",
        "thumbnails": [{"size": 256, "width": 256, "height": 192, "type": "image/webp", "name": name, "bytes": 4}],
    }


def test_the_place_is_told_only_if_the_owner_agreed() -> None:
    placed = processed(told(), MADE, with_place=True)
    assert placed["place"] == {"latitude": 52.5, "longitude": 13.4}
    assert point_of(placed["geohash"]) == pytest.approx((52.5, 13.4), abs=1e-6)
    assert "geohash" not in processed(told(), MADE, with_place=False)
    assert "place" not in processed(told(), MADE, with_place=False)


def test_one_that_cannot_be_decoded_says_why() -> None:
    photo = processed(told()._replace(object=None), Unsupported("it is a video"), with_place=True)
    del (without := dict(KNOWN))["object"]
    assert photo == {**without, "status": "unsupported", "reason": "it is a video"}


def test_an_events_request_is_the_same_each_time_and_no_other_events() -> None:
    photo = processed(told(), MADE, with_place=False)
    request = processed_request(told(), photo)
    assert (request.cmd, request.key, request.client, request.at) == ("content.processed", "content/1", "ann", AT_MS)
    assert (request.counter, request.data) == (1, photo)
    assert request.writer is not None
    assert request.writer.startswith(EVENT)
    assert len(request.writer) <= MAX_NAME_CHARACTERS
    assert to_payload(request) == to_payload(processed_request(told(), photo))
    others = [
        removed_request(told("617f08299329d18a")),
        processed_request(told(bucket="other"), photo),
        processed_request(told(name="photos/ann/content/2"), photo),
        refused_request(told(), "no"),
        refused_request(told(), "not any more"),
    ]
    assert len({(one.id, one.writer) for one in (request, *others)}) == 6


def test_a_removal_says_whose_photo_went_and_when() -> None:
    request = removed_request(told())
    assert (request.cmd, request.data) == ("content.removed", {"by": "ann", "version": VERSION, "uploaded": AT_MS})


def test_a_refusal_is_a_photo_that_is_not_decoded() -> None:
    known = {"by": "ann", "version": VERSION, "uploaded": AT_MS}
    assert refused_request(told(), "no").data == {**known, "status": "refused", "reason": "no"}
