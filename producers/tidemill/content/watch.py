"""Follows an upload for the thread or task that waits for it: tells of progress, and stops it after an error.

Room: SDK. Tests: tests/producers/tidemill/content/test_upload_awaited.py and test_upload_failures.py.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tidemill.errors import NotUploaded, ProducerClosed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from tidemill.content.upload import Progress, Upload


class Watch:
    """Follows an upload for the one that waits for it.

    Args:
        upload: the upload.
        is_closed: whether the producer has been closed.
        progress: the application's; is called with the members of `Progress`.
    """

    def __init__(
        self,
        upload: Upload,
        is_closed: Callable[[], bool],
        progress: Callable[[int, int, str | None], object] | None,
    ) -> None:
        self._upload = upload
        self._is_closed = is_closed
        self._progress = progress
        self._told: Progress | None = None

    def look(self) -> None:
        """Tells of progress, if there is any.

        Raises:
            NotUploaded: the producer has been closed.
        """
        if self._is_closed():
            raise self._upload.stopped("the producer was closed")
        self.tell()

    def tell(self) -> None:
        """Tells of progress, if there is any."""
        if self._progress and self._upload.progress != self._told:
            self._told = self._upload.progress
            self._progress(*self._told)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """After an error, stops the upload, and notes on the error how to go on."""
        if error is None:
            return
        self._upload.stop()
        resume = self._upload.progress.resume
        if resume and not isinstance(error, (NotUploaded, ProducerClosed)):
            with suppress(TypeError):  # the exception's `__notes__` is not a list
                error.add_note(f"the upload goes on with resume={resume!r}")
