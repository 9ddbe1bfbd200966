"""What the bucket's events say. Values only."""

import pytest

from tests.consumers.tidemill_media.bucket_events import AT_MS, created, deleted
from tidemill.contract.places import Photo, photo_name
from tidemill_media.processing.notifications import Notification, read

SEQUENCER = "617f08299329d189"
NAME = "photos/ann/content/1"
READ = Notification(
    "content",
    NAME,
    Photo("ann", "content/1"),
    f"{SEQUENCER}{'0' * 16}",
    "uploaded",
    "v",
    "b1946ac92492d2347c6235b4d2611184",
    5,
    AT_MS,
)


def test_a_photo_was_uploaded() -> None:
    assert read(created(SEQUENCER)) == READ


def test_a_photo_was_removed_or_one_of_its_versions() -> None:
    marked, gone = read(deleted(SEQUENCER)), read(deleted(SEQUENCER, for_good=True))
    assert marked is not None
    assert gone is not None
    assert (marked.kind, marked.photo, marked.version, marked.size) == ("removed", READ.photo, READ.version, 0)
    assert gone.kind == "version gone"


def test_a_bucket_without_versions_says_none() -> None:
    event = created(SEQUENCER)
    del event["detail"]["object"]["version-id"]
    assert read(event) == READ._replace(object=None)


@pytest.mark.parametrize(
    "name",
    ["photos/ann", "photos/ann/", "photos//content/1", "other/ann/content/1", "photos/ann/a b", "photos/a%20/%62"],
)
def test_what_is_no_photos_name_is_passed_over(name: str) -> None:
    assert read(created(SEQUENCER, name=name)) is None


def test_a_key_or_an_identity_that_fits_no_request_is_passed_over() -> None:
    for identity, key in (("a" * 257, "k"), ("a", "k" * 257)):
        assert read(created(SEQUENCER, name=f"photos/{identity}/{key}")) is None
    assert read(created(SEQUENCER, name=photo_name("a" * 256, "k" * 256))) is not None


@pytest.mark.parametrize("change", [{"detail-type": "Object Restore Completed"}, {"time": "today"}, {"detail": {}}])
def test_another_event_is_not_taken_for_one(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"Invalid|missing|Expected"):
        read(created(SEQUENCER) | change)


def test_a_sequencer_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="is no sequencer"):
        read(created("today"))
