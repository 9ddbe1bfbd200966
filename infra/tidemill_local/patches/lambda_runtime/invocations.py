"""What goes into an execution environment and what comes out of it: plain values.

Room: local platform, pure. Tests: tests/infra/tidemill_local/patches/lambda_runtime/test_environment.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

RESPONSE_LIMIT = 6 * 1024 * 1024 + 100
"""Bytes: the 6 MB of the quotas page and a hundred, as AWS's own message has it."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """What the handler gets.

    Attributes:
        request_id: unique.
        payload: the event, JSON.
        arn: the function's, as the invoker named it.
        trace: the X-Ray header.
    """

    request_id: str
    payload: bytes
    arn: str
    trace: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the invoker gets: the handler's response, or an error as JSON."""

    payload: bytes
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """The environment is of no more use; it ended, or must be.

    Attributes:
        error_type: AWS's name.
        message: what the invoker is told.
        status: as the log has it: `error` or `timeout`.
        payload: the error as JSON where the process told it itself.
    """

    error_type: str
    message: str
    status: str = "error"
    payload: bytes | None = None

    def answer(self) -> Answer:
        """As the invoker gets it."""
        told = {"errorType": self.error_type, "errorMessage": self.message}
        return Answer(self.payload or json.dumps(told).encode(), is_error=True)


@dataclass(frozen=True, slots=True)
class Line:
    """An event of the log, and its time in milliseconds since 1970."""

    time_ms: int
    text: str
