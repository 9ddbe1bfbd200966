"""Where spans go: a collector's URL, by OTLP over HTTP, or X-Ray, whose endpoint for OTLP wants each call signed.

Room: tracing, I/O.

X-Ray without AWS's layer of the OpenTelemetry distribution: "X-Ray [...] the endpoint authenticates callers using
Signature 4 authentication". https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-OTLPEndpoint.html
"""

from __future__ import annotations

from collections.abc import Mapping

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.util.re import parse_env_headers
from requests import PreparedRequest, Session
from requests.auth import AuthBase

X_RAY = "xray"
"""In place of a URL: the region's X-Ray, or where AWS_ENDPOINT_URL says that it is."""


class Signed(AuthBase):
    """Signs calls of X-Ray.

    Args:
        credentials: those of the function's role.
        region: the region.
    """

    def __init__(self, credentials: Credentials, region: str) -> None:
        self._credentials = credentials
        self._region = region

    def __call__(self, call: PreparedRequest) -> PreparedRequest:
        """The call with the headers of its signature."""
        told = {name: call.headers[name] for name in ("Content-Type", "Content-Encoding") if name in call.headers}
        signed = AWSRequest(method=call.method, url=call.url, data=call.body, headers=told)
        SigV4Auth(self._credentials.get_frozen_credentials(), X_RAY, self._region).add_auth(signed)
        call.headers.update(signed.headers)
        return call


def exporter_to(where: str, headers: Mapping[str, str], seconds: float) -> SpanExporter:
    """The exporter to a collector.

    Args:
        where: the URL to which it POSTs spans, such as http://127.0.0.1:4318/v1/traces; or `X_RAY`.
        headers: further headers of each call.
        seconds: how long it tries.
    """
    if where != X_RAY:
        return OTLPSpanExporter(where, headers=headers, timeout=seconds, compression=Compression.Gzip)
    session = boto3.Session()
    credentials, calls = session.get_credentials(), Session()
    if credentials is None:
        raise RuntimeError("X-Ray takes signed calls alone, and there are no credentials")
    client = boto3.client("xray")
    calls.auth = Signed(credentials, client.meta.region_name)
    url = f"{client.meta.endpoint_url}/v1/traces"
    return OTLPSpanExporter(url, timeout=seconds, session=calls, compression=Compression.Gzip)


def headers_of(secret: str) -> Mapping[str, str]:
    """The headers that a secret of Secrets Manager holds: its ARN; none, and no call, if it is empty.

    Its text is that of OTEL_EXPORTER_OTLP_HEADERS: `api-key=…,other=…`.
    https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables
    """
    if not secret:
        return {}
    client = boto3.client("secretsmanager")
    return parse_env_headers(str(client.get_secret_value(SecretId=secret)["SecretString"]), liberal=True)
