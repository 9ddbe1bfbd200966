"""What the emulator's CloudFormation ignores: encryption, recovery, lifecycle, and streams' consumers and policies.

Room: local platform; fitted into the emulator by `install`.
Tests: tests/infra/tidemill_local/patches/kinesis/test_stream_calls.py.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.sax.saxutils import escape

from tidemill_local.patches.release import require

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping

    from tidemill_local.patches.kinesis.api import Handler

Properties: TypeAlias = dict[str, Any]

Apply: TypeAlias = "Callable[[str, Properties], None]"
"""Applies properties to a resource, by its physical id."""

_ENCRYPTION = (
    '<ServerSideEncryptionConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>'
    "<ApplyServerSideEncryptionByDefault>{}</ApplyServerSideEncryptionByDefault>"
    "<BucketKeyEnabled>{}</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>"
)
"""A bucket's encryption in S3's API."""

_EXPIRATIONS = {"ExpirationInDays": "Days", "ExpirationDate": "Date", "ExpiredObjectDeleteMarker": None}

REPLACING = {
    "AWS::Cognito::IdentityPool": (),
    "AWS::Cognito::IdentityPoolRoleAttachment": ("IdentityPoolId",),
    "AWS::Cognito::UserPoolClient": ("GenerateSecret", "UserPoolId"),
    "AWS::Kinesis::ResourcePolicy": ("ResourceArn",),
    "AWS::Kinesis::Stream": ("Name",),
    "AWS::Lambda::EventSourceMapping": (
        "EventSourceArn",
        "SelfManagedEventSource",
        "StartingPosition",
        "StartingPositionTimestamp",
    ),
    "AWS::SNS::TopicPolicy": (),
}
"""Types of which the emulator says of every change that it may replace the resource -> `createOnlyProperties` of the
type's schema, the properties that do."""


def install() -> None:
    """Have stacks get the encryption, recovery, lifecycle and streams' consumers and policies of their templates.

    Stacks take over streams too that exist. The emulator then only describes the delivery streams that are run beside
    it.

    Needs of the emulator:
        provisioners._RESOURCE_HANDLERS: what makes, changes and deletes a resource, by its type.
        provisioners._REPLACING_PROPERTIES: properties that make another resource, for change sets.
        kinesis._streams: a stream's encryption is written there.
        kinesis._register_consumer, kinesis._deregister_consumer: make and delete a stream's consumer.
        dynamodb._tables, dynamodb._sse_description_from_spec: a table's encryption is written there, and put so.
        kinesis._put_resource_policy, kinesis._delete_resource_policy: make and delete a stream's policy.
        changesets._IMPORT_LOOKUPS: what names a resource that a stack takes over, and whether it exists, by its type.
        dynamodb._pitr_settings: a table's point-in-time recovery is written there.
        sns._topics: a topic's key is written there.
        s3._put_bucket_encryption: sets a bucket's encryption.
        s3._bucket_lifecycle: a bucket's lifecycle is written there.
        firehose._streams: tells which delivery streams are run beside the emulator.
        firehose.ingest_from_kinesis_source, firehose._deliver_records_to_s3: its own delivery, which leaves those out.
    """
    from ministack.services import dynamodb, firehose, kinesis, s3, sns
    from ministack.services.cloudformation import changesets, provisioners

    require(firehose, "ingest_from_kinesis_source", "_deliver_records_to_s3", "_streams")
    require(provisioners, "_RESOURCE_HANDLERS", "_REPLACING_PROPERTIES")
    require(kinesis, "_streams", "_register_consumer", "_deregister_consumer")
    require(kinesis, "_put_resource_policy", "_delete_resource_policy")
    require(changesets, "_IMPORT_LOOKUPS")
    require(dynamodb, "_pitr_settings", "_tables", "_sse_description_from_spec")
    require(s3, "_bucket_lifecycle", "_put_bucket_encryption")
    require(sns, "_topics")
    firehose.ingest_from_kinesis_source = leaving(firehose.ingest_from_kinesis_source, firehose._streams)
    firehose._deliver_records_to_s3 = leaving_out(firehose._deliver_records_to_s3)
    kinds = provisioners._RESOURCE_HANDLERS
    also(kinds["AWS::Kinesis::Stream"], encryption(kinesis._streams))
    also(kinds["AWS::DynamoDB::Table"], recovery(dynamodb._pitr_settings))
    also(kinds["AWS::DynamoDB::Table"], table_key(dynamodb._tables, dynamodb._sse_description_from_spec))
    also(kinds["AWS::S3::Bucket"], lifecycle(s3._bucket_lifecycle))
    also(kinds["AWS::S3::Bucket"], bucket_key(s3._put_bucket_encryption))
    also(kinds["AWS::SNS::Topic"], topic_key(sns._topics))
    kinds["AWS::Kinesis::StreamConsumer"] = stream_consumer(kinesis._register_consumer, kinesis._deregister_consumer)
    kinds["AWS::Kinesis::ResourcePolicy"] = resource_policy(
        kinesis._put_resource_policy, kinesis._delete_resource_policy
    )
    provisioners._REPLACING_PROPERTIES.update(REPLACING)
    kinds["AWS::Kinesis::Stream"]["import"] = partial(stream_taken_over, kinesis._streams)
    changesets._IMPORT_LOOKUPS["AWS::Kinesis::Stream"] = ("Name",), partial(missing_stream, kinesis._streams)


