"""What an exception of a call means: whether to send again, and whether the records may be stored all the same."""

from __future__ import annotations

from ssl import SSLCertVerificationError
from typing import Any

import pytest
from botocore import exceptions as boto

from tidemill.delivery.put_records import IN_VAIN, refusal

NOWHERE = "https://nowhere"


def answered(code: str, status: int, operation: str) -> boto.ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "sorry"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto.ClientError(answer, operation)


def ssl_error(cause: Exception) -> boto.SSLError:
    return boto.SSLError(endpoint_url=NOWHERE, error=cause)


def certificate_error() -> boto.SSLError:
    error = ssl_error(OSError("handshake"))
    error.__cause__ = OSError(SSLCertVerificationError("expired"))
    return error


@pytest.mark.parametrize(
    ("error", "sends", "again", "lost"),
    [
        (answered("InternalFailure", 500, "PutRecords"), 1, True, True),
        (answered("AccessDeniedException", 400, "PutRecords"), 1, False, False),
        # The service that gives credentials answers before anything is sent to the stream.
        (answered("InternalFailure", 500, "AssumeRole"), 0, True, False),
        (answered("AccessDenied", 403, "AssumeRole"), 0, False, False),
        (answered("InternalFailure", 500, "AssumeRole"), 1, True, True),
        (boto.ReadTimeoutError(endpoint_url=NOWHERE), 1, True, True),
        (boto.ReadTimeoutError(endpoint_url=NOWHERE), 0, True, False),
        (boto.ConnectionClosedError(endpoint_url=NOWHERE), 1, True, True),
        (boto.EndpointConnectionError(endpoint_url=NOWHERE), 1, True, False),
        (boto.NoCredentialsError(), 1, False, False),
        (boto.CredentialRetrievalError(provider="p", error_msg="m"), 1, True, False),
        (certificate_error(), 1, True, False),
        (ssl_error(OSError("cut")), 1, True, True),
        (KeyError("a hook"), 0, False, False),
        (KeyError("a hook"), 1, True, True),
        (OSError("no file"), 0, True, False),
    ],
    ids=lambda value: f"{type(value).__name__}" if isinstance(value, Exception) else f"{value}",
)
def test_what_an_exception_means(error: Exception, sends: int, again: bool, lost: bool) -> None:
    found = refusal(error, sends)
    assert (found.again, found.lost) == (again, lost)
    code = error.response["Error"]["Code"] if isinstance(error, boto.ClientError) else type(error).__name__
    assert found.code in (code, type(error).__name__)


def test_the_codes_that_say_that_these_credentials_will_not_do() -> None:
    invalid = {"ExpiredTokenException", "InvalidSignatureException", "UnrecognizedClientException"}
    assert invalid | {"MissingAuthenticationTokenException"} == IN_VAIN
