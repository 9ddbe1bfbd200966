"""Credentials from an identity pool: the local platform's for what is true of them, a stub's for what takes an hour."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from time import time
from typing import Any

import pytest
from botocore.exceptions import ClientError, CredentialRetrievalError

from tidemill import NotAccepted, Producer
from tidemill.aws.cognito import CognitoIdentity, IdentityRefused
from tidemill.contract.aggregation import unpack
from tidemill.contract.attempts import tried_of
from tidemill.contract.request import decode
from tidemill.contract.signature import Signer, new_key
from tidemill_consumers.adapters.devices import Devices
from tidemill_local.emulator import Emulator

POOL = "us-east-1:11111111-2222-3333-4444-555555555555"
PASSWORD = "correct horse battery Staple 9!"
HOUR = 3600


# ---- the local platform


@dataclass(frozen=True)
class Pools:
    """A user pool with one user, an identity pool that also lets guests in, and what the user may write to."""

    id: str
    stream: str
    sign_in: Callable[[], dict[str, str]]
    """The user's logins, new each time."""
    known: Callable[[], int]
    """How many identities there are."""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator(port=0) as running:
        yield running


@pytest.fixture(scope="module")
def pools(emulator: Emulator) -> Pools:
    users, identities = emulator.client("cognito-idp"), emulator.client("cognito-identity")
    user_pool = users.create_user_pool(PoolName="people")["UserPool"]["Id"]
    app = users.create_user_pool_client(
        UserPoolId=user_pool, ClientName="app", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    users.admin_create_user(UserPoolId=user_pool, Username="ada", MessageAction="SUPPRESS")
    users.admin_set_user_password(UserPoolId=user_pool, Username="ada", Password=PASSWORD, Permanent=True)
    provider = f"cognito-idp.us-east-1.amazonaws.com/{user_pool}"
    pool = identities.create_identity_pool(
        IdentityPoolName="clients",
        AllowUnauthenticatedIdentities=True,
        CognitoIdentityProviders=[{"ProviderName": provider, "ClientId": app}],
    )["IdentityPoolId"]
    stream = "identified"
    emulator.client("kinesis").create_stream(StreamName=stream, ShardCount=1)
    roles = {
        "authenticated": _role(
            emulator,
            "sender",
            [{"Effect": "Allow", "Action": ["kinesis:Put*", "dynamodb:UpdateItem"], "Resource": "*"}],
        ),
        "unauthenticated": _role(emulator, "guest", [{"Effect": "Allow", "Action": "firehose:*", "Resource": "*"}]),
    }
    identities.set_identity_pool_roles(IdentityPoolId=pool, Roles=roles)

    def sign_in() -> dict[str, str]:
        secrets = {"USERNAME": "ada", "PASSWORD": PASSWORD}
        signed_in = users.initiate_auth(ClientId=app, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=secrets)
        return {provider: signed_in["AuthenticationResult"]["IdToken"]}

    def known() -> int:
        return len(identities.list_identities(IdentityPoolId=pool, MaxResults=60)["Identities"])

    return Pools(pool, stream, sign_in, known)


def _role(emulator: Emulator, name: str, statements: list[dict[str, Any]]) -> str:
    trust = {"Effect": "Allow", "Principal": {"Federated": "*"}, "Action": "sts:AssumeRoleWithWebIdentity"}
    iam = emulator.client("iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy([trust]))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=_policy(statements))
    arn: str = role["Arn"]
    return arn


def _policy(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine with no credentials of its own, so that none but Cognito's can be used."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    return monkeypatch


@pytest.fixture
def machine(bare: pytest.MonkeyPatch, emulator: Emulator) -> pytest.MonkeyPatch:
    bare.setenv("AWS_ENDPOINT_URL", emulator.endpoint_url)
    return bare


@pytest.mark.usefixtures("machine")
def test_a_signed_in_user_sends(emulator: Emulator, pools: Pools) -> None:
    identity = CognitoIdentity(pools.id, logins=pools.sign_in())
    with Producer(pools.stream, client=identity.id, kinesis=identity.kinesis()) as producer:
        sent = producer.send("content.view", key="content/42")
    kinesis = emulator.client("kinesis")
    shard = sent.result().shard
    start = kinesis.get_shard_iterator(StreamName=pools.stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records = kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]
    requests = [decode(one.data) for record in records for one in unpack(record["Data"])]
    assert [(request.id, request.client) for request in requests] == [(sent.id, identity.id)]
    assert [tried_of(record["PartitionKey"]) for record in records] == [None], "its client does not retry by itself"


@pytest.mark.usefixtures("machine")
def test_credentials_are_the_roles_and_the_region_the_pools(pools: Pools) -> None:
    identity = CognitoIdentity(pools.id, logins=pools.sign_in)
    caller = identity.session.client("sts").get_caller_identity()
    assert caller["Arn"].endswith("assumed-role/sender/CognitoIdentityCredentials")
    assert identity.session.region_name == "us-east-1"
    assert CognitoIdentity(pools.id, region="eu-west-1").session.region_name == "eu-west-1"


@pytest.mark.usefixtures("machine")
def test_a_known_identity_is_used_again(pools: Pools) -> None:
    first = CognitoIdentity(pools.id)
    kept = first.id
    before = pools.known()
    again = CognitoIdentity(pools.id, identity_id=kept)
    assert again.session.get_credentials()
    assert again.id == kept
    assert pools.known() == before


@pytest.mark.usefixtures("machine")
def test_a_guest_who_signs_in_goes_on_as_the_identity_the_user_has(pools: Pools) -> None:
    user = CognitoIdentity(pools.id, logins=pools.sign_in).id
    guest = CognitoIdentity(pools.id).id
    assert guest != user
    identity = CognitoIdentity(pools.id, identity_id=guest, logins=pools.sign_in)
    credentials = identity.session.get_credentials()
    assert credentials
    assert credentials.get_frozen_credentials().access_key
    assert identity.id == user


@pytest.mark.usefixtures("machine")
def test_a_guest_is_told_why_kinesis_refuses(pools: Pools) -> None:
    kinesis = CognitoIdentity(pools.id).session.client("kinesis")
    with pytest.raises(ClientError, match="guests may not use Kinesis") as refused:
        kinesis.put_record(StreamName=pools.stream, Data=b"x", PartitionKey="k")
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    with pytest.raises(NotAccepted, match="guests may not use Kinesis"), Producer(pools.stream, kinesis=kinesis) as one:
        one.send("content.view", key="content/42")


@pytest.mark.usefixtures("machine")
def test_a_user_who_is_refused_is_told_nothing_of_guests(pools: Pools) -> None:
    kinesis = CognitoIdentity(pools.id, logins=pools.sign_in).session.client("kinesis")
    with pytest.raises(ClientError) as refused:
        kinesis.delete_stream(StreamName=pools.stream)
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "guests" not in str(refused.value)


@pytest.mark.usefixtures("machine")
def test_a_key_is_registered_for_the_identity(emulator: Emulator, pools: Pools) -> None:
    dynamodb = emulator.client("dynamodb")
    dynamodb.create_table(
        TableName="devices",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    identity = CognitoIdentity(pools.id, logins=pools.sign_in)
    keys = {Signer.from_pem(new_key(), stream=pools.stream).public_key for _ in range(2)}
    for key in keys:
        identity.register(key, table="devices")
    assert Devices(dynamodb, "devices", calls=map).read([identity.id])[identity.id]
    (item,) = dynamodb.scan(TableName="devices")["Items"]
    assert item["pk"] == {"S": identity.id}
    assert set(item["public_keys"]["SS"]) == keys


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("make", "code", "remedy"),
    [
        (lambda pools: CognitoIdentity(POOL), "ResourceNotFoundException", "compare the pool's id"),
        (
            lambda pools: CognitoIdentity(pools.id, logins=dict.fromkeys(pools.sign_in(), "stale")),
            "NotAuthorizedException",
            "a function that returns fresh tokens",
        ),
    ],
)
def test_a_refusal_ends_with_its_remedy(
    pools: Pools, make: Callable[[Pools], CognitoIdentity], code: str, remedy: str
) -> None:
    with pytest.raises(IdentityRefused, match=remedy) as refused:
        make(pools).id  # noqa: B018 - it asks Cognito
    assert refused.value.code == code
    with pytest.raises(IdentityRefused, match=remedy):
        make(pools).session.client("sts").get_caller_identity()


@pytest.mark.parametrize("pool_id", ["", "us-east-1", "us_east_1-pool"])
def test_what_is_no_pools_id_is_refused_at_once(pool_id: str) -> None:
    with pytest.raises(ValueError, match="identity pool's id"):
        CognitoIdentity(pool_id)


# ---- a stub


@dataclass
class Cognito:
    """Answers GetId and GetCredentialsForIdentity; credentials live as long as it is told."""

    lifetimes: list[int] = field(default_factory=list)
    """Seconds, one credential after another; an hour when there are no more."""
    endpoint_url: str = ""
    calls: Counter[str] = field(default_factory=Counter)
    asked: list[dict[str, Any]] = field(default_factory=list)
    refuses: bool = False
    _lock: Lock = field(default_factory=Lock)

    def answer(self, operation: str, arguments: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with self._lock:
            self.calls[operation] += 1
            self.asked.append(arguments)
            number = self.calls[operation]
            if operation == "GetId":
                return 200, {"IdentityId": f"us-east-1:identity-{number}"}
            if self.refuses:
                return 500, {"__type": "InternalErrorException", "message": "try later"}
            expires = time() + (self.lifetimes.pop(0) if self.lifetimes else HOUR)
            keys = {"AccessKeyId": f"ASIA{number}", "SecretKey": "s", "SessionToken": "t", "Expiration": expires}
            return 200, {"IdentityId": arguments["IdentityId"], "Credentials": keys}


@pytest.fixture
def cognito(bare: pytest.MonkeyPatch) -> Iterator[Cognito]:
    """The stub, where AWS_ENDPOINT_URL_COGNITO_IDENTITY alone leads to."""
    stub = Cognito()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert "Authorization" not in self.headers, "these calls are unsigned"
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            arguments = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, answer = stub.answer(operation, arguments)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        bare.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY", f"http://127.0.0.1:{server.server_port}")
        yield stub
        server.shutdown()
        thread.join()


def access_key(identity: CognitoIdentity) -> str | None:
    credentials = identity.session.get_credentials()
    assert credentials
    return credentials.get_frozen_credentials().access_key


def test_nothing_is_asked_before_it_is_needed(cognito: Cognito) -> None:
    identity = CognitoIdentity(POOL)
    identity.session.client("kinesis").close()
    assert cognito.calls == {}


def test_however_many_ask_at_once_there_is_one_identity(cognito: Cognito) -> None:
    identity = CognitoIdentity(POOL)
    with ThreadPoolExecutor(150) as pool:
        ids = [pool.submit(lambda: identity.id) for _ in range(75)]
        keys = [pool.submit(access_key, identity) for _ in range(75)]
    assert {one.result() for one in ids} == {"us-east-1:identity-1"}
    assert {one.result() for one in keys} == {"ASIA1"}
    assert cognito.calls == {"GetId": 1, "GetCredentialsForIdentity": 1}


def test_credentials_are_renewed_before_they_end_and_with_fresh_tokens(cognito: Cognito) -> None:
    cognito.lifetimes = [5 * 60]
    tokens = iter("abc")
    identity = CognitoIdentity(POOL, logins=lambda: {"login.example.com": next(tokens)}, identity_id="us-east-1:me")
    assert [access_key(identity) for _ in range(3)] == ["ASIA1", "ASIA2", "ASIA2"]
    assert [asked["Logins"] for asked in cognito.asked] == [{"login.example.com": token} for token in "ab"]
    assert cognito.calls["GetId"] == 0


def test_a_failed_renewal_does_no_harm_while_credentials_last(cognito: Cognito) -> None:
    cognito.lifetimes = [12 * 60]  # within the 15 minutes in which it tries, outside of the 10 in which it must
    identity = CognitoIdentity(POOL)
    assert access_key(identity) == "ASIA1"
    cognito.refuses = True
    assert access_key(identity) == "ASIA1"
    cognito.refuses = False
    assert access_key(identity) != "ASIA1"


@pytest.mark.usefixtures("cognito")
def test_tokens_that_cannot_be_had_are_trouble_that_passes() -> None:
    def offline() -> dict[str, str]:
        raise TimeoutError("no network")

    with pytest.raises(CredentialRetrievalError, match=r"logins: TimeoutError\('no network'\)"):
        CognitoIdentity(POOL, logins=offline).id  # noqa: B018 - it asks Cognito


def test_credentials_of_the_machine_are_not_used_instead(cognito: Cognito, bare: pytest.MonkeyPatch) -> None:
    bare.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "other")
    assert access_key(CognitoIdentity(POOL)) == "ASIA1"
