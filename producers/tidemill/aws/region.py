"""Chooses the region of a client, and makes clients for it.

Room: SDK, I/O by the clients it makes.

    the resource names its region (an ARN, a queue's URL) ─▶ that one
    else AWS_REGION, as in AWS's other SDKs               ─▶ that one; boto3 reads AWS_DEFAULT_REGION only
    else                                                  ─▶ boto3's own: AWS_DEFAULT_REGION, the profile's
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from tidemill.aws.loopback import NO_PROFILE, has_own_keys, past_proxies
from tidemill.errors import REMEDIES, SETTINGS, Misconfigured

if TYPE_CHECKING:
    from botocore.config import Config

_ARN = re.compile(r"arn:[^:]+:[^:]+:([a-z0-9-]+):")
_QUEUE = re.compile(
    r"https?://(?:[^/]*\.)?sqs(?:-fips)?\.([a-z]{2}(?:-[a-z]+)+-\d)\.|https?://([a-z0-9-]+)\.queue\.amazonaws\."
)


def region_of(resource: str) -> str | None:
    """The region in an ARN or a queue's URL; None for a name, or if there is none."""
    found = _ARN.match(resource) or _QUEUE.match(resource)
    return next(filter(None, found.groups()), None) if found else None


def region_of_environment() -> str | None:
    """AWS_REGION; None if it is unset, or the program has given boto3 a region by `setup_default_session`."""
    import boto3  # here, for `import tidemill` to be quick

    session: Any = boto3.DEFAULT_SESSION
    given = session is not None and session._session.instance_variables().get("region")
    return None if given else os.environ.get("AWS_REGION") or None


def make_client(service: Any, resource: str, config: Config | None = None) -> Any:
    """A boto3 client for the region of `resource`.

    Raises:
        Misconfigured: there is no region or no such profile, or the AWS settings cannot be used.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ProfileNotFound
    from botocore.session import Session

    region = region_of(resource) or region_of_environment()

    def make(config: Config | None) -> Any:
        try:
            return boto3.client(service, region_name=region, config=config)
        except ProfileNotFound:
            if not has_own_keys():
                raise
            session: Any = boto3.Session(botocore_session=Session(NO_PROFILE))
            return session.client(service, region_name=region, config=config)

    try:
        return past_proxies(make, config)
    except (BotoCoreError, ValueError) as error:  # botocore raises ValueError for an invalid endpoint
        name = type(error).__name__
        field = "region" if name == "NoRegionError" else "credentials" if name in REMEDIES else "settings"
        raise Misconfigured(field, str(error), REMEDIES.get(name, SETTINGS)) from None


def check_region(client: Any, resource: str) -> None:
    """Checks that a given client is for the resource's region.

    Raises:
        Misconfigured: it is for another region.
    """
    theirs = region_of(resource)
    asked = getattr(getattr(client, "meta", None), "region_name", None)
    if theirs and asked and theirs != asked:
        raise Misconfigured(
            "region", f"{resource} is in {theirs}, and the client asks {asked}", f"make it with region_name={theirs!r}"
        )
