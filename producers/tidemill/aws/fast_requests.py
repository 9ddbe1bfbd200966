"""Keeps what is equal in all large calls of a kind: their endpoint, and their request apart from its body.

Room: SDK, no I/O. The plain way, and the contract, are botocore's `_resolve_endpoint_ruleset` and
`_convert_to_request_dict`, which find both anew for each call, and take a sixth of it. The benchmarks `orders_unique_0`
and `orders_zipf_500` show the gain.

An endpoint may depend on the operation, on the names of tables, and on the credentials' account, and is kept by these.
It is botocore's to find: for other calls; where a handler of `before-endpoint-resolution` has a say; where it says
how to sign; where the user agent is botocore's, which says how it was found; and in a botocore
whose parts have other names. https://docs.aws.amazon.com/sdkref/latest/guide/feature-account-endpoints.html
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, TypeVar

from tidemill.aws.fast_json import CALL
from tidemill.aws.handlers import Handlers

if TYPE_CHECKING:
    from botocore.client import BaseClient

Client = TypeVar("Client", bound="BaseClient")

TABLES = {"ResourceArnList": {"path": "keys(RequestItems)"}}
"""The only parameters of an operation that may decide its endpoint: the names of its tables."""

_PARTS = ("_resolve_endpoint_ruleset", "_convert_to_request_dict", "_user_agent_creator", "_ruleset_resolver")


def use_fast_requests(client: Client) -> Client:
    """Makes a client quick whose contents `use_msgspec_json` or `use_fast_sns` sets aside, and returns it."""
    of: Any = client
    config = getattr(client.meta, "config", None)
    if all(hasattr(client, part) for part in _PARTS) and getattr(config, "_supplied_user_agent", None):
        of._resolve_endpoint_ruleset = _Endpoints(client).resolve
        of._convert_to_request_dict = _Requests(client).convert
    return client


class _Endpoints:
    """The endpoints of a client's calls."""

    def __init__(self, client: Any) -> None:
        self._plain = client._resolve_endpoint_ruleset
        self._handlers = Handlers(client.meta.events)
        self._event = f"before-endpoint-resolution.{client.meta.service_model.service_id.hyphenize()}"
        builtins = getattr(client._ruleset_resolver, "_builtins", None)
        self._changing = None if builtins is None else [one for one in builtins.values() if callable(one)]

    def resolve(self, operation_model: Any, params: Any, request_context: dict[str, Any], **more: Any) -> Any:
        """The endpoint's URL, headers and properties. The parameters are those of `_resolve_endpoint_ruleset`."""
        found = self._handlers.found()
        if CALL not in request_context or more or found is None or self._changing is None:
            return self._plain(operation_model, params, request_context, **more)
        tables = params.get("RequestItems", ())
        key: Hashable = (operation_model.name, *tables, *[value() for value in self._changing])
        endpoint = found.get(key)
        if endpoint is None:
            endpoint = self._plain(operation_model, params, request_context)
            says_how_to_sign = "authSchemes" in endpoint[2]  # then the context has been changed too
            if says_how_to_sign or self._handlers.of(self._event) or not _is_decided_by_tables(operation_model):
                return endpoint
            found[key] = endpoint
        url, headers, properties = endpoint
        return url, dict(headers), dict(properties)


def _is_decided_by_tables(operation_model: Any) -> bool:
    """Whether no other parameter of the operation may decide the endpoint."""
    of_contents = operation_model.operation_context_parameters
    return not operation_model.context_parameters and (not of_contents or of_contents == TABLES)


class _Requests:
    """The requests of a client's calls, before they are signed."""

    def __init__(self, client: Any) -> None:
        self._plain, self._agent = client._convert_to_request_dict, client._user_agent_creator.to_string
        self._found: dict[Hashable, dict[str, Any]] = {}

    def convert(
        self,
        api_params: Any,
        operation_model: Any,
        endpoint_url: str,
        context: Any = None,
        headers: Any = None,
        **more: Any,
    ) -> dict[str, Any]:
        """The request. Its parameters are those of `_convert_to_request_dict`. Its body is set by `before-call`."""
        if not context or CALL not in context or headers or more:
            return self._plain(api_params, operation_model, endpoint_url, context, headers, **more)  # type: ignore[no-any-return]
        key = operation_model.name, endpoint_url
        known = self._found.get(key)
        if known is None:
            made: dict[str, Any] = self._plain(api_params, operation_model, endpoint_url, context, headers)
            if "host_prefix" not in made:
                self._found[key] = {**made, "headers": dict(made["headers"]), "body": b"", "context": None}
            return made
        return {**known, "headers": {**known["headers"], "User-Agent": self._agent()}, "context": context}
