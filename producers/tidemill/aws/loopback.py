"""Endpoints on this machine: their clients bypass proxies and need no profile.

Room: SDK. Pure, except that it reads the environment.
"""

from __future__ import annotations

import ipaddress
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.config import Config

NO_PROFILE: dict[str, Any] = {"profile": (None, None, None, None)}
"""Variables for a botocore session that ignores AWS_PROFILE."""


def is_loopback(url: str | None) -> bool:
    """Whether the URL's host is this machine."""
    try:
        host = urlsplit(url or "").hostname or ""
        return host == "localhost" or host.endswith(".localhost") or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def has_own_keys() -> bool:
    """Whether the environment has an endpoint on this machine, and an access key."""
    return is_loopback(os.environ.get("AWS_ENDPOINT_URL")) and bool(os.environ.get("AWS_ACCESS_KEY_ID"))


def past_proxies(make: Callable[[Config | None], Any], config: Config | None) -> Any:
    """The boto3 client that `make` makes; it bypasses proxies if its endpoint is on this machine.

    Args:
        make: makes a client with a config.
        config: the config.
    """
    client = make(config)
    if not (is_loopback(client.meta.endpoint_url) and getproxies()):
        return client
    from botocore.config import Config  # here, for `import tidemill` to be quick

    direct = Config(proxies={})
    return make(config.merge(direct) if config else direct)
