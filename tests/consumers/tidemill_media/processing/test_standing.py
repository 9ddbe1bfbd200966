"""How an event stands by its content's document. Values only."""

import pytest

from tidemill.contract.places import Photo
from tidemill.contract.request import Document
from tidemill_consumers import State
from tidemill_media.processing.standing import shown, standing

ANN = Photo("ann", "content/1")
ONE, TWO, THREE = "1000", "2000", "3000"


def photo(version: str, by: str = "ann") -> Document:
    return {"by": by, "version": version, "status": "ready"}


PUBLISHED = {"title": "A", "owner": "ann"}


@pytest.mark.parametrize(
    ("document", "stands"),
    [
        (None, "new"),
        ({"views": 3}, "new"),
        (PUBLISHED, "new"),
        ({**PUBLISHED, "photo": photo(ONE)}, "new"),
        ({**PUBLISHED, "photo": photo(TWO)}, "known"),
        ({**PUBLISHED, "photo": photo(THREE)}, "late"),
        ({**PUBLISHED, "owner": "eve"}, "foreign"),
        ({**PUBLISHED, "owner": None}, "foreign"),
        ({**PUBLISHED, "owner": "eve", "photo": photo(ONE, "eve")}, "foreign"),
        ({"uploads": {"ann": photo(ONE), "eve": photo(THREE, "eve")}}, "new"),
        ({"uploads": {"ann": photo(TWO)}}, "known"),
        ({"uploads": {"ann": photo(THREE)}}, "late"),
        ({"uploads": {"eve": photo(THREE, "eve")}}, "new"),
        ({"deleted": True}, "deleted"),
        ({"deleted": True, "photo": photo(TWO)}, "deleted"),
    ],
)
def test_how_an_event_stands(document: State, stands: str) -> None:
    assert standing(document, ANN, TWO) == stands


def test_whose_photo_a_document_shows() -> None:
    assert shown({"photo": photo(ONE), "uploads": {}}, ANN) == photo(ONE)
    assert shown({"photo": photo(ONE, "eve")}, ANN) == shown(None, ANN) == {}
    assert shown({"uploads": {"ann": photo(TWO)}}, ANN) == photo(TWO)
