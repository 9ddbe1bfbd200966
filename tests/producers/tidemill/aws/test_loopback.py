"""Clients of an endpoint of this machine: past the proxy, and without a profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest

from tidemill import Misconfigured
from tidemill.aws.loopback import is_loopback, past_proxies
from tidemill.aws.region import make_client

if TYPE_CHECKING:
    from pathlib import Path

PROXY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, PROXY)


@pytest.mark.parametrize(
    ("url", "is_it"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://127.9.9.9", True),
        ("http://localhost:4566/", True),
        ("http://s3.localhost:4566", True),
        ("http://[::1]:4566", True),
        ("https://kinesis.us-east-1.amazonaws.com", False),
        ("http://10.0.0.1:4566", False),
        ("http://localhost.example.com", False),
        ("http://[::1", False),
        ("", False),
        (None, False),
    ],
)
def test_what_is_of_this_machine(url: str | None, is_it: bool) -> None:
    assert is_loopback(url) is is_it


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:4566", "http://localhost:4566", "http://[::1]:4566"])
def test_a_client_of_this_machine_goes_past_the_proxy(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    client = make_client("kinesis", "requests")
    assert client.meta.config.proxies == {}
    assert client.meta.endpoint_url == endpoint


def test_one_of_aws_does_not() -> None:
    assert make_client("kinesis", "requests").meta.config.proxies is None  # which means those of the environment


def test_without_a_proxy_a_client_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.delenv(name)
    made = []

    def make(config: object) -> object:
        made.append(config)
        return boto3.client("kinesis", endpoint_url="http://127.0.0.1:1", region_name="us-east-1")

    past_proxies(make, None)
    assert made == [None]


def test_a_profile_that_is_not_there_stops_nobody_who_has_the_keys_of_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "gone")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    with pytest.raises(Misconfigured, match="gone"):
        make_client("kinesis", "requests")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    make_client("kinesis", "requests")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://kinesis.us-east-1.amazonaws.com")
    with pytest.raises(Misconfigured, match="gone"):
        make_client("kinesis", "requests")
