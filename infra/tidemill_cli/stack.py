"""Where AWS is, who asks, and what the stack there is called.

Room: command line. The local platform is asked unless something says otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tidemill import Misconfigured
from tidemill.failures import REMEDIES, SETTINGS
from tidemill.region import region_of, region_of_environment

STACK = "tidemill"
LOCAL_ENDPOINT = "http://127.0.0.1:4566"
LOCAL_KEY = "test"
LOCAL_REGION = "us-east-1"


_NO_PROFILE: dict[str, Any] = {"profile": (None, None, None, None)}
"""Variables of a session that AWS_PROFILE says nothing to."""


class NoStack(Exception):
    """No stack of that name answers."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where AWS is, unless the environment says otherwise, and who asks. `endpoint_url` None is AWS itself."""

    endpoint_url: str | None
    region: str
    access_key: str | None = LOCAL_KEY
    secret_key: str | None = LOCAL_KEY
    session_token: str | None = None

    def endpoint(self, service: str) -> str | None:
        """Where a service is: AWS_ENDPOINT_URL_<SERVICE> and AWS_ENDPOINT_URL hold."""
        return os.environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or self.endpoint_url

    def client(self, service: Any, config: Config | None = None) -> Any:
        """A boto3 client."""
        # Its keys are given, so no profile need be there.
        session: Any = boto3.Session(botocore_session=botocore.session.Session(_NO_PROFILE))
        return session.client(
            service,
            endpoint_url=self.endpoint(service),
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            aws_session_token=self.session_token,
            config=config,
        )


def access(default_endpoint: str | None, resource: str = "") -> Access:
    """AWS_ENDPOINT_URL and the user's credentials; without either, the local platform and its test keys.

    The local platform at its default address gets its own keys and region: it does not know the user's.

    Args:
        default_endpoint: where AWS is, unless AWS_ENDPOINT_URL says otherwise.
        resource: what is asked for; if it is an ARN, its region holds.

    Raises:
        Misconfigured: no region for AWS itself, no such profile, or no credentials where it says that they are.
    """
    endpoint_url = os.environ.get("AWS_ENDPOINT_URL") or default_endpoint
    of_s3 = os.environ.get("AWS_ENDPOINT_URL_S3") or endpoint_url
    if of_s3 == LOCAL_ENDPOINT and "AWS_ACCESS_KEY_ID" not in os.environ:
        return Access(endpoint_url, LOCAL_REGION)
    try:
        session: Any = boto3.Session()
        region = region_of(resource) or region_of_environment() or session.region_name
        credentials = session.get_credentials()
        keys = credentials.get_frozen_credentials() if credentials else None
    except BotoCoreError as error:
        remedy = REMEDIES.get(type(error).__name__, SETTINGS)
        raise Misconfigured("credentials", str(error), remedy) from None
    if not keys:
        return Access(endpoint_url or LOCAL_ENDPOINT, region or LOCAL_REGION)
    if region is None and endpoint_url is None:
        raise Misconfigured("region", "nothing says which", REMEDIES["NoRegionError"])
    return Access(endpoint_url, region or LOCAL_REGION, keys.access_key, keys.secret_key, keys.token)


def outputs(where: Access, stack: str = STACK) -> Mapping[str, str]:
    """The outputs of the stack that runs there.

    Raises:
        NoStack: there is none, or nobody answers.
    """
    config = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 2})
    cloudformation = where.client("cloudformation", config)
    try:
        stacks = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        place = where.endpoint("cloudformation") or "AWS"
        raise NoStack(
            f"no stack {stack!r} answers at {place} in {where.region} ({error}){_hint(where, place)}"
        ) from None
    finally:
        cloudformation.close()
    return {output["OutputKey"]: output["OutputValue"] for one in stacks for output in one.get("Outputs", [])}


def _hint(where: Access, place: str) -> str:
    """What to do where the local platform is asked for another region than its own."""
    if where.region == LOCAL_REGION or urlsplit(place).hostname not in ("127.0.0.1", "localhost"):
        return ""
    return f"; the local platform is in {LOCAL_REGION}: set AWS_REGION={LOCAL_REGION}"
