"""What is in a request's way, as a mapping says it."""

from typing import Any

import pytest

from tidemill_deploy.stack.mapping import of_mapping


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
