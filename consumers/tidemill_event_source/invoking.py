"""Calling the function: through Lambda's API, or in this process.

Room: event source, I/O.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from http import HTTPStatus
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_event_source.context import IN_PROCESS_ARN, Context
from tidemill_event_source.decisions.batches import InvocationResponse

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

log = logging.getLogger(__name__)

DEFAULT_SECONDS = 3.0
"""https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html: "the default value is 3 seconds"."""

FOREVER = 365 * 86_400.0

Invoke: TypeAlias = Callable[[bytes], InvocationResponse]
"""Invokes the function with an event's JSON and waits for the response. Called from several threads."""


def through_lambda(functions: LambdaClient, name: str, heard: Callable[[bytes], None] = lambda _: None) -> Invoke:
    """Invokes a function through Lambda's API.

    Args:
        functions: a boto3 Lambda client. One that gives up waiting, or tries again, before the function's timeout
            runs it twice at a time.
        name: the function's name or ARN.
        heard: called with each answer of the function that is not an error.
    """

    def invoke(event: bytes) -> InvocationResponse:
        try:
            answer = functions.invoke(FunctionName=name, Payload=event)
        except (ClientError, BotoCoreError) as error:
            if _is_too_large(error):
                # It never fits, so that it counts as the function's failure: those are split, or given up.
                log.warning("cannot invoke %s with %s bytes: %s", name, len(event), error)
                return InvocationResponse(_said("RequestEntityTooLargeException", str(error)), "Unhandled")
            return InvocationResponse(invoked=False, trouble=f"cannot invoke {name}, trying again: {error}")
        payload = answer["Payload"].read()
        error_kind = answer.get("FunctionError")
        if error_kind:
            log.warning("%s failed: %s", name, payload[:500].decode(errors="replace"))
        else:
            heard(payload)
        return InvocationResponse(
            payload,
            error_kind,
            answer["ResponseMetadata"].get("RequestId", ""),
            answer.get("ExecutedVersion", "$LATEST"),
        )

    return invoke


def in_process(
    handler: Callable[[Any, Any], Any],
    *,
    timeout: float | None = DEFAULT_SECONDS,
    function_arn: str = IN_PROCESS_ARN,
) -> Invoke:
    """Invokes a handler in this process, its event and answer made JSON on the way as Lambda does.

    Args:
        handler: a Lambda handler. It is called from several threads.
        timeout: seconds after which the invocation has failed, Lambda's default of 3 unless said; None waits as long
            as it takes, for a debugger. Nothing in a process can end a thread: a handler that hangs goes on hanging
            in its own, beside the next try.
        function_arn: the function's ARN in its context.
    """

    def invoke(event: bytes) -> InvocationResponse:
        context = Context(function_arn, FOREVER if timeout is None else timeout)
        answers: SimpleQueue[InvocationResponse] = SimpleQueue()
        call = Thread(target=lambda: answers.put(_called(handler, event, context)), name="handler", daemon=True)
        call.start()
        try:
            return answers.get(timeout=timeout)
        except Empty:
            message = f"{context.aws_request_id} Task timed out after {timeout:.2f} seconds"
            log.warning("the handler hangs: %s", message)
            return InvocationResponse(_said("Sandbox.Timedout", message), "Unhandled", context.aws_request_id)

    return invoke


def _called(handler: Callable[[Any, Any], Any], event: bytes, context: Context) -> InvocationResponse:
    """The handler's answer, or what it raised: whatever that is, it is the function's error."""
    try:
        answer = handler(json.loads(event), context)
        return InvocationResponse(json.dumps(answer).encode(), request_id=context.aws_request_id)
    except SystemExit as error:
        # On AWS the function's process ends, and its next invocation has another.
        message = f"RequestId: {context.aws_request_id} Error: Runtime exited with error: exit status {_status(error)}"
        said = _said("Runtime.ExitError", message)
        log.warning("the handler ended its process: %s", message)
    except BaseException as error:  # see the docstring
        said = _said(type(error).__name__, str(error))
        log.warning("the handler failed: %s", traceback.format_exc())
    return InvocationResponse(said, "Unhandled", context.aws_request_id)


def _status(error: SystemExit) -> int:
    """The status that a process would have ended with."""
    if error.code is None:
        return 0
    return error.code if isinstance(error.code, int) else 1


def _is_too_large(error: Exception) -> bool:
    if not isinstance(error, ClientError):
        return False
    return error.response["ResponseMetadata"].get("HTTPStatusCode") == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def _said(error_type: str, message: str) -> bytes:
    """An error in the form of Lambda's runtimes."""
    return json.dumps({"errorMessage": message, "errorType": error_type}).encode()
