"""Credentials from a Cognito identity pool, for producers on end users' devices.

Room: SDK, I/O. It makes two calls to Cognito; botocore decides when to renew, and keeps threads apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver, DeferredRefreshableCredentials
from botocore.exceptions import ClientError, CredentialRetrievalError

from tidemill.aws.loopback import past_proxies
from tidemill.contract.signature import registration
from tidemill.runtime import processes

if TYPE_CHECKING:
    from types_boto3_cognito_identity import CognitoIdentityClient
    from types_boto3_cognito_identity.type_defs import CredentialsTypeDef
    from types_boto3_kinesis import KinesisClient
    from types_boto3_s3 import S3Client

Tokens: TypeAlias = Mapping[str, str]
"""Identity provider to its token, such as {"cognito-idp.us-east-1.amazonaws.com/us-east-1_Ab12": "<id token>"}."""

Logins: TypeAlias = Tokens | Callable[[], Tokens]
"""Tokens, or a function that returns fresh ones for each renewal: an id token is valid for an hour by default."""

REMEDIES = {
    "InvalidIdentityPoolConfigurationException": "give the pool a role that it may assume for such identities",
    "InvalidParameterException": "compare the names of the identity providers in logins with those of the pool",
    "NotAuthorizedException": "give logins as a function that returns fresh tokens; without logins, "
    "the pool must allow guests",
    "ResourceConflictException": "the login belongs to another identity; leave identity_id out",
    "ResourceNotFoundException": "compare the pool's id and AWS_ENDPOINT_URL; "
    "if the identity was deleted, leave identity_id out",
}
"""Cognito's error code -> remedy, for errors that retries do not cure.

