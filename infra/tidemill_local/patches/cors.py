"""CORS headers, without which a browser lets no page call another host or read its answers, errors included.

Room: local platform, pure but for `install`. The emulator's own error responses lack these headers, and so do
answers of an HTTP API that a template makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

Response: TypeAlias = "tuple[int, dict[str, str], Any]"
Dispatch: TypeAlias = "Callable[..., Awaitable[Response]]"
Preflight: TypeAlias = "Callable[..., Response | None]"
Configured: TypeAlias = "Callable[[Mapping[str, Any], str], Any]"
"""What an HTTP API's CORS configuration says to a page of an origin."""

ORIGIN, EXPOSED = "Access-Control-Allow-Origin", "Access-Control-Expose-Headers"
HEADERS, ASKED = "Access-Control-Allow-Headers", "access-control-request-headers"

ANY = "*"
"""Any header but Authorization, which must be named: https://fetch.spec.whatwg.org/#cors-non-wildcard-request-header-name."""

TARGET = "x-amz-target"
"""The header of calls to services that have no CORS configuration of their own."""

OWN = {"s3"}
"""Services whose users configure CORS: S3 by bucket."""


def install() -> None:
    """Have pages in browsers call the emulator and read its answers, refusals included.

    Needs of the emulator:
        app._handle_options_request: answers what a browser asks first; the headers that it asks for are named.
        app._dispatch_service_request: handles a call of any service; its answers are told to be readable.
        app.detect_service: tells which service a request is for: S3 has answers of its own to browsers.
        apigateway._cors_response_headers, apigateway._cors_preflight_response: follow an HTTP API's configuration.
    """
    from ministack import app
    from ministack.services import apigateway

    require(app, "_handle_options_request", "_dispatch_service_request", "detect_service")
    require(apigateway, "_cors_response_headers", "_cors_preflight_response")
    apigateway._cors_response_headers = of_template(apigateway._cors_response_headers)
    apigateway._cors_preflight_response = of_template(apigateway._cors_preflight_response)
    app._handle_options_request = preflight(app._handle_options_request)
    app._dispatch_service_request = readable(app._dispatch_service_request, app.detect_service)


def preflight(answer: Preflight) -> Preflight:
    """The emulator's answer to a preflight request, with the name of each header that the page would send."""

    def put_right(method: str, path: str, headers: Mapping[str, str], *rest: Any) -> Response | None:
        answered = answer(method, path, headers, *rest)
        if answered is None or answered[1].get(HEADERS) != ANY or not headers.get(ASKED):
            return answered
        status, told, body = answered
        return status, {**told, HEADERS: headers[ASKED]}, body

    return put_right


def readable(dispatch: Dispatch, service_of: Callable[..., str]) -> Dispatch:
    """The emulator's dispatcher of calls, with answers and refusals that a page can read, headers included.

    SDKs set their clock by the header Date, and find an error's name in another.

    Args:
        dispatch: takes method, path, headers, body, query, and more.
        service_of: the service that a request is for, by method, path, headers and query.
    """

    async def put_right(
        method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any, *rest: Any
    ) -> Response:
        status, told, answer = await dispatch(method, path, headers, body, query, *rest)
        is_open = TARGET in headers or (ORIGIN not in told and service_of(method, path, headers, query) not in OWN)
        return status, {ORIGIN: ANY, EXPOSED: ANY, **told} if is_open else told, answer

    return put_right


def of_template(answer: Configured) -> Configured:
    """Takes a configuration by a template's names too: `AllowOrigins` there is `allowOrigins` in the API."""

    def put_right(configuration: Mapping[str, Any], origin: str) -> Any:
        return answer({name[:1].lower() + name[1:]: value for name, value in (configuration or {}).items()}, origin)

    return put_right
