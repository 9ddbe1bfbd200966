"""The HTTP API beside the stream: there when it is wanted, for whoever may send, and its function may do no more."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.signing_in import SignedIn, sign_in
from tidemill_bench.sending import SignedPost
from tidemill_deploy.template import template_path
from tidemill_load.direct_endpoint import DirectEndpoint
from tidemill_local.clients import REGION
from tidemill_local.deployment import Deployment, deploy
from tidemill_local.emulator import Emulator

PROBE = """
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    if "call" not in event:
        return {"statusCode": 200, "body": event["requestContext"]["authorizer"]["iam"]["userArn"] + event["body"]}
    service, operation, arguments = event["call"]
    try:
        getattr(boto3.client(service), operation)(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "allowed"
"""

DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"}


@pytest.fixture(scope="module")
def stack(emulator: Emulator) -> Deployment:
    """The project's stack with the endpoint, and a probe as its function."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("tidemill_consumers/__init__.py", "")
        archive.writestr("tidemill_consumers/direct.py", PROBE)
    return deploy(emulator, template_path(), {"DirectEndpoint": "on"}, code=buffer.getvalue(), stack="direct")


@pytest.fixture
def post(stack: Deployment) -> Iterator[Callable[[Credentials], tuple[int | None, bytes]]]:
    made: list[SignedPost] = []

    def call(credentials: Credentials) -> tuple[int | None, bytes]:
        made.append(SignedPost(DirectEndpoint(stack.outputs["DirectUrl"], credentials, REGION), 1))
        return made[-1](b"!")

    yield call
    for one in made:
        one.close()


def signed_in(emulator: Emulator, stack: Deployment) -> Credentials:
    """What the identity pool gives a user of the app."""
    pool, password = stack.outputs["UserPoolId"], "correct horse battery Staple 9!"
    users, identities = emulator.client("cognito-idp"), emulator.client("cognito-identity")
    name = "ada@example.com"
    users.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
    users.admin_set_user_password(UserPoolId=pool, Username=name, Password=password, Permanent=True)
    token = users.initiate_auth(
        ClientId=stack.outputs["UserPoolClientId"],
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": password},
    )["AuthenticationResult"]["IdToken"]
    logins = {f"cognito-idp.{REGION}.amazonaws.com/{pool}": token}
    identity = identities.get_id(IdentityPoolId=stack.outputs["IdentityPoolId"], Logins=logins)["IdentityId"]
    keys = identities.get_credentials_for_identity(IdentityId=identity, Logins=logins)["Credentials"]
    return Credentials(keys["AccessKeyId"], keys["SecretKey"], keys["SessionToken"])


def of_function(emulator: Emulator, stack: Deployment) -> Credentials:
    """What its role gives the function."""
    role = emulator.client("lambda").get_function_configuration(FunctionName=stack.outputs["DirectFunctionName"])[
        "Role"
    ]
    keys = emulator.client("sts").assume_role(RoleArn=role, RoleSessionName="direct")["Credentials"]
    return Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def test_there_is_none_unless_it_is_wanted(deployment: Deployment) -> None:
    assert not [name for name in deployment.outputs if name.startswith("Direct")]


def test_who_may_send_reaches_the_function(
    emulator: Emulator, stack: Deployment, post: Callable[[Credentials], tuple[int | None, bytes]]
) -> None:
    status, body = post(signed_in(emulator, stack))
    assert status == 200, body
    assert b"ClientRole" in body
    assert body.endswith(b"!")


class UrlOfBody(SigV4QueryAuth):
    """Signs a URL together with the body `!`, which botocore would put into the query."""

    def payload(self, request: AWSRequest) -> str:
        return sha256(b"!").hexdigest()


def by_url(stack: Deployment, who: SignedIn, body: bytes = b"!") -> int:
    """The status of a request whose URL is signed."""
    url = stack.outputs["DirectUrl"]
    request = AWSRequest("POST", url, headers={"host": urlsplit(url).netloc})
    UrlOfBody(Credentials(who.key, who.secret, who.token), "execute-api", REGION).add_auth(request)
    here = urlsplit(str(request.url))._replace(netloc=f"127.0.0.1:{urlsplit(url).port}").geturl()
    with urllib3.PoolManager() as http:
        return http.request("POST", here, body=body, headers=dict(request.headers)).status


def test_a_url_may_be_signed_in_place_of_headers(emulator: Emulator, stack: Deployment) -> None:
    eve = sign_in(emulator, stack.outputs, "eve")
    assert by_url(stack, eve) == 200
    assert by_url(stack, replace(eve, secret="wrong")) == 403
    assert by_url(stack, replace(eve, token="another")) == 403
    assert by_url(stack, eve, b"another body") == 403


@pytest.mark.parametrize("query", ["", "X-Amz-Signature=0", "X-Amz-Signature=0&X-Amz-Algorithm=AWS4-HMAC-SHA256"])
def test_who_does_not_sign_is_refused(stack: Deployment, query: str) -> None:
    url = urlsplit(stack.outputs["DirectUrl"])
    here = url._replace(netloc=f"127.0.0.1:{url.port}", query=query).geturl()
    with urllib3.PoolManager() as http:
        assert http.request("POST", here, body=b"!", headers={"host": url.netloc}).status == 403


def test_who_may_not_send_is_refused(
    emulator: Emulator, stack: Deployment, post: Callable[[Credentials], tuple[int | None, bytes]]
) -> None:
    assert post(of_function(emulator, stack))[0] == 403, "it has no business there"
    assert post(Credentials("AKIANOBODY", "secret"))[0] == 403


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "allowed"),
    [
        ("dynamodb", "batch_get_item", {"RequestItems": {"{TableName}": {"Keys": [{"pk": {"S": "k"}}]}}}, True),
        ("dynamodb", "batch_get_item", {"RequestItems": {"{DevicesTableName}": {"Keys": [{"pk": {"S": "k"}}]}}}, True),
        (
            "kinesis",
            "put_records",
            {"StreamName": "{StreamName}", "Records": [{"Data": "x", "PartitionKey": "k"}]},
            True,
        ),
        ("s3", "put_object", {"Bucket": "{QuarantineBucketName}", "Key": "k", "Body": "x"}, True),
        ("s3", "get_object", {"Bucket": "{QuarantineBucketName}", "Key": "k"}, False),
        ("s3", "put_object", {"Bucket": "{ArchiveBucketName}", "Key": "k", "Body": "x"}, False),
        ("dynamodb", "scan", {"TableName": "{TableName}"}, False),
        ("dynamodb", "delete_item", {"TableName": "{TableName}", "Key": {"pk": {"S": "k"}}}, False),
        ("dynamodb", "put_item", {"TableName": "{DevicesTableName}", "Item": {"pk": {"S": "k"}}}, False),
        ("kinesis", "list_shards", {"StreamName": "{StreamName}"}, False),
        ("sns", "publish", {"TopicArn": "{RepliesTopicArn}", "Message": "x"}, False),
        ("lambda", "invoke", {"FunctionName": "{ApplyFunctionName}"}, False),
    ],
)
def test_the_function_may_do_what_it_does_and_no_more(
    emulator: Emulator, stack: Deployment, service: str, operation: str, arguments: dict[str, Any], allowed: bool
) -> None:
    text = json.dumps({"call": [service, operation, arguments]})
    for name, value in stack.outputs.items():
        text = text.replace("{" + name + "}", value)
    answer = emulator.client("lambda").invoke(FunctionName=stack.outputs["DirectFunctionName"], Payload=text)
    with closing(answer["Payload"]) as payload:
        said = json.load(payload)
    assert said == "allowed" if allowed else said in DENIED
