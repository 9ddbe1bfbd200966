"""The answers to a GET of a thumbnail.

Room: media application, pure. HTTP APIs' responses, payload format 2.0:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TypedDict

import msgspec

URL_SECONDS = 300
"""How long the URL in a redirect may be used. It is signed, so whoever has it needs no other right."""

KEPT_SECONDS = 240
"""How long a redirect may be kept: a minute less, in which its URL is followed."""


class HttpResponse(TypedDict):
    """A response."""

    statusCode: int
    headers: Mapping[str, str]
    body: str


def redirect(url: str) -> HttpResponse:
    """To where the thumbnail is."""
    headers = {"location": url, "cache-control": f"private, max-age={KEPT_SECONDS}"}
    return {"statusCode": HTTPStatus.FOUND.value, "headers": headers, "body": ""}


def not_found(why: str) -> HttpResponse:
    """There is no such thumbnail; the reason is for people."""
    return _error(HTTPStatus.NOT_FOUND, why, {"cache-control": "no-store"})  # there may be one soon


def not_now(why: str) -> HttpResponse:
    """It can be asked for again."""
    return _error(HTTPStatus.SERVICE_UNAVAILABLE, why, {"cache-control": "no-store", "retry-after": "5"})


def _error(status: HTTPStatus, why: str, headers: Mapping[str, str]) -> HttpResponse:
    body = msgspec.json.encode({"error": why}).decode()
    return {"statusCode": status.value, "headers": {"content-type": "application/json", **headers}, "body": body}
