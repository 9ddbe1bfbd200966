"""Photos that come, go, are replaced and come late, in every order. Values only."""

from itertools import permutations

import pytest

from tidemill.contract.places import photo_version
from tidemill.contract.request import Document
from tidemill_consumers.media import RULES
from tidemill_consumers.media.photo import MOST_NOTES, MOST_UPLOADS
from tidemill_consumers.testing import Outcome, Trial

KEY = "content/1"
FIRST, SECOND, THIRD = (photo_version(f"0{number}") for number in "123")


def photo(version: str = FIRST, by: str = "ann", **others: object) -> Document:
    thumbnails = [{"size": 256, "width": 256, "height": 192, "type": "image/webp", "name": f"{version}/256.webp"}]
    return {"by": by, "version": version, "status": "ready", "thumbnails": thumbnails, **others}


def gone(version: str, by: str = "ann", **others: object) -> Document:
    return {"by": by, "version": version, "status": "removed", **others}


def process(trial: Trial, version: str = FIRST, by: str = "ann", **others: object) -> Outcome:
    return trial.send("content.processed", key=KEY, data=photo(version, by, **others), client=by, internal=True)


def remove(trial: Trial, version: str, by: str = "ann") -> Outcome:
    data = {"by": by, "version": version}
    return trial.send("content.removed", key=KEY, data=data, client=by, internal=True)


def publish(trial: Trial, by: str = "ann") -> Outcome:
    return trial.send("content.publish", key=KEY, data={"title": "A"}, client=by)


def trial(published: bool = True) -> Trial:
    found = Trial(RULES)
    if published:
        publish(found)
    return found


def of(found: Trial) -> Document:
    document = found.document(KEY)
    assert document is not None
    return document


def test_a_photo_is_shown_and_its_uploader_hears_of_it() -> None:
    found = trial()
    assert process(found).data == {"key": KEY, "version": FIRST, "status": "ready"}
    assert of(found) == {"title": "A", "owner": "ann", "photo": photo()}
    assert remove(found, SECOND).data == {"key": KEY, "version": SECOND, "status": "removed"}
    assert of(found)["photo"] == gone(SECOND)


@pytest.mark.parametrize("order", list(permutations("ps12r")))
def test_in_every_order_the_latest_is_shown(order: tuple[str, ...]) -> None:
    """p publishes, s is a stranger's photo, 1 and 2 are photos, r removes what came between them."""
    found = trial(published=False)
    does = {
        "p": lambda: publish(found),
        "s": lambda: process(found, THIRD, "eve"),
        "1": lambda: process(found, FIRST, geohash="u33"),
        "2": lambda: process(found, THIRD, geohash="u34"),
        "r": lambda: remove(found, SECOND),
    }
    for one in order:
        does[one]()
    document = of(found)
    assert {**document["photo"], "late": 0} == {**photo(THIRD, geohash="u34"), "late": 0}
    assert (document["geohash"], document["owner"]) == ("u34", "ann")
    assert {by: one["status"] for by, one in document["uploads"].items()} == {"eve": "removed"}
    assert found.quarantined == []


def test_what_comes_late_is_counted_and_what_comes_again_is_not() -> None:
    found = trial()
    process(found, SECOND)
    for late in (1, 2):
        assert process(found, FIRST).data == {"key": KEY, "version": SECOND, "status": "ready"}
        assert of(found)["photo"] == photo(SECOND, late=late)
    process(found, SECOND)
    assert of(found)["photo"] == photo(SECOND, late=2)


def test_a_photo_without_a_place_ends_the_place_of_the_one_before() -> None:
    found = trial()
    process(found, FIRST, geohash="u33")
    process(found, SECOND)
    assert of(found) == {"title": "A", "owner": "ann", "photo": photo(SECOND)}


def test_nobody_elses_photo_is_shown() -> None:
    found = trial()
    refused = process(found, by="eve").data
    assert refused == {"key": KEY, "version": FIRST, "status": "refused", "reason": "the content is another's"}
    assert of(found) == {"title": "A", "owner": "ann", "uploads": {"eve": gone(FIRST, "eve", late=1)}}
    assert remove(found, SECOND, by="eve").error == "the content is another's"
    process(found, by="eve")
    assert of(found)["uploads"] == {"eve": gone(FIRST, "eve", late=2)}


