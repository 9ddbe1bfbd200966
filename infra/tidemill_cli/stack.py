"""Where AWS is, who asks, and what the stack there is called.

Room: command line. The local platform is asked unless something says otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

STACK = "tidemill"
LOCAL_ENDPOINT = "http://127.0.0.1:4566"
LOCAL_KEY = "test"


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
        return boto3.client(
            service,
            endpoint_url=self.endpoint(service),
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            aws_session_token=self.session_token,
            config=config,
        )


def access(default_endpoint: str | None) -> Access:
    """AWS_ENDPOINT_URL and the user's credentials; without either, the local platform and its test keys.

    The local platform at its default address gets its own keys: it does not know the user's.
    """
    endpoint_url = os.environ.get("AWS_ENDPOINT_URL") or default_endpoint
    of_s3 = os.environ.get("AWS_ENDPOINT_URL_S3") or endpoint_url
    session = boto3.Session()
    region = session.region_name or "us-east-1"
    if of_s3 == LOCAL_ENDPOINT and "AWS_ACCESS_KEY_ID" not in os.environ:
        return Access(endpoint_url, region)
    credentials = session.get_credentials()
    if credentials is None:
        return Access(endpoint_url or LOCAL_ENDPOINT, region)
    keys = credentials.get_frozen_credentials()
    return Access(endpoint_url, region, keys.access_key, keys.secret_key, keys.token)


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
        raise NoStack(f"no stack {stack!r} answers at {where.endpoint('cloudformation') or 'AWS'} ({error})") from None
    finally:
        cloudformation.close()
    return {output["OutputKey"]: output["OutputValue"] for one in stacks for output in one.get("Outputs", [])}
