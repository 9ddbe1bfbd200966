"""A user of the app, made for `tidemill smoke` and removed: signed in, who may put requests and read nothing.

Room: command line.
Tests: tests/e2e/test_smoke.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from secrets import token_urlsafe
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tidemill.contract.request import encode
from tidemill_cli.commands.smoke.failures import StepFailed, is_denied, why
from tidemill_cli.commands.smoke.hearing import Hearing
from tidemill_cli.commands.smoke.subject import BOUNDED, UnderTest

TABLES = ("TableName", "DevicesTableName", "ForgottenWritersTableName", "DeliveriesTableName")
"""The outputs that name tables."""

FIRST_SHARD = "shardId-000000000000"
"""Of whatever stream; where a reshard has closed it and its records are gone, permission is asked for before that."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user's identity, and clients with the keys that the identity pool gave."""

    identity: str
    kinesis: Any
    dynamodb: Any

    def close(self) -> None:
        """Close the clients."""
        self.kinesis.close()
        self.dynamodb.close()


def as_signed_in_user(stack: UnderTest, _: Hearing) -> str:
    """A user signs in, gets keys of the identity pool, puts a request, and is refused the stream and the tables."""
    with _user(stack) as (name, password), closing(_signed_in(stack, name, password)) as user:
        try:
            _put(stack, user)
            refused = sum(_refused(*read) for read in _reads(stack, user))
        finally:
            left = _forgotten(stack, user.identity)
    return f"signed in, put a record, was refused {refused} ways to read; the user is removed{left}"


@contextmanager
def _user(stack: UnderTest) -> Iterator[tuple[str, str]]:
    """A user's name and password; no message is sent to the address, which is nobody's."""
    name, password = f"{stack.run.replace('/', '-')}@example.com", f"Aa1!{token_urlsafe(24)}"
    of_pool: Any = {"UserPoolId": stack.output("UserPoolId"), "Username": name}
    users = stack.client("cognito-idp")
    users.admin_create_user(**of_pool, MessageAction="SUPPRESS")
    try:
        users.admin_set_user_password(**of_pool, Password=password, Permanent=True)
        yield name, password
    finally:
        try:
            users.admin_delete_user(**of_pool)
        except (ClientError, BotoCoreError) as error:
            raise StepFailed(f"the user {name} cannot be removed: {why(error)}") from error


def _signed_in(stack: UnderTest, name: str, password: str) -> SignedIn:
    """Sign in as an app does, without keys of the account."""
    pool = stack.output("UserPoolId")
    users, identities = (stack.client(one, signed=False) for one in ("cognito-idp", "cognito-identity"))
    token = users.initiate_auth(
        ClientId=stack.output("UserPoolClientId"),
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": password},
    )["AuthenticationResult"]["IdToken"]
    logins = {f"cognito-idp.{pool.partition('_')[0]}.amazonaws.com/{pool}": token}
    identity = identities.get_id(IdentityPoolId=stack.output("IdentityPoolId"), Logins=logins)["IdentityId"]
    keys = identities.get_credentials_for_identity(IdentityId=identity, Logins=logins)["Credentials"]
    own = replace(
        stack.access,
        access_key=keys["AccessKeyId"],
        secret_key=keys["SecretKey"],
        session_token=keys["SessionToken"],
    )
    return SignedIn(identity, own.client("kinesis", BOUNDED), own.client("dynamodb", BOUNDED))


def _put(stack: UnderTest, user: SignedIn) -> None:
    request = stack.request("user")
    record = {"Data": encode(request), "PartitionKey": str(request.key)}
    try:
        answer = user.kinesis.put_records(StreamName=stack.output("StreamName"), Records=[record])
    except ClientError as error:
        raise StepFailed(f"a signed-in user may not put: {error}") from error
    (put,) = answer["Records"]
    if put.get("ErrorCode"):
        raise StepFailed(f"the stream refused the user's record: {put['ErrorCode']}: {put.get('ErrorMessage')}")
    stack.on_stream[request.id] = str(request.key)


def _reads(stack: UnderTest, user: SignedIn) -> Iterator[tuple[Any, str, dict[str, Any]]]:
    """Calls that read the stream or a table: client, operation, arguments."""
    stream = {"StreamName": stack.output("StreamName")}
    yield user.kinesis, "list_shards", stream
    yield user.kinesis, "get_shard_iterator", stream | {"ShardId": FIRST_SHARD, "ShardIteratorType": "TRIM_HORIZON"}
    for table in TABLES:
        of_table = {"TableName": stack.output(table)}
        key = {"pk": {"S": stack.run}} | ({"sk": {"S": stack.run}} if table == "ForgottenWritersTableName" else {})
        yield user.dynamodb, "get_item", of_table | {"Key": key}
        yield user.dynamodb, "scan", of_table | {"Limit": 1}


def _refused(client: Any, operation: str, arguments: dict[str, Any]) -> bool:
    """True; whoever signed in must be refused the call.

    Raises:
        StepFailed: the call was not refused for want of a permission.
    """
    called = f"{operation} on {next(iter(arguments.values()))}"
    try:
        getattr(client, operation)(**arguments)
    except ClientError as error:
        if is_denied(error):
            return True
        raise StepFailed(f"{called} was not denied to a signed-in user, but failed: {error}") from error
    raise StepFailed(f"a signed-in user may {called}, and must not")


def _forgotten(stack: UnderTest, identity: str) -> str:
    """Delete the identity that the user had; what is left, if it cannot be."""
    try:
        answer = stack.client("cognito-identity").delete_identities(IdentityIdsToDelete=[identity])
    except (ClientError, BotoCoreError) as error:
        return f"; its identity {identity} stays: {why(error)}"
    left = answer.get("UnprocessedIdentityIds")
    return f"; its identity {identity} stays: {left[0]['ErrorCode']}" if left else ""
