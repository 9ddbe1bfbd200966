"""Lambda's calls that create and change a stream's event source mapping, as the emulator answers them.

Room: local platform; fitted into the emulator by `install`. The emulator keeps the mappings and lists them;
event_sources.py, in the parent process, runs the listed ones. The emulator's own calls drop options, accept requests
that AWS refuses, and have other defaults.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from tidemill_event_source.decisions.config import InvalidMapping, parse
from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from pathlib import Path

Properties: TypeAlias = dict[str, Any]

Response: TypeAlias = tuple[int, dict[str, str], bytes]
"""Status, headers and body, as the emulator's handlers return them."""

Create: TypeAlias = "Callable[[Properties], Response]"
Update: TypeAlias = "Callable[[str, Properties], Response]"

Provision: TypeAlias = "Callable[..., tuple[str, Properties]]"
"""CloudFormation's function that makes or changes a resource; returns its physical id and its attributes."""

DEFAULTS: Mapping[str, Any] = {
    "BatchSize": 100,
    "BisectBatchOnFunctionError": False,
    "DestinationConfig": {"OnFailure": {}},
    "FunctionResponseTypes": [],
    "MaximumBatchingWindowInSeconds": 0,
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "ParallelizationFactor": 1,
    "TumblingWindowInSeconds": 0,
}
"""AWS's values for options that are not given."""

_INVALID = "InvalidParameterValueException"

OPTIONS = (
    *DEFAULTS,
    "FilterCriteria",
    "KMSKeyArn",
    "MetricsConfig",
    "StartingPosition",
    "StartingPositionTimestamp",
)


RESULT = ".result"
"""Suffix of the file with a mapping's last result; the name begins with the mapping's UUID."""


CHECKPOINTS = "checkpoints"
"""The mappings' folder, within the emulator's."""


def install(folder: Path) -> None:
    """Have event source mappings of streams kept and shown as on AWS, and run only by the platform.

    Args:
        folder: the folder in which event_sources.py keeps each mapping's last result.

    Needs of the emulator:
        lambda_svc._create_esm, lambda_svc._update_esm: answer the calls that make and change a mapping.
        lambda_svc._esm_response: a mapping as it is shown; the result of its last batch is added.
        lambda_svc._esms: all mappings.
        lambda_svc._kinesis_stream_name_from_arn_spec: finds a mapping's stream; a consumer's ARN names one too.
        lambda_svc._poll_kinesis, lambda_svc._poll_dynamodb_streams: its own reading for mappings; replaced by none.
        kinesis._resolve_stream_by_arn, kinesis._consumer_from_arn: tell whether a stream or a consumer is there.
        dynamodb_streams._describe_stream: tells whether a table's stream is there.
        provisioners._RESOURCE_HANDLERS: what makes and changes a stack's mapping.
        provisioners._lambda_esm_create, provisioners._lambda_esm_attrs: that which makes it, and what it returns of it.
    """
    from ministack.services import dynamodb_streams, kinesis, lambda_svc
    from ministack.services.cloudformation import provisioners

    require(lambda_svc, "_create_esm", "_update_esm", "_esm_response", "_esms", "_kinesis_stream_name_from_arn_spec")
    require(lambda_svc, "_poll_kinesis", "_poll_dynamodb_streams")
    require(kinesis, "_resolve_stream_by_arn", "_consumer_from_arn")
    require(dynamodb_streams, "_describe_stream")
    require(provisioners, "_RESOURCE_HANDLERS", "_lambda_esm_create", "_lambda_esm_attrs")

    def exists(arn: str) -> bool:
        if "/consumer/" in arn:
            return kinesis._consumer_from_arn(arn) is not None
        if arn.startswith("arn:aws:kinesis:"):
            return kinesis._resolve_stream_by_arn(arn) is not None
        status: int = dynamodb_streams._describe_stream({"StreamArn": arn})[0]
        return status == 200

    lambda_svc._kinesis_stream_name_from_arn_spec = naming(lambda_svc._kinesis_stream_name_from_arn_spec)
    lambda_svc._create_esm = creating(lambda_svc._create_esm, lambda_svc._esms, exists)
    lambda_svc._update_esm = updating(lambda_svc._update_esm, lambda_svc._esms)
    lambda_svc._poll_kinesis = lambda_svc._poll_dynamodb_streams = lambda: False
    lambda_svc._esm_response = with_result(lambda_svc._esm_response, folder)
    stack = provisioners._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]
    create = provisioning(lambda_svc._create_esm, provisioners._lambda_esm_attrs)
    stack["create"] = provisioners._lambda_esm_create = create
    stack["update"] = reprovisioning(stack["update"], lambda_svc._esms)


def with_result(shown: Callable[[Properties], Properties], folder: Path) -> Callable[[Properties], Properties]:
    """A mapping as Lambda's API shows it, with its last batch's result, which event_sources.py keeps in the folder."""

    def put_right(mapping: Properties) -> Properties:
        found = shown(mapping)
        with suppress(OSError):
            found["LastProcessingResult"] = (folder / f"{mapping['UUID']}{RESULT}").read_text()
        return found

    return put_right


