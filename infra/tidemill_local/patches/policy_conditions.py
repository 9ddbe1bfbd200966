"""Policy conditions and variables about the signed-in identity, an item's partition key, and the transport.

Room: local platform; fitted into the emulator by `install`. The emulator knows no policy variables, and its condition
keys lack the identity and the partition key: it would deny everybody what is granted to each identity.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PrincipalKeys: TypeAlias = "Callable[[Any], dict[str, Any]]"
"""Gives the condition keys of a caller, by its credential."""

ConditionsMet: TypeAlias = "Callable[[dict[str, dict[str, Any]], Any], bool]"
"""Whether a policy's conditions hold for a call."""

FirstMatch: TypeAlias = "Callable[[Any, list[Any], str], Any]"
"""The first of a policy's statements, of an effect, that a call matches."""

ServiceContext: TypeAlias = "Callable[[bytes], dict[str, Any]]"
"""Gives the condition keys of a request to a service, by its body."""

IDENTITY = "cognito-identity.amazonaws.com:sub"
"""The condition key, and policy variable, of the identity that signed in through an identity pool."""


def install() -> None:
    """Have policies decide by the identity that signed in through Cognito, and by the partition key of an item.

    They decide as if each call came by TLS: what is on 127.0.0.1 has no way on which it could be read.

    Needs of the emulator:
        iam_evaluator._principal_keys: a caller's condition keys; the identity is added.
        iam_evaluator._conditions_met: holds conditions against a call; their variables are filled in first.
        iam_evaluator._first_match: finds the statement that a call matches; variables in resources are filled in first.
        iam_evaluator._resolve_condition_key: the value of a condition key; that of `aws:SecureTransport` is changed.
        iam_actions.dynamodb_service_context: a DynamoDB request's condition keys; `dynamodb:LeadingKeys` is added.
        dynamodb._tables: tells which attribute is a table's partition key.
        sts._sessions: tells whose identity temporary credentials are.
        iam._roles: tells a role's ARN.
    """
    from ministack.core import iam_actions, iam_evaluator
    from ministack.services import dynamodb, iam, sts

    require(iam_evaluator, "_principal_keys", "_conditions_met", "_first_match", "_resolve_condition_key")
    require(iam_actions, "dynamodb_service_context")
    require(dynamodb, "_tables")
    require(sts, "_sessions")
    require(iam, "_roles")
    iam_evaluator._principal_keys = with_identity(iam_evaluator._principal_keys, sts._sessions)
    iam_evaluator._conditions_met = with_variable(iam_evaluator._conditions_met)
    iam_evaluator._first_match = with_own_resources(iam_evaluator._first_match)
    roles = partial(role_arn, iam._roles)
    iam_evaluator._resolve_condition_key = as_by_tls(by_role(iam_evaluator._resolve_condition_key, roles))
    iam_actions.dynamodb_service_context = with_leading_key(iam_actions.dynamodb_service_context, dynamodb._tables)


def with_identity(principal_keys: PrincipalKeys, sessions: Mapping[str, dict[str, Any]]) -> PrincipalKeys:
    """The caller's condition keys, with the identity of a caller that came through Cognito: the emulator omits it."""

    def keys(credential: Any) -> dict[str, Any]:
        identity = sessions.get(credential.access_key_id, {}).get("_identity_id")
        known = {IDENTITY: identity} if identity else {}
        return principal_keys(credential) | known

    return keys


def with_variable(conditions_met: ConditionsMet) -> ConditionsMet:
    """The evaluation of conditions, with the caller's identity in place of the variable that stands for it.

    The emulator knows no policy variables, which would deny everybody what is granted to each identity.
    """

    def met(conditions: dict[str, dict[str, Any]], context: Any) -> bool:
        identity = context.principal_keys.get(IDENTITY)
        if identity:
            conditions = {
                operator: {key: _insert(identity, value) for key, value in tests.items()}
                for operator, tests in conditions.items()
            }
        return conditions_met(conditions, context)

    return met


def with_own_resources(first_match: FirstMatch) -> FirstMatch:
    """The search for the statement that a call matches, with the caller's identity in the resources' names."""

    def match(context: Any, statements: list[Any], effect: str) -> Any:
        identity = context.principal_keys.get(IDENTITY)
        if identity:
            statements = [
                replace(
                    one,
                    resources=_insert(identity, one.resources),
                    not_resources=_insert(identity, one.not_resources),
                )
                for one in statements
            ]
        return first_match(context, statements, effect)

    return match


def as_by_tls(resolve: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """The value of a condition key for a call, with TLS as its transport: policies of buckets refuse plain HTTP."""

    def value(key: str, context: Any) -> Any:
        return "true" if key.lower() == "aws:securetransport" else resolve(key, context)

    return value


def by_role(resolve: Callable[[str, Any], Any], role_of: Callable[[str, str], str]) -> Callable[[str, Any], Any]:
    """The value of a condition key for a call, with the role's ARN as `aws:PrincipalArn` of its sessions.

    The emulator has the session's: a stream that is drained would refuse its own function. "For IAM roles, the request
    context returns the ARN of the role",
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html.

    Args:
        resolve: the emulator's.
        role_of: a role's ARN, by its account and its name.
    """

    def value(key: str, context: Any) -> Any:
        found = resolve(key, context)
        if key.lower() != "aws:principalarn" or not isinstance(found, str) or ":assumed-role/" not in found:
            return found
        return role_of(found.split(":")[4], found.split("/")[1])

    return value


def role_arn(roles: Any, account: str, name: str) -> str:
    """A role's ARN, with its path if the role is there."""
    role = roles.get_scoped(account, None, name) or {}
    return str(role.get("Arn", f"arn:aws:iam::{account}:role/{name}"))


def with_leading_key(service_context: ServiceContext, tables: Mapping[str, Any]) -> ServiceContext:
    """A DynamoDB request's condition keys, with the partition key if it is about one item: the emulator omits it."""

    def context(body: bytes) -> dict[str, Any]:
        known = service_context(body)
        try:
            request = json.loads(body)
            schema = tables[request["TableName"]]["KeySchema"]
            item = request.get("Key") or request["Item"]
            (name,) = [one["AttributeName"] for one in schema if one["KeyType"] == "HASH"]
            (value,) = item[name].values()
        except (ValueError, LookupError, TypeError, AttributeError):
            return known  # a malformed request, which DynamoDB will refuse
        return known | {"dynamodb:LeadingKeys": [value]}

    return context


def _insert(identity: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_insert(identity, item) for item in value]
    return value.replace(f"${{{IDENTITY}}}", identity) if isinstance(value, str) else value
