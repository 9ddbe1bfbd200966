"""boto3 clients for the emulator, independent of the user's own AWS settings.

Room: local platform, I/O.
Tests: tests/infra/tidemill_local/test_emulator.py.
"""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.utils import parse_timestamp

REGION = "us-east-1"

ROOT_KEY = "test"
"""Access key and secret of the account's root user, to whom everything is allowed."""

# Every setting of the AWS SDK at its default; none is read from AWS_* variables or ~/.aws.
_NO_USER_SETTINGS = {
    name: (None, None, default, conversion)
    for name, (_, _, default, conversion) in botocore.session.Session.SESSION_VARIABLES.items()
} | dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))

_CONFIG = Config(
    proxies={},  # not the environment's
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=50,
    connect_timeout=5,
    read_timeout=180,
    s3={"addressing_style": "path"},
)

# Longer than the 900 seconds that a function may run, and without retries: a second call would run it twice.
_INVOKING = _CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=930))
_ONCE = "lambda, once"


class EmulatorSession:
    """Makes clients for one emulator and one set of credentials."""

    def __init__(self, endpoint_url: str, key: str, secret: str, token: str | None = None) -> None:
        self._endpoint_url = endpoint_url
        core = botocore.session.Session(_NO_USER_SETTINGS)
        core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_timestamp)
        # Not typed: the stubs have a type for each service, and callers annotate the client they expect.
        self._session: Any = boto3.Session(key, secret, token, REGION, core)

    def client(self, service: str, config: Config | None = None) -> Any:
        """A new boto3 client of `service`, with the emulator's settings where `config` has none."""
        return self._session.client(service, endpoint_url=self._endpoint_url, config=_CONFIG.merge(config or Config()))


class RootClients:
    """One client of each service for all callers, with root's credentials, created on first use."""

    def __init__(self, endpoint_url: str) -> None:
        self._endpoint_url = endpoint_url
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}

    def of(self, service: str) -> Any:
        """The client of `service`."""
        return self._kept(service, service, _CONFIG)

    def invoking(self) -> Any:
        """The Lambda client for invocations: it waits as long as a function may run, and does not retry."""
        return self._kept(_ONCE, "lambda", _INVOKING)

    def close(self) -> None:
        """Close all clients."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _kept(self, name: str, service: str, config: Config) -> Any:
        with self._lock:  # making a client is not safe among threads; using one is
            if name not in self._clients:
                self._clients[name] = EmulatorSession(self._endpoint_url, ROOT_KEY, ROOT_KEY).client(service, config)
            return self._clients[name]


def _timestamp(value: Any) -> datetime:
    """Parses a timestamp as botocore does, but numbers in UTC: its local time zone doubles the cost of a record."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    return parse_timestamp(value)