def test_a_photo_that_was_not_looked_at_is_rejected_for_its_reason() -> None:
    for found in (trial(), trial(published=False)):
        before = found.document(KEY)
        assert process(found, by="eve", status="refused", reason="no").error == "no"
        assert found.document(KEY) == before


def test_notes_of_the_latest_few_refused_are_kept() -> None:
    found = trial()
    for number in range(MOST_UPLOADS + 2):
        process(found, by=f"eve-{number}")
    process(found, by="eve-2")
    kept = [f"eve-{number}" for number in (*range(3, MOST_UPLOADS + 2), 2)]
    assert list(of(found)["uploads"]) == kept


def test_whoever_publishes_has_their_own_photo_and_the_others_go() -> None:
    found = trial(published=False)
    for by in ("eve", "ann"):
        process(found, by=by)
    assert of(found) == {"uploads": {"eve": photo(by="eve"), "ann": photo()}}
    publish(found)
    left = {"uploads": {"eve": gone(FIRST, "eve")}}
    assert of(found) == {"title": "A", "owner": "ann", "photo": photo(), **left}
    found.send("content.delete", key=KEY, client="ann")
    assert of(found) == {"deleted": True, "photo": gone(FIRST), **left}


def test_a_document_waits_with_a_few_photos_only() -> None:
    found = trial(published=False)
    for number in range(MOST_UPLOADS):
        process(found, by=f"eve-{number}")
    refused = process(found).data
    assert refused["reason"] == "photos of 8 people wait for it to be published: publish it, and upload again"
    assert of(found)["uploads"]["ann"] == gone(FIRST, late=1)
    assert process(found, SECOND, by="eve-0").data == {"key": KEY, "version": SECOND, "status": "ready"}
    publish(found)
    assert of(found)["photo"] == gone(FIRST, late=1)
    assert process(found, SECOND).data == {"key": KEY, "version": SECOND, "status": "ready"}


def test_what_comes_after_the_end_is_noted_to_be_cleared_up() -> None:
    found = trial()
    process(found, FIRST)
    found.send("content.delete", key=KEY, client="ann")
    assert of(found) == {"deleted": True, "photo": gone(FIRST)}
    refused = {"status": "refused", "reason": "the content was deleted"}
    assert process(found, SECOND).data == {"key": KEY, "version": SECOND, **refused}
    assert process(found, THIRD, by="eve").data == {"key": KEY, "version": THIRD, **refused}
    noted = {"ann": gone(SECOND, late=1), "eve": gone(THIRD, "eve", late=1)}
    assert of(found) == {"deleted": True, "photo": gone(FIRST), "uploads": noted}
    assert remove(found, THIRD).error == "the content was deleted"
    assert publish(found).status == "rejected"


def test_a_first_photo_after_the_end_is_noted_too() -> None:
    found = trial()
    found.send("content.delete", key=KEY, client="ann")
    assert process(found, FIRST).status == "accepted"
    assert of(found) == {"deleted": True, "uploads": {"ann": gone(FIRST, late=1)}}


@pytest.mark.parametrize("cmd", ["content.processed", "content.removed"])
def test_clients_tell_nothing_of_photos(cmd: str) -> None:
    found = trial()
    for verified in (False, True):
        assert found.send(cmd, key=KEY, data=photo(), client="ann", verified=verified).status == "quarantined"
    assert of(found) == {"title": "A", "owner": "ann"}


def test_photos_that_were_removed_do_not_fill_a_content_that_nobody_has_published() -> None:
    found = trial(published=False)
    process(found, SECOND)
    for number in range(MOST_NOTES + 3):
        remove(found, FIRST, f"eve-{number}")
    remove(found, SECOND, "eve-3")
    kept = ["ann", *(f"eve-{number}" for number in (*range(4, MOST_NOTES + 3), 3))]
    assert list(of(found)["uploads"]) == kept
    publish(found)
    assert of(found)["photo"] == photo(SECOND)
