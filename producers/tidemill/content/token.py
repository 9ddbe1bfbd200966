"""How an upload is named: the token by which it goes on, and the parts that it is cut into.

Room: SDK. No I/O. Tests: tests/producers/tidemill/content/test_upload.py.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import msgspec
from msgspec import json
from msgspec.structs import replace

PART_BYTES = 8 * 1024 * 1024
"""A larger photo is uploaded in parts of this size; S3 takes none below 5 MiB but the last."""


class Token(msgspec.Struct, frozen=True):
    """An upload: S3's name of it, if it is in parts and has begun, and what is uploaded."""

    upload: str
    name: str
    bytes: int
    type: str
    place: bool

    @property
    def parts(self) -> range:
        """The numbers of the parts."""
        return range(1, -(-self.bytes // PART_BYTES) + 1)

    @property
    def metadata(self) -> dict[str, str]:
        """The object's metadata."""
        return {"place": "yes"} if self.place else {}

    def is_of(self, other: Token) -> bool:
        """Whether the other one uploads this too."""
        return replace(self, upload="") == replace(other, upload="")

    def text(self) -> str | None:
        """What whoever uploads keeps; None before an upload in parts has begun."""
        return json.encode(self).decode() if self.upload else None

    def resumed(self, resume: str | None) -> tuple[Token, Token | None]:
        """The token to go on with, and one of the object's that is given up for it.

        Raises:
            ValueError: `resume` is no token.
        """
        if resume is None:
            return self, None
        try:
            before = json.decode(resume, type=Token)
        except (msgspec.DecodeError, TypeError, UnicodeEncodeError):  # whatever a client sent to its server
            raise ValueError("resume: give what progress was told, or the error's resume") from None
        if before.is_of(self):
            return before, None
        return self, before if before.name == self.name and before.upload else None


def digest_of(body: bytes) -> str:
    """The SHA-256 as S3 writes it."""
    return b64encode(sha256(body).digest()).decode()
