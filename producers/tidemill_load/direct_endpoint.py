"""The stack's HTTP API for direct requests: where it is, and the signature of a POST to it.

Room: load. No I/O: whoever posts brings the connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

if TYPE_CHECKING:
    from botocore.credentials import Credentials


class DirectEndpoint:
    """Where requests are posted to, and who signs them.

    Args:
        url: the stack's output DirectUrl.
        credentials: who signs.
        region: of the API.

    Attributes:
        address: the URL to connect to. The emulator's hosts are names within localhost, which not every resolver
            knows: it is a number for those, and the host of `url` is in the headers.
    """

    def __init__(self, url: str, credentials: Credentials, region: str) -> None:
        parts = urlsplit(url)
        here = (parts.hostname or "").endswith(".localhost")
        self.address = parts._replace(netloc=f"127.0.0.1:{parts.port}").geturl() if here else url
        self._url = url
        self._host = parts.netloc
        self._auth = SigV4Auth(credentials, "execute-api", region)

    def headers(self, body: bytes) -> dict[str, str]:
        """The headers of a POST of that body, signed as for any AWS service."""
        request = AWSRequest("POST", self._url, {"content-type": "application/json", "host": self._host}, body)
        self._auth.add_auth(request)
        return {str(name): str(value) for name, value in request.headers.items()}
