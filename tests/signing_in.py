"""A user of the app, signed up and signed in, for tests of what clients may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidemill_local.emulator import Emulator

PASSWORD = "correct horse battery Staple 9!"


@dataclass(frozen=True)
class SignedIn:
    """The identity, and the temporary credentials that the identity pool gave it."""

    identity: str
    key: str
    secret: str
    token: str


def sign_in(emulator: Emulator, outputs: Mapping[str, str], name: str) -> SignedIn:
    """Signs a new user up by an address, in with the password, and gets credentials of the identity pool."""
    name = f"{name}@example.com"
    pool, app = outputs["UserPoolId"], outputs["UserPoolClientId"]
    users, identities = emulator.client("cognito-idp"), emulator.client("cognito-identity")
    users.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")
    users.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)
    token = users.initiate_auth(
        ClientId=app,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
    )["AuthenticationResult"]["IdToken"]
    logins = {f"cognito-idp.us-east-1.amazonaws.com/{pool}": token}
    identity = identities.get_id(IdentityPoolId=outputs["IdentityPoolId"], Logins=logins)["IdentityId"]
    keys = identities.get_credentials_for_identity(IdentityId=identity, Logins=logins)["Credentials"]
    return SignedIn(identity, keys["AccessKeyId"], keys["SecretKey"], keys["SessionToken"])
