"""Responses to a GET of a thumbnail."""

import json

from tidemill_media.processing.responses import KEPT_SECONDS, URL_SECONDS, not_found, not_now, redirect


def test_a_redirect_is_forgotten_before_its_url_expires() -> None:
    answer = redirect("https://bucket/name?signed")
    assert (answer["statusCode"], answer["body"]) == (302, "")
    assert answer["headers"] == {"location": "https://bucket/name?signed", "cache-control": "private, max-age=240"}
    assert KEPT_SECONDS < URL_SECONDS


def test_an_error_says_why_and_is_not_kept() -> None:
    for answer, status in ((not_found("no photo"), 404), (not_now("no photo"), 503)):
        assert answer["statusCode"] == status
        assert json.loads(answer["body"]) == {"error": "no photo"}
        assert answer["headers"]["cache-control"] == "no-store"
    assert not_now("slow")["headers"]["retry-after"] == "5"