https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetCredentialsForIdentity.html
"""

NO_GUESTS = (
    "guests may not use Kinesis, whatever their role says: Cognito's session policy for them leaves it out; give logins"
)
"""https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonCognitoUnAuthedIdentitiesSessionPolicy.html"""


class IdentityRefused(Exception):
    """Cognito gives no credentials, and retries do not help.

    Attributes:
        code: Cognito's error code.
    """

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(f"{code}: {message} ({remedy})")
        self.code = code


class CognitoIdentity:
    """An identity of an identity pool, and a boto3 session with its credentials. Thread-safe.

        identity = CognitoIdentity("us-east-1:8d4c…", logins=fresh_logins)
        with Producer("requests", client=identity.id, kinesis=identity.kinesis()) as producer:
            producer.send("content.view", key="content/42")

    Cognito is called only when credentials are needed. Within 15 minutes of their expiry, the call that needs them
    renews them. If `logins` is a function, it is called for fresh tokens then, and its errors are taken for temporary.
    AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_COGNITO_IDENTITY hold as for every client.

    Args:
        pool_id: the identity pool's id, which begins with its region.
        logins: the user's tokens from the pool's identity providers. None makes a guest, whom Kinesis does not serve.
        identity_id: the identity, if it is known from an earlier start. Else Cognito is asked, which for a guest
            makes a new one each time: keep `id`.
        region: the session's region; None is the pool's.

    Raises:
        ValueError: `pool_id` is not the id of an identity pool.

    Attributes:
        session: a boto3 Session. Its calls raise IdentityRefused if Cognito gives no credentials, and botocore's own
            errors if Cognito cannot be reached.
    """

    def __init__(
        self,
        pool_id: str,
        *,
        logins: Logins | None = None,
        identity_id: str | None = None,
        region: str | None = None,
    ) -> None:
        pools_region, colon, _ = pool_id.partition(":")
        if not colon:
            raise ValueError(f"pool_id={pool_id!r}: use an identity pool's id, such as us-east-1:8d4c…")
        self._pool_id = pool_id
        self._logins = logins
        self._id = identity_id
        self._is_guest = False
        self._lock = Lock()
        self._is_copy = False
        self.session = self._make_session(region or pools_region)
        self._cognito: CognitoIdentityClient = past_proxies(
            lambda config: self.session.client("cognito-identity", region_name=pools_region, config=config),
            Config(signature_version=UNSIGNED, retries={"mode": "standard"}),
        )
        processes.look_after(self)

    @property
    def id(self) -> str:
        """The identity's id: keep it and give it as `identity_id` at the next start. Asks Cognito if necessary.

        Raises:
            IdentityRefused: Cognito gives no identity.
            botocore.exceptions.BotoCoreError, ClientError: the call to Cognito failed.
        """
        return self._id or self._identify(self._tokens())

    def kinesis(self) -> KinesisClient:
        """A new Kinesis client for a producer. It does not retry, because the producer does, and marks it."""
        once = Config(retries={"mode": "standard", "total_max_attempts": 1})
        client: KinesisClient = self.session.client("kinesis", config=once)
        return client

    def s3(self) -> S3Client:
        """A new S3 client, for a producer's `s3`."""
        client: S3Client = self.session.client(
            "s3", config=Config(retries={"mode": "standard", "total_max_attempts": 5})
        )
        return client

    def register(self, public_key: str, *, table: str) -> None:
        """Registers a key: consumers then trust requests that it signed and that name the client `id`.

        Args:
            public_key: a Signer's public key.
            table: the name of the stack's registry of devices.

        Raises:
            ValueError: `public_key` is not a public key.
            IdentityRefused: Cognito gives no credentials.
            botocore.exceptions.BotoCoreError, ClientError: the key could not be registered; the code
                ConditionalCheckFailedException means that the identity has 8 other keys.
        """
        self.session.client("dynamodb").update_item(TableName=table, **registration(self.id, public_key))

    def begin_again(self, *, forked: bool) -> None:
        """Starts anew in a copy of the process: with new locks and connections, and the same identity."""
        self._lock = Lock()
        self._credentials._refresh_lock = Lock()
        self._is_copy = True

    def _make_session(self, region: str) -> boto3.Session:
        session = botocore.session.Session()
        self._credentials: Any = DeferredRefreshableCredentials(self._renew, _Provider.METHOD)
        # This provider alone: other credentials on this machine must not be used instead.
        session.register_component("credential_provider", CredentialResolver([_Provider(self._credentials)]))
        session.register("after-call.kinesis", self._explain)
        return boto3.Session(botocore_session=session, region_name=region)

    def _ask(self) -> CognitoIdentityClient:
        """The client, with connections of this process."""
        if self._is_copy:
            self._is_copy = False
            processes.renew_connections(self._cognito)
        return self._cognito

    def _tokens(self) -> dict[str, str]:
        try:
            return dict((self._logins() if callable(self._logins) else self._logins) or {})
        except Exception as error:  # may be temporary: producers retry after this error
            raise CredentialRetrievalError(provider=_Provider.METHOD, error_msg=f"logins: {error!r}") from error

    def _identify(self, tokens: dict[str, str]) -> str:
        # The lock lets only one of several concurrent first calls make the identity.
        with self._lock:
            if self._id is None:
                try:
                    self._id = self._ask().get_id(IdentityPoolId=self._pool_id, Logins=tokens)["IdentityId"]
                except ClientError as error:
                    raise _refused(error) from None
            return self._id

    def _renew(self) -> dict[str, str]:
        """Fresh credentials in botocore's format. botocore calls this in one thread at a time."""
        tokens = self._tokens()
        identity = self._id or self._identify(tokens)
        try:
            answer = self._ask().get_credentials_for_identity(IdentityId=identity, Logins=tokens)
        except ClientError as error:
            raise _refused(error) from None
        self._id = answer["IdentityId"]  # changes if a guest signs in whose login has an identity already
        self._is_guest = not tokens
        return _metadata(answer["Credentials"])

    def _explain(self, **event: Any) -> None:
        """Adds the reason to Kinesis' refusal of a guest. A handler of botocore's event, called before it raises."""
        error = event["parsed"].get("Error", {})
        if self._is_guest and error.get("Code") == "AccessDeniedException":
            error["Message"] = f"{error.get('Message', '')} ({NO_GUESTS})"


class _Provider(CredentialProvider):
    """Gives all clients the same credentials object, so that one renewal serves all."""

    METHOD = "cognito-identity"

    def __init__(self, credentials: DeferredRefreshableCredentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> DeferredRefreshableCredentials:
        return self._credentials


def _refused(error: ClientError) -> Exception:
    code, message = error.response["Error"].get("Code", ""), error.response["Error"].get("Message", "")
    return IdentityRefused(code, message, REMEDIES[code]) if code in REMEDIES else error


def _metadata(credentials: CredentialsTypeDef) -> dict[str, str]:
    return {
        "access_key": credentials["AccessKeyId"],
        "secret_key": credentials["SecretKey"],
        "token": credentials["SessionToken"],
        "expiry_time": credentials["Expiration"].isoformat(),
    }
