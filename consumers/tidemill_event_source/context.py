"""The second argument of a handler that is called in this process.

Room: event source, pure but for the clock.
Tests: tests/consumers/tidemill_event_source/test_invoking.py.
"""

from __future__ import annotations

import time
import uuid

IN_PROCESS_ARN = "arn:aws:lambda:us-east-1:000000000000:function:in-process"


class NoIdentity:
    """The Cognito identity of an invocation that no mobile SDK made: none."""

    cognito_identity_id = None
    cognito_identity_pool_id = None


class Context:
    """A handler's context, with every attribute of AWS's: https://docs.aws.amazon.com/lambda/latest/dg/python-context.html.

    Args:
        function_arn: the function's ARN, which ends with its name.
        timeout: seconds that the invocation may take.
    """

    client_context = None
    identity = NoIdentity()
    function_version = "$LATEST"
    memory_limit_in_mb = "1769"

    def __init__(self, function_arn: str, timeout: float) -> None:
        self.aws_request_id = str(uuid.uuid4())
        self.invoked_function_arn = function_arn
        self.function_name = function_arn.rpartition(":")[2]
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self.log_stream_name = f"{time.strftime('%Y/%m/%d')}/[$LATEST]{self.aws_request_id.replace('-', '')}"
        self._deadline = time.monotonic() + timeout

    def get_remaining_time_in_millis(self) -> int:
        """Until the invocation times out; 0 when it has."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))

    def log(self, message: object) -> None:
        """Print, as the method of AWS's context does."""
        print(message)  # noqa: T201 # the handler's own output
