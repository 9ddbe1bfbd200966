"""Calling the function: through Lambda's API, or in this process.

Room: event source, I/O.
"""

from __future__ import annotations

import json
import logging
import traceback
import uuid
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import BotoCoreError, ClientError

from tidemill_local.event_source.batches import Outcome

if TYPE_CHECKING:
    from types_boto3_lambda import LambdaClient

log = logging.getLogger(__name__)

Invoke: TypeAlias = Callable[[bytes], Outcome]
"""Invokes the function with an event, JSON, and waits for what comes back. Called from several threads."""


def through_lambda(functions: LambdaClient, name: str, heard: Callable[[bytes], None] = lambda _: None) -> Invoke:
    """Invokes a function through Lambda's API.

    Args:
        functions: a boto3 Lambda client. One that gives up waiting, or tries again, before the function's timeout
            runs it twice at a time.
        name: the function's name or ARN.
        heard: told each answer of the function that is not an error.
    """

    def invoke(event: bytes) -> Outcome:
        try:
            answer = functions.invoke(FunctionName=name, Payload=event)
        except (ClientError, BotoCoreError) as error:
            if _is_too_large(error):
                # It never fits, so that it counts as the function's failure: those are split, or given up.
                log.warning("cannot invoke %s with %s bytes: %s", name, len(event), error)
                return Outcome(_said("RequestEntityTooLargeException", str(error)), "Unhandled")
            log.warning("cannot invoke %s, trying again: %s", name, error)
            return Outcome(invoked=False)
        payload = answer["Payload"].read()
        error_kind = answer.get("FunctionError")
        if error_kind:
            log.warning("%s failed: %s", name, payload[:500].decode(errors="replace"))
        else:
            heard(payload)
        return Outcome(
            payload,
            error_kind,
            answer["ResponseMetadata"].get("RequestId", ""),
            answer.get("ExecutedVersion", "$LATEST"),
        )

    return invoke


def in_process(handler: Callable[[Any, Any], Any]) -> Invoke:
    """Invokes a handler in this process, its event and answer made JSON on the way as Lambda does.

    Args:
        handler: a Lambda handler; its context is None. It is called from several threads.
    """

    def invoke(event: bytes) -> Outcome:
        request_id = str(uuid.uuid4())
        try:
            return Outcome(json.dumps(handler(json.loads(event), None)).encode(), request_id=request_id)
        except Exception as error:  # whatever a handler raises is the function's error
            log.warning("the handler failed: %s", traceback.format_exc())
            return Outcome(_said(type(error).__name__, str(error)), "Unhandled", request_id)

    return invoke


def _is_too_large(error: Exception) -> bool:
    if not isinstance(error, ClientError):
        return False
    return error.response["ResponseMetadata"].get("HTTPStatusCode") == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def _said(error_type: str, message: str) -> bytes:
    """An error as a function's runtime puts it."""
    return json.dumps({"errorMessage": message, "errorType": error_type}).encode()
