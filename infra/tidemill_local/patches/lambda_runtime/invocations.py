"""The input and output of an execution environment: plain values.

Room: local platform, pure. Tests: tests/infra/tidemill_local/patches/lambda_runtime/test_environment.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

RESPONSE_LIMIT = 6 * 1024 * 1024 + 100
"""Bytes: the 6 MB of the quotas page and a hundred, as AWS's own message has it."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """An invocation of the handler.

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
    """The result for the invoker: the handler's response, or an error as JSON."""

    payload: bytes
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure after which the environment cannot be used again: its process ended, or must be killed.

    Attributes:
        error_type: AWS's name of the error.
        message: the message for the invoker.
        status: the status in the log: `error` or `timeout`.
        payload: the error as JSON, if the process reported it itself.
    """

    error_type: str
    message: str
    status: str = "error"
    payload: bytes | None = None

    def answer(self) -> Answer:
        """The failure as the invoker's result."""
        told = {"errorType": self.error_type, "errorMessage": self.message}
        return Answer(self.payload or json.dumps(told).encode(), is_error=True)


@dataclass(frozen=True, slots=True)
class Line:
    """An event of the log, and its time in milliseconds since 1970."""

    time_ms: int
    text: str
