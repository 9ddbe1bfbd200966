"""Looks at the objects that a rule returns, and names them by their bytes.

Room: core. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec.json import encode as to_json

from tidemill.contract.places import object_names
from tidemill_consumers.core.batch import Blob, Object, State, ref

MAX_OBJECT_BYTES = 1024 * 1024
"""Limit for all objects of one request together."""

MAX_OBJECTS = 16
"""Objects of one request, each of which is a call."""

MAX_TYPE = 128
"""Characters of a content type."""

_IS_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+(; ?[\w!#$&^.+-]+=[\w!#$&^.+ \"-]+)*", re.ASCII).fullmatch
"""The content types that S3 takes in a header: https://www.rfc-editor.org/rfc/rfc9110#section-8.3.1"""


def objects_of(blobs: Iterable[object], document: State) -> tuple[Object, ...] | str:
    """The objects, or why they cannot be stored.

    Args:
        blobs: what a rule returned as its objects, each a Blob unless the rule is wrong.
        document: the document that it returned, which must name them: else nobody would find them.
    """
    found: list[Object] = []
    size = 0
    for blob in blobs:
        if not isinstance(blob, Blob):
            return f"object {len(found) + 1}: {type(blob).__name__} is no Blob"
        if problem := _problem(blob):
            return f"object {len(found) + 1}: {problem}"
        size += len(blob.data)
        if size > MAX_OBJECT_BYTES:
            return f"objects of more than {MAX_OBJECT_BYTES} bytes"
        if len(found) == MAX_OBJECTS:
            return f"more than {MAX_OBJECTS} objects"
        found.append(Object(ref(blob)["object"], blob.data, blob.content_type))
    unnamed = {one.name for one in found} - object_names(to_json(document))
    return f"the document does not have ref(blob) of {min(unnamed)}" if unnamed else tuple(found)


def _problem(blob: Blob) -> str | None:
    """Why S3 would not take a blob; None if it does."""
    if type(blob.data) is not bytes:
        return f"its data is {type(blob.data).__name__}, and must be bytes"
    kind = blob.content_type
    if type(kind) is not str or len(kind) > MAX_TYPE or not _IS_TYPE(kind):
        return "its content type is none, such as image/png"
    return None
