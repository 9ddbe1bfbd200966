"""Photos that come, go, are replaced and come late, in every order. Values only."""

from itertools import permutations

import pytest

from tidemill.contract.places import photo_version
from tidemill.contract.request import Document
from tidemill_consumers.media import RULES
from tidemill_consumers.media.photo import MOST_UPLOADS
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
    assert process(found).data == {"version": FIRST, "status": "ready"}
    assert of(found) == {"title": "A", "owner": "ann", "photo": photo()}
    assert remove(found, SECOND).data == {"version": SECOND, "status": "removed"}
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
    assert (document["geohash"], document["owner"], "uploads" in document) == ("u34", "ann", False)
    assert found.quarantined == []


def test_what_comes_late_is_counted_and_what_comes_again_is_not() -> None:
    found = trial()
    process(found, SECOND)
    for late in (1, 2):
        assert process(found, FIRST).data == {"version": SECOND, "status": "ready"}
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
    assert process(found, by="eve").error == "the content is another's"
    assert remove(found, FIRST, by="eve").error == "the content is another's"
    assert of(found) == {"title": "A", "owner": "ann"}


def test_whoever_publishes_has_their_own_photo_and_the_others_go() -> None:
    found = trial(published=False)
    for by in ("eve", "ann"):
        process(found, by=by)
    assert of(found) == {"uploads": {"eve": photo(by="eve"), "ann": photo()}}
    publish(found)
    assert of(found) == {"title": "A", "owner": "ann", "photo": photo()}


def test_a_document_waits_with_a_few_photos_only() -> None:
    found = trial(published=False)
    for number in range(MOST_UPLOADS):
        process(found, by=f"eve-{number}")
    assert process(found).error == "photos of 8 people wait for it to be published: publish it, and upload again"
    assert process(found, SECOND, by="eve-0").status == "accepted"
    publish(found)
    assert process(found).status == "accepted"


def test_what_comes_after_the_end_is_noted_to_be_cleared_up() -> None:
    found = trial()
    process(found, FIRST)
    found.send("content.delete", key=KEY, client="ann")
    assert of(found) == {"deleted": True, "photo": gone(FIRST)}
    assert process(found, SECOND).data == {"version": SECOND, "status": "removed"}
    assert of(found) == {"deleted": True, "photo": gone(SECOND, late=1)}
    assert process(found, THIRD, by="eve").error == "it was deleted"
    assert process(found, THIRD, thumbnails=[]).error == remove(found, THIRD).error == "it was deleted"
    assert publish(found).status == "rejected"


def test_a_first_photo_after_the_end_is_noted_too() -> None:
    found = trial()
    found.send("content.delete", key=KEY, client="ann")
    assert process(found, FIRST).status == "accepted"
    assert of(found) == {"deleted": True, "photo": gone(FIRST, late=1)}


@pytest.mark.parametrize("cmd", ["content.processed", "content.removed"])
def test_clients_tell_nothing_of_photos(cmd: str) -> None:
    found = trial()
    for verified in (False, True):
        assert found.send(cmd, key=KEY, data=photo(), client="ann", verified=verified).status == "quarantined"
    assert of(found) == {"title": "A", "owner": "ann"}
