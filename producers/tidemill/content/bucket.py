"""The content bucket as a producer sees it: its client, the upload of large data, and what failures mean.

Room: SDK, I/O.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from tidemill.aws.region import make_client
from tidemill.content.apart import Apart, run_apart
from tidemill.content.failures import not_uploaded
from tidemill.content.photo_source import PhotoSource
from tidemill.content.store import S3Store
from tidemill.content.token import Token
from tidemill.content.upload import Upload, Uploaded
from tidemill.content.watch import Watch
from tidemill.contract.places import photo_name
from tidemill.contract.validation import UnsendableRequest
from tidemill.runtime.loops import in_a_thread
from tidemill.runtime.processes import renew_connections, renew_credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.config import Config
    from types_boto3_s3 import S3Client

    from tidemill.content.photo_source import Photo
    from tidemill.contract.request import ClaimCheck
    from tidemill.runtime.loops import Loops
    from tidemill.runtime.waiting import News
    from tidemill.sending.claims import ToUpload

CALLS_AT_ONCE = 8
"""Connections: parts of files go several at once."""


class Bucket:
    """The content bucket. Thread-safe.

    Args:
        name: the bucket's name.
        stream: the stream, whose region the bucket is in.
        s3: a boto3 S3 client. None makes one; AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL hold.
        client: who uploads photos.

    Raises:
        Misconfigured: no client can be made.
    """

    def __init__(self, name: str, stream: str, s3: S3Client | None, client: str | None = None) -> None:
        self.name = name
        self._client = client
        self._owns_s3 = s3 is None
        self.s3: S3Client = s3 or _make_s3(stream)

    def store(self, ref: ClaimCheck, body: bytes) -> ClaimCheck:
        """Uploads data to where its claim check says, and returns that.

        It is put even if it is there: such an object may be about to expire, and looking costs as much as putting.

        Raises:
            NotUploaded: S3 does not have it, or does not say so; names the remedy.
        """
        digest = b64encode(bytes.fromhex(ref.object.rpartition("/")[2])).decode()
        try:
            answer: Any = self.s3.put_object(
                Bucket=self.name, Key=ref.object, Body=body, ContentType="application/json", ChecksumSHA256=digest
            )
            _ = answer["ETag"]  # an answer from something other than S3 has none
        except Exception as error:  # of any kind: the caller must hear of it
            raise not_uploaded(error, f"s3://{self.name}/{ref.object}") from error
        return ref

    def store_apart(self, large: ToUpload, news: News) -> ClaimCheck:
        """Uploads a request's data in a thread of its own, for a signal may interrupt this one, and send too.

        Args:
            large: the data.
            news: the producer's, which this thread waits for.

        Raises:
            NotUploaded: as `store` raises it.
            UnsendableRequest: this is a thread of the producer's own, which cannot wait.
        """
        if news.must_not_wait:
            raise UnsendableRequest("data", "it is to be uploaded, and a producer's own threads do not wait for that")
        return run_apart(lambda: self.store(large.ref, large.body), news)

    def upload(
        self,
        photo: Photo,
        key: str,
        content_type: str | None,
        with_place: bool,
        resume: str | None,
        tell: Callable[[], None],
    ) -> Upload:
        """The upload of a photo, which has not begun.

        Args:
            photo: the file's path, or its bytes.
            key: the ordering key of the entity that it is of.
            content_type, with_place, resume: as in `Producer.upload`.
            tell: is called when there is progress.

        Raises:
            UnsendableRequest: client and key make no name of a photo.
            UnfitFile: no thumbnails can be made of it.
            OSError: the file cannot be read.
            ValueError: `resume` is no token.
        """
        if self._client is None:
            raise UnsendableRequest("client", "give the producer the uploader's name as client=")
        try:
            name = photo_name(self._client, key)
        except ValueError as problem:
            raise UnsendableRequest("key", str(problem)) from None
        source = PhotoSource(photo, content_type)
        try:
            token, stale = Token("", name, source.size, source.type.content_type, with_place).resumed(resume)
        except ValueError:
            source.close()
            raise
        return Upload(S3Store(self.s3, self.name, name), source, token, stale, tell)

    def upload_apart(
        self,
        upload: Upload,
        news: News,
        is_closed: Callable[[], bool],
        progress: Callable[[int, int, str | None], object] | None,
    ) -> Uploaded:
        """Uploads a photo in threads of its own, and waits.

        Args:
            upload: the upload, which tells this news.
            news: the producer's, which this thread waits for.
            is_closed: whether the producer has been closed.
            progress: as in `Producer.upload`; is called in this thread.

        Raises:
            NotUploaded, UnfitFile: as `Producer.upload` raises them.
        """
        with Watch(upload, is_closed, progress) as watch:
            uploaded = run_apart(upload.run, news, watch.look)
        watch.tell()
        return uploaded

    async def upload_awaited(
        self,
        opened: Callable[[], Upload],
        loops: Loops,
        news: News,
        is_closed: Callable[[], bool],
        progress: Callable[[int, int, str | None], object] | None,
    ) -> Uploaded:
        """`upload_apart` for event loops: opens the file and uploads it in threads, while a task waits.

        Args:
            opened: makes the upload, which tells this news.
            loops: of the same news.
            news, is_closed, progress: as in `upload_apart`; progress is told in the loop.

        Raises:
            UnfitFile, NotUploaded, UnsendableRequest, ValueError, OSError: as `AsyncProducer.upload` raises them.
        """
        upload = await in_a_thread(opened, Upload.leave)
        with Watch(upload, is_closed, progress) as watch:
            running = Apart(upload.run, news)
            for holds in running.waits(watch.look):
                await loops.wait_for(holds)
            uploaded = running.result()
        watch.tell()
        return uploaded

    def close(self) -> None:
        """Closes the client, unless it was given."""
        if self._owns_s3:
            self.s3.close()

    def begin_again(self) -> None:
        """Starts anew in a copy of the process: with connections of its own."""
        renew_connections(self.s3)
        renew_credentials(self.s3)


def named(bucket: Bucket | None) -> Bucket:
    """The content bucket of a producer.

    Raises:
        RuntimeError: the producer names none.
    """
    if bucket is None:
        raise RuntimeError("the producer has no bucket; give it the stack's output ContentBucketName as bucket=")
    return bucket


def settings_of_s3() -> Config:
    """The settings of a client for the bucket, which itself sends again what failed."""
    import boto3  # here, for `import tidemill` to be quick
    from botocore.config import Config

    return Config(
        retries={"mode": "standard", "total_max_attempts": 5},
        user_agent=f"tidemill boto3/{boto3.__version__}",
        connect_timeout=5,
        read_timeout=20,
        tcp_keepalive=True,
        max_pool_connections=CALLS_AT_ONCE,
    )


def _make_s3(stream: str) -> S3Client:
    s3: S3Client = make_client("s3", stream, settings_of_s3())
    return s3
