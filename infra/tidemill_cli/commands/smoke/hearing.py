"""The queue on which `tidemill smoke` hears the replies to its requests.

Room: command line.
Tests: tests/e2e/test_smoke.py.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from math import ceil

from tidemill import Replies, Reply
from tidemill.replies.message_queue import LONGEST_WAIT
from tidemill.replies.queue import reply_queue
from tidemill_cli.commands.smoke.failures import StepFailed, why
from tidemill_cli.commands.smoke.under_test import UnderTest


class Hearing:
    """A queue of this run's replies, made when the first step needs it; it is deleted at the end.

    Args:
        stack: whose topic it hears.
    """

    def __init__(self, stack: UnderTest) -> None:
        self._stack = stack
        self._open = ExitStack()
        self._queue: str | None = None

    def begin(self) -> None:
        """Make the queue, if there is none, before anything is sent whose reply is to be heard.

        Raises:
            ClientError, BotoCoreError, TooManyQueues: it cannot be made.
        """
        if self._queue is None:
            queue = reply_queue(self._stack.output("RepliesTopicArn"), self._stack.run, client_of=self._stack.client)
            self._queue = self._open.enter_context(queue)

    def close(self) -> int:
        """Delete the queue and its subscription; how many there were, 0 or 1. A second call does nothing."""
        queue, self._queue = self._queue, None
        self._open.close()
        return 0 if queue is None else 1

    def replies(self) -> Replies:
        """The replies of the queue, with none remembered that came before."""
        self.begin()
        return Replies(str(self._queue), sqs=self._stack.client("sqs"))

    def wait(self, request_id: str, key: str) -> Reply:
        """The reply to a request, if it comes in time.

        Raises:
            StepFailed: it does not; says whether the request was applied.
        """
        deadline = time.monotonic() + self._stack.reply_seconds
        with self.replies() as replies:
            while (left := deadline - time.monotonic()) > 0:
                for reply in replies.poll(min(LONGEST_WAIT, ceil(left))):
                    if reply.id == request_id:
                        return reply
        raise StepFailed(self.silence(key))

    def silence(self, key: str) -> str:
        """Why there may be no reply to the request of a key."""
        stack = self._stack
        waited = f"no reply within {stack.reply_seconds:.0f} s"
        try:
            applied = stack.has_applied(key)
        except Exception as error:
            return f"{waited}, and the table cannot be asked whether {key} is applied: {why(error)}"
        if applied:
            return (
                f"{waited}, though the request is applied: the function may not be able to publish, or SNS not follow "
                "the new queue's subscription yet, which can take minutes; run it again"
            )
        log = stack.outputs.get("ApplyLogGroupName", "of the apply function")
        return f"{waited}, and it is not applied: look whether the mapping is enabled, and at the log group {log}"


def accepted(reply: Reply) -> Reply:
    """The reply, which must accept its request.

    Raises:
        StepFailed: it does not.
    """
    if reply.status != "accepted":
        raise StepFailed(f"{reply.id} is {reply.status}: {reply.error}; is the functions' code of this release?")
    return reply