def naming(name_of: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    """The stream's name from a parsed ARN, which may also be a registered consumer's."""

    def put_right(spec: Any) -> str | None:
        return name_of(replace(spec, resource=spec.resource.partition("/consumer/")[0]))

    return put_right


def is_stream(arn: str) -> bool:
    """Whether an ARN is a stream's, and not a queue's."""
    return arn.split(":")[2:3] in (["kinesis"], ["dynamodb"])


def creating(create: Create, mappings: MutableMapping[str, Properties], exists: Callable[[str], bool]) -> Create:
    """The emulator's CreateEventSourceMapping, corrected for streams.

    Args:
        create: the emulator's own.
        mappings: UUID -> mapping: the emulator's store, which `create` adds to.
        exists: whether the stream of an ARN exists.
    """

    def put_right(data: Properties) -> Response:
        arn = data.get("EventSourceArn") or ""
        if not is_stream(arn):
            return create(data)
        try:
            parse({"FunctionName": data.get("FunctionName", ""), "EventSourceArn": arn, **_options(data)})
        except InvalidMapping as error:
            return _refused(_INVALID, str(error))
        if not exists(arn):
            return _refused(_INVALID, f"Stream not found: {arn}")
        status, headers, body = create({name: value for name, value in data.items() if value is not None})
        if status == 404:
            return _refused(_INVALID, "Function does not exist")
        if status >= 300:
            return status, headers, body
        shown = json.loads(body)
        mapping = mappings[shown["UUID"]]
        if twin := _twin(shown["UUID"], mappings):
            del mappings[shown["UUID"]]
            name = mapping["FunctionArn"].rpartition(":")[2]
            return _refused(
                "ResourceConflictException",
                f'The event source arn (" {arn} ") and function (" {name} ") provided mapping already exists. '
                f"Please update or delete the existing mapping with UUID {twin}",
                409,
            )
        mapping |= {**DEFAULTS, **_options(data)}
        shown |= {name: mapping[name] for name in OPTIONS if name in mapping}
        return status, headers, json.dumps(shown).encode()

    return put_right


def provisioning(create: Create, attributes: Callable[[str], Properties]) -> Provision:
    """CloudFormation's creation of a mapping, by the same API call as all other callers.

    Args:
        create: CreateEventSourceMapping.
        attributes: a mapping's attributes in a template, from its UUID.
    """

    def provision(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        status, _, body = create(properties)
        answer = json.loads(body)
        if status >= 300:
            raise ValueError(f"{logical_id}: {answer['message']}")
        return answer["UUID"], attributes(answer["UUID"])

    return provision


def reprovisioning(change: Provision, mappings: MutableMapping[str, Properties]) -> Provision:
    """CloudFormation's update of a mapping: an option that the template no longer has returns to AWS's default.

    Args:
        change: the emulator's own, which makes another mapping if the stream or the starting position changes.
        mappings: see `creating`.
    """

    def update(mapping_id: str, old: Properties, new: Properties, stack: str) -> tuple[str, Properties]:
        if is_stream(new["EventSourceArn"]):
            parse({"FunctionName": "", "EventSourceArn": new["EventSourceArn"], **_options(new)})
        changed = change(mapping_id, old, new, stack)
        mapping = mappings[changed[0]]
        if is_stream(mapping["EventSourceArn"]):
            mapping.pop("FilterCriteria", None)
            mapping |= {**DEFAULTS, **_options(new)}
        return changed

    return update


def updating(update: Update, mappings: Mapping[str, Properties]) -> Update:
    """The emulator's UpdateEventSourceMapping, corrected for streams; see `creating`."""

    def put_right(mapping_id: str, data: Properties) -> Response:
        mapping = mappings.get(mapping_id)
        if mapping is None or not is_stream(mapping["EventSourceArn"]):
            return update(mapping_id, data)
        asked = {name: value for name, value in _options(data).items() if not name.startswith("StartingPosition")}
        try:
            kept = {name: mapping[name] for name in OPTIONS if name in mapping}
            parse({"FunctionName": "", "EventSourceArn": mapping["EventSourceArn"], **kept, **asked})
        except InvalidMapping as error:
            return _refused(_INVALID, str(error))
        status, headers, body = update(mapping_id, data)
        if status < 300:
            mapping |= asked
            body = json.dumps(json.loads(body) | asked).encode()
        return status, headers, body

    return put_right


def _options(data: Properties) -> Properties:
    """The given options in the API's types: a template's numbers and flags may be text."""
    return {name: _typed(DEFAULTS.get(name), data[name]) for name in OPTIONS if data.get(name) is not None}


def _typed(default: Any, value: Any) -> Any:
    if isinstance(default, bool):
        return str(value).lower() == "true"
    return int(value) if isinstance(default, int) and str(value).lstrip("-").isdigit() else value


def _twin(new: str, mappings: Mapping[str, Properties]) -> str | None:
    """Another mapping of the same stream to the same function."""
    pair = mappings[new]["EventSourceArn"], mappings[new]["FunctionArn"]
    return next(
        (
            other
            for other, one in mappings.items()
            if other != new and (one["EventSourceArn"], one["FunctionArn"]) == pair
        ),
        None,
    )


def _refused(code: str, message: str, status: int = 400) -> Response:
    body = {"__type": code, "Type": "User", "message": message, "Message": message}
    return status, {"Content-Type": "application/json", "x-amzn-errortype": code}, json.dumps(body).encode()
