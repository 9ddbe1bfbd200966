"""Where a direct request is posted to, and what signs it."""

import pytest
from botocore.credentials import Credentials

from tidemill_load.direct_endpoint import DirectEndpoint

AWS = "https://abc123.execute-api.eu-west-1.amazonaws.com/requests"
LOCAL = "http://abc123.execute-api.localhost:4566/requests"


def endpoint(url: str) -> DirectEndpoint:
    return DirectEndpoint(url, Credentials("AKIDEXAMPLE", "secret"), "eu-west-1")


@pytest.mark.parametrize(("url", "address"), [(AWS, AWS), (LOCAL, "http://127.0.0.1:4566/requests")])
def test_a_name_within_localhost_is_reached_by_its_number(url: str, address: str) -> None:
    assert endpoint(url).address == address


@pytest.mark.parametrize("url", [AWS, LOCAL])
def test_the_host_of_the_url_is_signed_with_the_body(url: str) -> None:
    one, other = (endpoint(url).headers(body) for body in (b"1", b"2"))
    assert one["host"] == url.split("/")[2]
    assert "/eu-west-1/execute-api/aws4_request, SignedHeaders=content-type;host;x-amz-date" in one["Authorization"]
    assert one["Authorization"] != other["Authorization"]
