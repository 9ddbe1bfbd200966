"""The replies of a load test: each is told to the tracker of its part.

Room: local platform, I/O by the SDK's reply reader.
Tests: tests/e2e/test_bench.py.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from tidemill import Replies, Reply
from tidemill.replies.reader import ReplyReader
from tidemill_load.results.request_tracker import RequestTracker

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

CLOSE_SECONDS: Final = 5.0
"""Longest wait at the end for the poll under way."""


class TrackedReplies:
    """Hears replies from entering to leaving.

    Args:
        queue: the URL of a queue that hears all replies.
        sqs: a boto3 SQS client, for this alone.
    """

    def __init__(self, queue: str, sqs: SQSClient) -> None:
        self._reader = ReplyReader(Replies(queue, sqs=sqs), self._take)
        self.tracker: RequestTracker | None = None
        """Is told of each reply; one to none of its requests is passed over."""
        self.messages = 0
        """SQS messages that came."""
        sqs.meta.events.register("after-call.sqs.ReceiveMessage", self._count)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.close(CLOSE_SECONDS)

    def _take(self, replies: list[Reply]) -> None:
        now = time.monotonic()
        if tracker := self.tracker:
            for reply in replies:
                tracker.answered(reply.id, reply.status, now)

    def _count(self, parsed: Any, **_: object) -> None:
        self.messages += len(parsed.get("Messages", []))
