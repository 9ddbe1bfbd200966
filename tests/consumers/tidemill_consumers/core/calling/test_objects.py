"""What a rule may return as its objects, and what becomes of its request if it returns anything else. Values only."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.contract.request import Request, encode
from tidemill_consumers.core.batch import Accepted, Arrival, Blob, Object, Position, Rejected, State, ref
from tidemill_consumers.core.calling.asking import Refused, RuleOutcome, Taken, Watch, ask
from tidemill_consumers.core.calling.objects import MAX_OBJECT_BYTES, MAX_OBJECTS, MAX_TYPE

REQUEST = Request(id="1", cmd="c", key="k", client="ann", writer="w", counter=1, data={})
ARRIVAL = Arrival("s", Position(1, 0), 1000.0, "k", REQUEST, encode(REQUEST))
PICTURE = Blob(b"picture", "image/png")


def asked(objects: Any, document: State = None) -> RuleOutcome:
    def rule(state: State, request: Request) -> Accepted | Rejected:
        return Accepted(document, objects=objects)

    return ask(rule, None, False, ARRIVAL, 0, Watch())


def refused(objects: Any, document: State = None) -> str:
    found = asked(objects, document)
    assert isinstance(found, Refused)
    return found.reason.partition(" (tests/")[0]


def naming(*blobs: Blob) -> dict[str, Any]:
    return {"blobs": [ref(blob) for blob in blobs]}


def test_objects_are_taken_with_the_names_that_the_document_has() -> None:
    found = asked((PICTURE,), naming(PICTURE))
    assert isinstance(found, Taken)
    assert found.objects == (Object(ref(PICTURE)["object"], b"picture", "image/png"),)
    assert found.state == naming(PICTURE)


def test_a_request_may_have_one_mib_of_objects_and_no_more() -> None:
    half = MAX_OBJECT_BYTES // 2
    most = Blob(b"a" * half), Blob(b"b" * half)
    assert isinstance(asked(most, naming(*most)), Taken)
    over = Blob(b"a" * half), Blob(b"b" * (half + 1))
    assert refused(over, naming(*over)) == "the rule returns what cannot be stored: objects of more than 1048576 bytes"


def test_a_request_may_have_sixteen_objects_and_no_more() -> None:
    blobs = tuple(Blob(bytes([n])) for n in range(MAX_OBJECTS + 1))
    assert isinstance(asked(blobs[:-1], naming(*blobs)), Taken)
    assert refused(blobs, naming(*blobs)) == "the rule returns what cannot be stored: more than 16 objects"


def test_a_document_must_name_its_objects() -> None:
    why = f"the rule returns what cannot be stored: the document does not have ref(blob) of {ref(PICTURE)['object']}"
    assert refused((PICTURE,), {"title": "none"}) == why
    assert refused((PICTURE,), None) == why


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        (7, "the rule's objects are int, and must be a tuple of Blob"),
        ((b"bytes",), "the rule returns what cannot be stored: object 1: bytes is no Blob"),
        ((PICTURE, None), "the rule returns what cannot be stored: object 2: NoneType is no Blob"),
        (
            (Blob(bytearray(b"x")),),  # type: ignore[arg-type] # as a wrong rule does
            "the rule returns what cannot be stored: object 1: its data is bytearray, and must be bytes",
        ),
        (
            (Blob("text"),),  # type: ignore[arg-type] # as a wrong rule does
            "the rule returns what cannot be stored: object 1: its data is str, and must be bytes",
        ),
    ],
)
def test_whatever_else_is_returned_is_quarantined(objects: Any, reason: str) -> None:
    assert refused(objects, naming(PICTURE)) == reason


@pytest.mark.parametrize("kind", ["image/png", "text/plain; charset=utf-8", "application/vnd.a+json;v=1; q=x"])
def test_a_content_type_that_http_takes(kind: str) -> None:
    blob = Blob(b"x", kind)
    assert isinstance(asked((blob,), naming(blob)), Taken)


@pytest.mark.parametrize(
    "kind", ["", "png", "image/", "a/b\r\nx-evil: 1", "a/é", "a/b\n", "a/" + "b" * MAX_TYPE, 7, None]
)
def test_a_content_type_that_no_header_has_is_quarantined(kind: Any) -> None:
    blob = Blob(b"x", kind)
    why = "the rule returns what cannot be stored: object 1: its content type is none, such as image/png"
    assert refused((blob,), {"name": ref(blob)["object"]}) == why
