"""The upload of a photo: in one call, or in parts, of which a later process sends those that are not there yet.

Room: SDK, I/O. An upload in parts is known by its token alone, which whoever uploads keeps: who may list the uploads
in progress of a bucket sees everyone's.

    S3 has               a photo of up to PART_BYTES    a larger one
    nothing              PutObject                      CreateMultipartUpload: from here on there is a token
    some parts           -                              UploadPart of the others, several at once
    all parts            -                              CompleteMultipartUpload
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from tidemill.content.failures import AGAIN, not_uploaded
from tidemill.content.token import PART_BYTES, digest_of
from tidemill.errors import NotUploaded, UnfitFile
from tidemill.runtime.threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tidemill.content.photo_source import PhotoSource
    from tidemill.content.store import Part, Store
    from tidemill.content.token import Token

PARTS_AT_ONCE = 4
"""Parts that are in memory and on their way at a time."""

GO_ON = "upload it again with the error's resume=, and only what S3 does not have is sent"


class Uploaded(NamedTuple):
    """A photo in the content bucket.

    Attributes:
        name: the object's name.
        version: the object's version; None if the bucket keeps none.
        bytes: its size.
        type: its content type, by its first bytes.
    """

    name: str
    version: str | None
    bytes: int
    type: str


class Progress(NamedTuple):
    """How far an upload is.

    Attributes:
        done: bytes that S3 has.
        total: bytes of the photo.
        resume: the token of an upload in parts; None while there is none.
    """

    done: int
    total: int
    resume: str | None


class Upload:
    """One upload of a photo. `run` does it, `stop` ends it from another thread.

    Args:
        store: where the photo goes.
        source: the photo; `run` closes it.
        token: what is uploaded, and S3's name of the upload if it goes on with an earlier attempt.
        stale: an upload of the same object that is given up for this one.
        tell: is called when there is progress, from several threads.

    Attributes:
        progress: how far it is.
    """

    def __init__(
        self, store: Store, source: PhotoSource, token: Token, stale: Token | None, tell: Callable[[], None]
    ) -> None:
        self._store = store
        self._source = source
        self._token = token
        self._stale = stale
        self._tell = tell
        self._lock = Lock()
        self._is_stopped = False
        self.progress = Progress(0, token.bytes, token.text())

    def stop(self) -> None:
        """Has no further part sent."""
        self._is_stopped = True

    def leave(self) -> None:
        """Closes the photo of an upload that is never run."""
        self._source.close()

    def run(self) -> Uploaded:
        """Uploads the photo.

        Raises:
            NotUploaded: S3 does not have it, or does not say so; names the remedy, and has the token.
            UnfitFile: the file changed while it was read.
        """
        store, of = self._store, self._token
        try:
            version = self._in_parts() if of.bytes > PART_BYTES else self._at_once()
        except UnfitFile:
            self._forget(self._token)
            raise
        except NotUploaded:
            raise
        except Exception as error:  # of any kind: the caller must hear of it
            raise not_uploaded(error, store.place, self._remedy, self.progress.resume, store.remedies) from error
        finally:
            self._source.close()
        return Uploaded(of.name, version, of.bytes, of.type)

    def stopped(self, why: str) -> NotUploaded:
        """The error for an upload that is stopped."""
        return NotUploaded("Closed", f"{self._store.place}: {why}", self._remedy, self.progress.resume)

    def _at_once(self) -> str | None:
        self._forget(self._stale)
        body = self._source.read(0, self._token.bytes)
        version = self._store.put(self._token, body, digest_of(body))
        self._note(len(body))
        return version

    def _in_parts(self) -> str | None:
        there = self._store.parts(self._token) if self._token.upload else None
        if there is None:
            self._forget(self._stale)
            self._token, there = replace(self._token, upload=self._store.begin(self._token)), {}
            if self._is_stopped:  # whoever waited has heard of no token
                self._forget(self._token)
        self._note(0)
        parts: dict[int, Part] = {}
        in_threads(partial(self._send, there, parts), self._token.parts, PARTS_AT_ONCE)
        if self._is_stopped:  # whoever goes on with the token completes it
            raise self.stopped("it was stopped")
        return self._store.complete(self._token, [parts[number] for number in self._token.parts])

    def _send(self, there: Mapping[int, Part], parts: dict[int, Part], number: int) -> None:
        """Sends a part unless it is there, and keeps what completes the upload."""
        if self._is_stopped:
            raise self.stopped("it was stopped")
        body = self._source.read((number - 1) * PART_BYTES, PART_BYTES)
        digest, part = digest_of(body), there.get(number)
        if part is None or (part.digest, part.size) != (digest, len(body)):
            part = self._store.send(self._token, number, body, digest)
        parts[number] = part
        self._note(len(body))

    def _forget(self, token: Token | None) -> None:
        """Has S3 drop the parts of an upload that nobody goes on with. It would do so itself a day later."""
        if token and token.upload:
            with suppress(Exception):
                self._store.abort(token)

    def _note(self, count: int) -> None:
        with self._lock:
            self.progress = Progress(self.progress.done + count, self._token.bytes, self._token.text())
        self._tell()

    @property
    def _remedy(self) -> str:
        return GO_ON if self.progress.resume else AGAIN
