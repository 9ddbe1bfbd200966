"""What is in a request's way, as mappings and logs say it."""

import json
from typing import Any

import pytest

from tidemill_cli.commands.smoke.running import NEVER_STARTS, error_in, of_mapping


@pytest.mark.parametrize(
    ("mapping", "text", "stays"),
    [
        (None, "the function has no mapping of the stream", True),
        ({"State": "Disabled", "UUID": "u"}, "aws lambda update-event-source-mapping --uuid u --enabled", True),
        ({"State": "Enabling", "LastProcessingResult": "No records processed"}, "the mapping is Enabling", False),
        ({"State": "Enabled", "LastProcessingResult": "PROBLEM: Function call failed"}, "says PROBLEM: Func", False),
    ],
)
def test_a_mapping_says_what_is_in_the_way(mapping: Any, text: str, stays: bool) -> None:
    found = of_mapping(mapping)
    assert found is not None
    assert (text in found.text, found.stays) == (True, stays)


def test_a_mapping_that_reads_is_in_nobodys_way() -> None:
    assert of_mapping({"State": "Enabled", "LastProcessingResult": "OK"}) is None


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
