"""Why a step of `tidemill smoke` failed, as whoever deployed the stack reads it."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.tree import ROOT
from tidemill_cli.commands.smoke.failures import PAGE, StepFailed, why


def refusal(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Scan")


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "AuthorizationError"])
def test_a_permission_that_is_missing_is_named_with_the_page_that_lists_all(code: str) -> None:
    told = why(refusal(code, "User x is not authorized to perform: dynamodb:Scan"))
    assert told.startswith("no permission for Scan: User x is not authorized to perform: dynamodb:Scan")
    assert PAGE in told
    assert (ROOT / PAGE).exists()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StepFailed("two\n  lines"), "two lines"),
        (refusal("ResourceNotFoundException", "gone"), "(ResourceNotFoundException)"),
        (EndpointConnectionError(endpoint_url="http://x"), "Could not connect"),
        (KeyError("Records"), "KeyError: 'Records'"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_every_other_error_is_a_line_that_says_what_it_is(error: Exception, told: str) -> None:
    assert told in why(error)
    assert "\n" not in why(error)
    assert "permission" not in why(error)
