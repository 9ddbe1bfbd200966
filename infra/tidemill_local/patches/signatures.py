"""Signatures of requests: root's are checked like all others, HTTP/2's name of the host header is known, and so are
signatures in the query of an HTTP API's URL. What a presigned URL of S3 does not sign is refused.

Room: local platform; fitted into the emulator by `install`. The emulator accepts root's keys with any secret, so a
client that signs wrongly works as root and fails as everybody else. Its HTTP APIs ask for a header with a signature.
Its S3 takes headers beside a presigned URL that its signer knew nothing of, such as a storage class.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

ROOT_SECRETS: Mapping[str, str] = {"test": "test", "accesskey": "secretkey"}
"""Key -> secret. The second is what localstack-client signs with by default."""

NUMBERED_SECRET = "test"  # noqa: S105 # known to everybody
"""The secret of an access key that is an account's number."""

AUTHORITY = b":authority"
"""The pseudo-header of HTTP/2 that stands for `Host`: https://www.rfc-editor.org/rfc/rfc9113#section-8.3.1."""

Headers: TypeAlias = list[tuple[bytes, bytes]]

IN_QUERY = "X-Amz-Signature"
"""The parameter of a URL that has its signature: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html."""

Execute: TypeAlias = "Callable[..., Awaitable[Any]]"
"""Answers a request to an HTTP API."""

Pin: TypeAlias = "Callable[..., None]"
"""Keeps a request as it was sent, for the check of its signature."""

AMZ = "x-amz-"
"""How headers begin that change what S3 does; each has to be signed:
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html."""

OF_BODY = "x-amz-content-sha256"
"""The one that need not be: it says how the body is signed, and changes nothing."""

Verify: TypeAlias = "Callable[..., tuple[int, dict[str, str], bytes] | None]"
"""Gives S3's refusal of a presigned URL, or None."""

Resolve: TypeAlias = "Callable[..., Any]"
"""Gives a key's credential, or the reason why there is none."""

_pinning: ContextVar[bool] = ContextVar("tidemill_pinning", default=False)


def install() -> None:
    """Have root's signatures checked like all others, know the host by its name in HTTP/2, and URLs that are signed.

    Installed before all others: services copy these functions when they are imported.

    Needs of the emulator:
        iam_evaluator._is_root_key: tells whose requests are not kept for a check; of those with a key, none are left.
        iam_evaluator.resolve_credential: gives the credential of a key; root's is given the secret of that very key.
        iam_evaluator.pin_signed_request, app.pin_signed_request: keeps a request for the check of its signature.
        apigateway.handle_execute: answers a request to an HTTP API, whose signature was checked before, wherever it is.
        s3._verify_presigned_sigv4: gives the refusal of a presigned URL, or None.
        s3._error: makes a refusal.
    """
    from ministack import app
    from ministack.core import iam_evaluator

    require(iam_evaluator, "_is_root_key", "pin_signed_request", "resolve_credential")
    require(app, "pin_signed_request")
    iam_evaluator._is_root_key = is_trusted(iam_evaluator._is_root_key)
    iam_evaluator.resolve_credential = with_root_secret(iam_evaluator.resolve_credential)
    app.pin_signed_request = iam_evaluator.pin_signed_request = pinning(iam_evaluator.pin_signed_request)
    from ministack.services import apigateway

    require(apigateway, "handle_execute")
    apigateway.handle_execute = taking_urls(apigateway.handle_execute)
    from ministack.services import s3

    require(s3, "_verify_presigned_sigv4", "_error")
    s3._verify_presigned_sigv4 = all_signed(s3._verify_presigned_sigv4, s3._error)


def signed_as(headers: Headers) -> Headers:
    """The headers as their sender signed them: Node's Kinesis client signs `:authority`, servers receive `host`."""
    return [*headers, *((AUTHORITY, value) for name, value in headers if name.lower() == b"host")]


def pinning(pin: Pin) -> Pin:
    """Keeps each signed request for its check, root's too."""

    def put_right(method: str, path: str, query: Any, headers: Headers, *rest: Any, **named: Any) -> None:
        token = _pinning.set(True)
        try:
            pin(method, path, query, signed_as(headers), *rest, **named)
        finally:
            _pinning.reset(token)

    return put_right


def is_trusted(is_root: Callable[[str], bool]) -> Callable[[str], bool]:
    """Whether a key is root's. While a request is kept for its check, only a missing key counts as root's."""

    def decide(key: str) -> bool:
        return not key if _pinning.get() else is_root(key)

    return decide


def with_root_secret(resolve: Resolve) -> Resolve:
    """The credential of a key; for a root key, with the secret of that very key."""

    def put_right(key: str, *rest: Any, **named: Any) -> Any:
        credential = resolve(key, *rest, **named)
        if getattr(credential, "principal_type", "") != "Root":
            return credential
        return replace(credential, secret_access_key=ROOT_SECRETS.get(key, NUMBERED_SECRET))

    return put_right


def taking_urls(execute: Execute) -> Execute:
    """Answers a request to an HTTP API whose URL is signed: its function sees a header `authorization` of no text."""

    async def put_right(
        api: str, stage: str, path: str, method: str, headers: Mapping[str, str], body: bytes, query: Any, **named: Any
    ) -> Any:
        is_signed = bool(query) and IN_QUERY in query
        told = {"authorization": "", **headers} if is_signed else headers
        return await execute(api, stage, path, method, told, body, query, **named)

    return put_right


def all_signed(verify: Verify, refusal: Callable[..., tuple[int, dict[str, str], bytes]]) -> Verify:
    """Verifies a presigned URL, and that every header that changes what S3 does is signed."""

    def put_right(method: str, path: str, headers: Mapping[str, str], query: Mapping[str, Any]) -> Any:
        refused = verify(method, path, headers, query)
        if refused is not None or IN_QUERY not in query:
            return refused
        signed = (query.get("X-Amz-SignedHeaders") or [""])[0]
        known = {*signed.split(";"), OF_BODY}
        if any(name.lower().startswith(AMZ) and name.lower() not in known for name in headers):
            text = "There were headers present in the request which were not signed"
            return refusal("AccessDenied", text, 403, path)
        return None

    return put_right
