"""The queue on which `tidemill smoke` hears the replies to its requests.

Room: command line.
Tests: tests/e2e/test_smoke.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from math import ceil
from typing import Final

from tidemill import Replies, Reply
from tidemill.replies.queue import reply_queue
from tidemill_cli.commands.smoke.failures import StepFailed, why
from tidemill_cli.commands.smoke.running import obstacle
from tidemill_cli.commands.smoke.subject import UnderTest

LOOK_SECONDS: Final = 5.0
"""Between two looks at what may keep a request from being applied, while its reply is waited for."""


class Hearing:
    """A queue of this run's replies, made when the first step needs it; it is deleted at the end.

    Args:
        stack: whose topic it hears.
        tell: told what is in the way of a reply that is waited for.
    """

    def __init__(self, stack: UnderTest, tell: Callable[[str], None] = lambda _: None) -> None:
        self._stack = stack
        self._tell = tell
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
        with self.replies() as replies:
            return self.until(
                lambda seconds: next((one for one in replies.poll(ceil(seconds)) if one.id == request_id), None), key
            )

    def until(self, ask: Callable[[float], Reply | None], key: str) -> Reply:
        """The reply to a request, asked for again and again until it comes, or cannot come.

        Args:
            ask: waits for it so many seconds; None if it has not come.
            key: the request's.

        Raises:
            StepFailed: the time is up, or something stays in the way; says whether the request was applied.
        """
        deadline = time.monotonic() + self._stack.reply_seconds
        while (left := deadline - time.monotonic()) > 0:
            if reply := ask(min(LOOK_SECONDS, left)):
                return reply
            if found := obstacle(self._stack):
                self._tell(found.text)
                if found.stays:
                    break
        raise StepFailed(self.silence(key))

    def silence(self, key: str) -> str:
        """Why there may be no reply to the request of a key."""
        stack = self._stack
        found = obstacle(stack)
        waited = "no reply" if found and found.stays else f"no reply within {stack.reply_seconds:.0f} s"
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
        where = found.text if found else f"look whether the mapping is enabled, and at the log group {log}"
        return f"{waited}, and it is not applied: {where}"


def accepted(reply: Reply) -> Reply:
    """The reply, which must accept its request.

    Raises:
        StepFailed: it does not.
    """
    if reply.status != "accepted":
        raise StepFailed(f"{reply.id} is {reply.status}: {reply.error}; is the functions' code of this release?")
    return reply
