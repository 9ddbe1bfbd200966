"""Access to AWS, endpoint and credentials, and the outputs of the stack there.

Room: command line. The local platform is asked unless something says otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tidemill import Misconfigured
from tidemill.aws.loopback import NO_PROFILE, has_own_keys, is_loopback, past_proxies
from tidemill.aws.region import region_of, region_of_environment
from tidemill.errors import REMEDIES, SETTINGS
from tidemill_cli.errors import CommandError

if TYPE_CHECKING:
    from botocore.config import Config

STACK = "tidemill"
LOCAL_ENDPOINT = "http://127.0.0.1:4566"
LOCAL_KEY = "test"
LOCAL_REGION = "us-east-1"


_NOT_ITS_KEYS = {"InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException", "InvalidToken"}


NAMED = "compare its name, the keys and AWS_REGION"
"""The remedy where a stack that was named does not answer."""


class NoStack(CommandError):
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
        import boto3  # here, as everywhere in this module: `--help` needs no AWS
        import botocore.session

        # Its keys are given, so no profile need be there.
        session: Any = boto3.Session(botocore_session=botocore.session.Session(NO_PROFILE))

        def make(config: Config | None) -> Any:
            return session.client(
                service,
                endpoint_url=self.endpoint(service),
                region_name=self.region,
                aws_access_key_id=self.access_key,
                aws_secret_access_key=self.secret_key,
                aws_session_token=self.session_token,
                config=config,
            )

        return past_proxies(make, config)


def access(default_endpoint: str | None, resource: str = "") -> Access:
    """AWS_ENDPOINT_URL and the user's credentials; without either, the local platform and its test keys.

    The local platform at its default port gets its own keys and region, for it does not know the user's; so does any
    endpoint of this machine for which the user's profile has no keys to give.

    Args:
        default_endpoint: where AWS is, unless AWS_ENDPOINT_URL says otherwise.
        resource: what is asked for; if it is an ARN, its region holds.

    Raises:
        Misconfigured: no region for AWS itself, no such profile, or no credentials where it says that they are.
    """
    endpoint_url = os.environ.get("AWS_ENDPOINT_URL") or default_endpoint
    of_s3 = os.environ.get("AWS_ENDPOINT_URL_S3") or endpoint_url
    if _is_local(of_s3) and "AWS_ACCESS_KEY_ID" not in os.environ:
        return Access(endpoint_url, LOCAL_REGION)
    if has_own_keys():
        return _of_environment(endpoint_url, resource)
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        session: Any = boto3.Session()
        region = region_of(resource) or region_of_environment() or session.region_name
        credentials = session.get_credentials()
        keys = credentials.get_frozen_credentials() if credentials else None
    except BotoCoreError as error:
        if is_loopback(of_s3):
            return Access(endpoint_url, region_of(resource) or region_of_environment() or LOCAL_REGION)
        remedy = REMEDIES.get(type(error).__name__, SETTINGS)
        raise Misconfigured("credentials", str(error), remedy) from None
    if not keys:
        return Access(endpoint_url or LOCAL_ENDPOINT, region or LOCAL_REGION)
    if region is None and endpoint_url is None:
        raise Misconfigured("region", "nothing says which", REMEDIES["NoRegionError"])
    return Access(endpoint_url, region or LOCAL_REGION, keys.access_key, keys.secret_key, keys.token)


def _is_local(url: str | None) -> bool:
    """Whether the local platform is there, at its default port under any name of this machine."""
    return is_loopback(url) and urlsplit(url).port == urlsplit(LOCAL_ENDPOINT).port


def _of_environment(endpoint_url: str | None, resource: str) -> Access:
    """An endpoint of this machine, and its keys from the environment: no profile need be there."""
    env = os.environ
    region = region_of(resource) or region_of_environment() or env.get("AWS_DEFAULT_REGION") or LOCAL_REGION
    secret, token = env.get("AWS_SECRET_ACCESS_KEY"), env.get("AWS_SESSION_TOKEN")
    return Access(endpoint_url, region, env["AWS_ACCESS_KEY_ID"], secret, token)


def outputs(where: Access, stack: str = STACK) -> Mapping[str, str]:
    """The outputs of the stack that runs there.

    Raises:
        NoStack: there is none, or nobody answers.
    """
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 2})
    cloudformation = where.client("cloudformation", config)
    try:
        stacks = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        place = where.endpoint("cloudformation") or "AWS"
        hint = _hint(where, place, error)
        raise NoStack(f"no stack {stack!r} answers at {place} in {where.region} ({error}){hint}") from None
    finally:
        cloudformation.close()
    return {output["OutputKey"]: output["OutputValue"] for one in stacks for output in one.get("Outputs", [])}


def outputs_or_remedy(where: Access, named: str | None, instead: str) -> Mapping[str, str]:
    """The outputs of the stack that a command's --stack names, or of the local platform's.

    Args:
        where: AWS is.
        named: the option's value, if it is given.
        instead: the options that say the same without a stack.

    Raises:
        NoStack: there is none, or nobody answers; with what to do about it.
    """
    try:
        return outputs(where, named or STACK)
    except NoStack as error:
        remedy = NAMED if named else "start the local platform with `tidemill up`"
        raise NoStack(f"{error}; {remedy}, or name {instead}") from None


def content_bucket(found: Mapping[str, str], named: str | None) -> str:
    """The name of a stack's content bucket.

    Args:
        found: the stack's outputs.
        named: the value of the command's --stack, if it is given.

    Raises:
        CommandError: the stack has none.
    """
    if "ContentBucketName" not in found:
        raise CommandError(f"the stack {named or STACK!r} has no content bucket: it is of an older release")
    return found["ContentBucketName"]


def _hint(where: Access, place: str, error: Exception) -> str:
    """The remedy where the local platform is asked for a region or with keys that are not its own."""
    if not is_loopback(place):
        return ""
    from botocore.exceptions import ClientError

    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    if code in _NOT_ITS_KEYS:
        return f"; the local platform's key and secret are {LOCAL_KEY!r}: paste the lines that `tidemill up` prints"
    if where.region == LOCAL_REGION:
        return ""
    return f"; the local platform is in {LOCAL_REGION}: set AWS_REGION={LOCAL_REGION}"