def also(handlers: MutableMapping[str, Any], apply: Apply) -> None:
    """Has further properties of a resource type applied when a resource is created or changed."""

    def create(logical_id: str, properties: Properties, stack: str, *rest: Any) -> Any:
        made = handlers_of["create"](logical_id, properties, stack, *rest)
        apply(made[0], properties)
        return made

    def update(physical_id: str, old: Properties, new: Properties, stack: str, *rest: Any, **named: Any) -> Any:
        changed = handlers_of["update"](physical_id, old, new, stack, *rest, **named)
        apply(changed[0], new)
        return changed

    handlers_of = dict(handlers)
    handlers.update(create=create, update=update)


RUN_BESIDE = "tidemill:run-beside"
"""The tag of a delivery stream that is run beside the emulator, which only describes it."""


def leaving(ingest: Callable[[str, Any], None], streams: Mapping[str, Any]) -> Callable[[str, Any], None]:
    """The emulator's delivery of a stream's records, only while it has delivery streams of its own to run."""

    def put_right(stream_arn: str, records: Any) -> None:
        if any(RUN_BESIDE not in one["tags"] for one in streams.values()):
            ingest(stream_arn, records)

    return put_right


def leaving_out(deliver: Callable[..., Any]) -> Callable[..., Any]:
    """The emulator's delivery into S3, except for delivery streams that are run beside it."""

    def put_right(stream: dict[str, Any], destination: dict[str, Any], *rest: Any, **named: Any) -> Any:
        if RUN_BESIDE not in stream["tags"]:
            return deliver(stream, destination, *rest, **named)
        destination["records"].clear()
        return None

    return put_right


def encryption(streams: Mapping[str, Any]) -> Apply:
    """Gives the function that applies a stream's StreamEncryption."""

    def apply(name: str, properties: Properties) -> None:
        wanted = properties.get("StreamEncryption")
        stream = streams[name]
        stream.pop("KeyId", None)
        stream["EncryptionType"] = "NONE"
        if isinstance(wanted, dict):
            stream |= {"EncryptionType": wanted["EncryptionType"], "KeyId": wanted["KeyId"]}

    return apply


def recovery(settings: MutableMapping[str, Any]) -> Apply:
    """Gives the function that applies a table's PointInTimeRecoverySpecification."""

    def apply(name: str, properties: Properties) -> None:
        wanted = properties.get("PointInTimeRecoverySpecification") or {}
        settings[name] = str(wanted.get("PointInTimeRecoveryEnabled", False)).lower() == "true"

    return apply


def table_key(tables: Mapping[str, Any], described: Callable[[Properties], Any]) -> Apply:
    """Gives the function that applies a table's SSESpecification."""

    def apply(name: str, properties: Properties) -> None:
        wanted = dict(properties.get("SSESpecification") or {})
        wanted["Enabled"] = str(wanted.pop("SSEEnabled", False)).lower() == "true"
        tables[name]["SSEDescription"] = described(wanted) if wanted["Enabled"] else None

    return apply


def topic_key(topics: Mapping[str, Any]) -> Apply:
    """Gives the function that applies a topic's KmsMasterKeyId."""

    def apply(arn: str, properties: Properties) -> None:
        attributes = topics[arn]["attributes"]
        attributes.pop("KmsMasterKeyId", None)
        if key := properties.get("KmsMasterKeyId"):
            attributes["KmsMasterKeyId"] = key

    return apply


