"""Calling the function: through Lambda's API, or in this process.

Room: event source, I/O.
"""

from __future__ import annotations

import json
import logging
import traceback
import uuid
from collections.abc import Callable
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
        functions: a boto3 Lambda client.
        name: the function's name or ARN.
        heard: told each answer of the function that is not an error.
    """

    def invoke(event: bytes) -> Outcome:
        try:
            answer = functions.invoke(FunctionName=name, Payload=event)
        except (ClientError, BotoCoreError) as error:
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
            said = {"errorMessage": str(error), "errorType": type(error).__name__}
            return Outcome(json.dumps(said).encode(), "Unhandled", request_id)

    return invoke
