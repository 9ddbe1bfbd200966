"""Whose signature the local platform takes: each key's own secret, over HTTP/1.1 and HTTP/2."""

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlsplit

import h2.connection
import h2.events
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.signing_in import sign_in
from tidemill_local.deployment import Deployment
from tidemill_local.emulator import Emulator

REFUSED = {"InvalidSignatureException", "SignatureDoesNotMatch"}


@pytest.fixture(scope="module")
def guest(emulator: Emulator, deployment: Deployment) -> Credentials:
    """The credentials of a user who signed in."""
    eve = sign_in(emulator, deployment.outputs, "eve")
    return Credentials(eve.key, eve.secret, eve.token)


class AuthoritySigned(SigV4Auth):
    """Signs as the JavaScript SDK's HTTP/2 handler does: `:authority` in place of `host`."""

    def headers_to_sign(self, request: Any) -> Any:
        headers = super().headers_to_sign(request)
        host = headers["host"]
        del headers["host"]
        headers[":authority"] = host
        return headers


def by_http2(emulator: Emulator, credentials: Credentials, operation: str, body: dict[str, Any]) -> tuple[int, Any]:
    """Status and answer of a call of Kinesis by HTTP/2 without TLS, as Node makes it."""
    data = json.dumps(body).encode()
    request = AWSRequest(
        "POST",
        emulator.endpoint_url + "/",
        data=data,
        headers={"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"Kinesis_20131202.{operation}"},
    )
    AuthoritySigned(credentials, "kinesis", "us-east-1").add_auth(request)
    authority = emulator.endpoint_url.removeprefix("http://")
    pseudo = [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", authority)]
    connection = h2.connection.H2Connection()
    host, _, port = authority.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as wire:
        connection.initiate_connection()
        connection.send_headers(1, [*pseudo, *((name.lower(), value) for name, value in request.headers.items())])
        connection.send_data(1, data, end_stream=True)
        wire.sendall(connection.data_to_send())
        return _answer(connection, wire)


def _answer(connection: h2.connection.H2Connection, wire: socket.socket) -> tuple[int, Any]:
    status, answer = 0, b""
    while received := wire.recv(65_536):
        for event in connection.receive_data(received):
            if isinstance(event, h2.events.ResponseReceived):
                status = int(dict(event.headers)[b":status"])
            elif isinstance(event, h2.events.DataReceived):
                answer += event.data
            elif isinstance(event, h2.events.StreamEnded):
                return status, json.loads(answer)
        wire.sendall(connection.data_to_send())
    raise EOFError("the connection ended amid the answer")


def test_a_client_that_signs_the_authority_of_http2_gets_through(
    emulator: Emulator, deployment: Deployment, guest: Credentials
) -> None:
    record = {"Data": "e30=", "PartitionKey": "k"}
    request = {"StreamName": deployment.outputs["StreamName"], "Records": [record]}
    status, answer = by_http2(emulator, guest, "PutRecords", request)
    assert (status, answer["FailedRecordCount"]) == (200, 0)


def test_and_is_refused_with_another_secret(emulator: Emulator, deployment: Deployment, guest: Credentials) -> None:
    wrong = Credentials(guest.access_key, "wrong", guest.token)
    request = {"StreamName": deployment.outputs["StreamName"], "Records": []}
    status, answer = by_http2(emulator, wrong, "PutRecords", request)
    assert (status, answer["__type"]) == (400, "InvalidSignatureException")


@pytest.mark.parametrize(("key", "secret"), [("test", "test"), ("accesskey", "secretkey"), ("111122223333", "test")])
@pytest.mark.parametrize(
    ("service", "operation"),
    [("kinesis", "list_streams"), ("s3", "list_buckets"), ("sqs", "list_queues"), ("sts", "get_caller_identity")],
)
def test_a_root_key_is_good_with_its_secret_alone(
    emulator: Emulator, key: str, secret: str, service: str, operation: str
) -> None:
    getattr(emulator.session(key, secret).client(service), operation)()
    with pytest.raises(ClientError) as refused:
        getattr(emulator.session(key, "another").client(service), operation)()
    assert refused.value.response["Error"]["Code"] in REFUSED


def test_root_s_url_that_is_signed_beforehand_is_good_with_its_secret(emulator: Emulator) -> None:
    # Of no bucket: a good signature is told that it is not there.
    for secret, code in (("test", "NoSuchBucket"), ("another", "SignatureDoesNotMatch")):
        url = (
            emulator.session("test", secret)
            .client("s3")
            .generate_presigned_url("get_object", Params={"Bucket": "none-such", "Key": "k"})
        )
        assert code in fetched(url)


def fetched(url: str) -> str:
    """What a GET of the URL answers, whatever its status."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=20)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        return connection.getresponse().read().decode()
    finally:
        connection.close()