def bucket_key(put: Callable[[str, bytes], Any]) -> Apply:
    """Gives the function that applies a bucket's BucketEncryption."""

    def apply(name: str, properties: Properties) -> None:
        for rule in (properties.get("BucketEncryption") or {}).get("ServerSideEncryptionConfiguration", ()):
            default = rule["ServerSideEncryptionByDefault"]
            parts = {"SSEAlgorithm": default["SSEAlgorithm"], "KMSMasterKeyID": default.get("KMSMasterKeyID")}
            wanted = "".join(f"<{part}>{escape(value)}</{part}>" for part, value in parts.items() if value)
            is_kept = str(rule.get("BucketKeyEnabled", False)).lower()
            put(name, _ENCRYPTION.format(wanted, is_kept).encode())

    return apply


def lifecycle(kept: MutableMapping[str, Any]) -> Apply:
    """Gives the function that applies a bucket's LifecycleConfiguration."""

    def apply(name: str, properties: Properties) -> None:
        rules = (properties.get("LifecycleConfiguration") or {}).get("Rules") or []
        kept.pop(name, None)
        if rules:
            kept[name] = [lifecycle_rule(rule, f"rule-{number}") for number, rule in enumerate(rules)]

    return apply


def lifecycle_rule(rule: Properties, unnamed: str) -> Properties:
    """A template's lifecycle rule in the form of S3's API, whose names differ."""
    found = {"ID": rule.get("Id", unnamed), "Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    expiration = {to or name: rule[name] for name, to in _EXPIRATIONS.items() if name in rule}
    if "Days" in expiration:
        expiration["Days"] = int(expiration["Days"])
    if expiration:
        found["Expiration"] = expiration
    if abandoned := rule.get("AbortIncompleteMultipartUpload"):
        found["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": int(abandoned["DaysAfterInitiation"])}
    if old := rule.get("NoncurrentVersionExpiration"):
        found["NoncurrentVersionExpiration"] = {name: int(value) for name, value in old.items()}
    return found


def stream_consumer(register: Handler, deregister: Handler) -> dict[str, Any]:
    """The functions by which a stack makes, changes and deletes an AWS::Kinesis::StreamConsumer.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-kinesis-streamconsumer.html: its Ref is
    its ARN, and a change of either property makes another.
    """

    def create(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        asked = {name: properties[name] for name in ("ConsumerName", "StreamARN")}
        status, _, body = register(asked)
        answer = json.loads(body)
        if status != 200:
            raise ValueError(f"{logical_id}: {answer['message']}")
        made = answer["Consumer"]
        return made["ConsumerARN"], {
            **asked,
            **made,
            "ConsumerCreationTimestamp": str(made["ConsumerCreationTimestamp"]),
        }

    def delete(physical_id: str, properties: Properties) -> None:
        deregister({"ConsumerARN": physical_id})

    def update(physical_id: str, old: Properties, new: Properties, stack: str) -> tuple[str, Properties]:
        if all(old[name] == new[name] for name in ("ConsumerName", "StreamARN")):
            return physical_id, {"ConsumerARN": physical_id, **new}
        return create("consumer", new, stack)

    return {"create": create, "update": update, "delete": delete}


def resource_policy(put: Handler, delete: Handler) -> dict[str, Any]:
    """The functions by which a stack makes, changes and deletes an AWS::Kinesis::ResourcePolicy.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-kinesis-resourcepolicy.html: its Ref is
    the stream's ARN.
    """

    def create(logical_id: str, properties: Properties, stack: str) -> tuple[str, Properties]:
        arn = properties["ResourceArn"]
        status, _, body = put({"ResourceARN": arn, "Policy": json.dumps(properties["ResourcePolicy"])})
        if status != 200:
            raise ValueError(f"{logical_id}: {json.loads(body)['message']}")
        return arn, {}

    def remove(physical_id: str, properties: Properties) -> None:
        delete({"ResourceARN": physical_id})

    def update(physical_id: str, old: Properties, new: Properties, stack: str) -> tuple[str, Properties]:
        return create("policy", new, stack)

    return {"create": create, "update": update, "delete": remove}


def stream_taken_over(streams: Mapping[str, Any], identifier: Mapping[str, str]) -> tuple[str, Properties]:
    """The physical id and the attributes of a stream that a stack takes over."""
    name = identifier["Name"]
    return name, {"Arn": streams[name]["StreamARN"]}


def missing_stream(streams: Mapping[str, Any], name: str) -> str | None:
    """Why a stack cannot take over a stream; None if it can."""
    return None if name in streams else f"Stream {name} not found."
