"""What is in a request's way, as the function's log says it."""

import json

import pytest

from tidemill_cli.commands.smoke.running import NEVER_STARTS, error_in


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (
            "[ERROR] Runtime.ImportModuleError: no x\nTraceback (most recent call last):",
            "Runtime.ImportModuleError: no x",
        ),
        (json.dumps({"level": "ERROR", "errorType": "KeyError", "errorMessage": "'a'"}), "KeyError: 'a'"),
        (json.dumps({"level": "ERROR", "message": "cannot save"}), "cannot save"),
        ("2026 r Task timed out after 120.00 seconds", "2026 r Task timed out after 120.00 seconds"),
        (json.dumps({"level": "INFO", "message": "saved"}), None),
        ("{broken", None),
        ("REPORT RequestId: 1", None),
    ],
)
def test_an_error_is_told_in_a_line(message: str, error: str | None) -> None:
    assert error_in(message) == error


def test_an_error_of_the_code_itself_may_go_away() -> None:
    assert NEVER_STARTS.match("Runtime.HandlerNotFound: Handler 'handler' missing")
    assert not NEVER_STARTS.match("Runtime.ExitError: exit status 1")
    assert not NEVER_STARTS.match("ClientError: AccessDenied")
