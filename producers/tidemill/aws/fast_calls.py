"""Makes boto3's large calls in less than half of botocore's time, where they go well at once.

Room: SDK. The plain way, and the contract, is botocore's `Endpoint._send_request`: attempts, one after another, until
one is not to be made again. Here the first attempt is made, with botocore's events and connections. If it is answered
well, msgspec reads the answer, and that is all. Whatever else comes of it (an error, an exception, a wrong checksum, an
unusual answer) is handed to botocore as the outcome of its own first attempt: it reads, judges, waits and tries again
as ever. So no attempt is made that it would not make. The benchmarks `orders_unique_0` and `orders_zipf_500` show the
gain: a tenth of all CPU time.

Left to botocore from the start: other calls; retries in another mode than "standard", or of one attempt, which leave a
note in each answer; handlers of `before-parse` or `needs-retry` that are not known here; its debug log; a botocore
whose parts have other names.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from uuid import uuid4
from zlib import crc32

from botocore.retries.standard import RetryHandler

from tidemill.aws import fast_json, fast_sns
from tidemill.aws.fast_requests import use_fast_requests
from tidemill.aws.fast_signing import now, use_fast_signing
from tidemill.aws.handlers import Handlers

if TYPE_CHECKING:
    from datetime import datetime

    from botocore.client import BaseClient

Client = TypeVar("Client", bound="BaseClient")

CHECKSUM = "x-amz-crc32"
REQUEST_ID = "x-amzn-requestid"


Answer: TypeAlias = tuple[dict[str, Any], str | None]
"""What an answer says, and the request's id, if its body has it."""


def _json(body: bytes) -> Answer | None:
    content = fast_json.read(body)
    return None if content is None else (content, None)


READS: Mapping[str, tuple[Callable[[bytes], Answer | None], Callable[..., None]]] = {
    **dict.fromkeys(fast_json.BATCHES, (_json, fast_json.on_before_parse)),
    "PublishBatch": (fast_sns.read, fast_sns.on_before_parse),
}
"""Operation -> what reads a good answer (None if botocore must), and the `before-parse` that does so for botocore."""

_log_of_botocore = logging.getLogger("botocore.endpoint")
_PARTS = ("_event_emitter", "_send_request", "_send", "create_request")


def use_fast_calls(client: Client, clock: Callable[[], datetime] = now) -> Client:
    """Makes a client quick that `use_msgspec_json` or `use_fast_sns` made quicker, and returns it.

    Args:
        client: a boto3 client.
        clock: the time, in UTC.
    """
    use_fast_requests(use_fast_signing(client, clock))
    endpoint: Any = getattr(client, "_endpoint", None)
    if all(hasattr(endpoint, part) for part in _PARTS):
        endpoint._send_request = _Calls(client, endpoint).make
    return client


class _Calls:
    """Makes the calls of a client."""

    def __init__(self, client: Any, endpoint: Any) -> None:
        self._endpoint, self._plain = endpoint, endpoint._send_request
        self._service = client.meta.service_model.service_id.hyphenize()
        self._handlers = Handlers(client.meta.events)
        self._is_tried_once = (client.meta.config.retries or {}).get("total_max_attempts") == 1

    def make(self, request_dict: dict[str, Any], operation_model: Any) -> Any:
        """The HTTP response and what it says. The parameters are those of `Endpoint._send_request`."""
        operation, context, endpoint = operation_model.name, request_dict["context"], self._endpoint
        read = self._read_of(operation)
        if read is None or "checksum" in context or _log_of_botocore.isEnabledFor(logging.DEBUG):
            return self._plain(request_dict, operation_model)
        context.setdefault("retries", {}).update({"attempt": 1, "invocation-id": str(uuid4())})
        request = endpoint.create_request(request_dict, operation_model)
        emit = endpoint._event_emitter.emit
        try:
            said = emit(f"before-send.{self._service}.{operation}", request=request)
            http = next((one for _, one in said if one is not None), None) or endpoint._send(request)
        except Exception as error:  # raised again in botocore's first attempt
            return self._go_on(request_dict, operation_model, error)
        parsed = _parsed(http, read)
        if parsed is None:
            return self._go_on(request_dict, operation_model, http)
        response = {"headers": http.headers, "status_code": 200, "context": {"operation_name": operation}}
        emit(
            f"response-received.{self._service}.{operation}",
            response_dict=response | {"body": http.content},
            parsed_response=parsed,
            context=context,
            exception=None,
        )
        return http, parsed

    def _read_of(self, operation: str) -> Callable[[bytes], Answer | None] | None:
        """How the operation's answers are read; None if botocore must make the call."""
        found = self._handlers.found()
        if found is None or operation not in READS or self._is_tried_once:
            return None
        if operation not in found:
            read, handler = READS[operation]
            name = f"{self._service}.{operation}"
            judges = [getattr(one, "__self__", None) for one in self._handlers.of(f"needs-retry.{name}")]
            is_usual = [type(one) for one in judges] == [RetryHandler]
            found[operation] = read if is_usual and self._handlers.of(f"before-parse.{name}") == [handler] else None
        return found[operation]  # type: ignore[no-any-return] # it is put in above

    def _go_on(self, request_dict: dict[str, Any], operation_model: Any, outcome: Any) -> Any:
        """What botocore makes of the call after a first attempt that ended so."""
        endpoint = copy(self._endpoint)
        endpoint._event_emitter = _Replay(endpoint._event_emitter, outcome)
        return type(endpoint)._send_request(endpoint, request_dict, operation_model)


class _Replay:
    """Events after a first attempt: the first `before-send` gives its response, or raises its error, once more."""

    def __init__(self, events: Any, outcome: Any) -> None:
        self._events, self._outcome = events, outcome

    def emit(self, event_name: str, **kwargs: Any) -> Any:
        outcome = self._outcome
        if outcome is None or not event_name.startswith("before-send."):
            return self._events.emit(event_name, **kwargs)
        self._outcome = None
        if isinstance(outcome, Exception):
            raise outcome
        return [(None, outcome)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)


def _parsed(http: Any, read: Callable[[bytes], Answer | None]) -> dict[str, Any] | None:
    """What a response says, as botocore has it; None if it is unusual."""
    headers = {name.lower(): value for name, value in http.headers.items()}
    checksum = headers.get(CHECKSUM)
    if http.status_code != 200 or (checksum is not None and checksum != str(crc32(http.content))):
        return None
    answer = read(http.content)
    if answer is None:
        return None
    content, request_id = answer
    metadata = {"HTTPStatusCode": 200, "HTTPHeaders": headers, "RetryAttempts": 0}
    request_id = request_id or headers.get(REQUEST_ID)
    if request_id is not None:
        metadata["RequestId"] = request_id
    return {"ResponseMetadata": metadata, **content}
