"""Documents out of items."""

import json

import pytest

from tidemill.reading.attributes import json_of
from tidemill_consumers.codec.items import to_attribute

DOCUMENT = {"a": 1, "b": -2.5, "c": ["x", None, True, {"d": {}}], "e": 1e30, "f": -7, "g": ""}


def test_a_document_comes_back_as_json_writes_it() -> None:
    found = json_of(to_attribute(DOCUMENT))
    assert found == DOCUMENT
    assert json.loads(json.dumps(found)) == DOCUMENT
    assert type(found["a"]) is int


def test_what_no_document_has_is_refused() -> None:
    with pytest.raises(ValueError, match="no attribute of type B"):
        json_of({"B": b"x"})
