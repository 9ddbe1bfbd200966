"""What EventBridge says of a bucket's objects, compared with AWS's page field by field."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Names
from tests.consumers.tidemill_media.bucket_events import created, deleted
from tidemill_local.emulator import Emulator
from tidemill_local.patches.bucket_events import NOTHING, completed
from tidemill_media.processing.notifications import read

NAME = "photos/ann/content/1"


@pytest.fixture
def heard(emulator: Emulator, names: Names, content_bucket: str) -> Callable[[], list[dict[str, Any]]]:
    """The events of the bucket, by a queue that is a rule's target."""
    sqs, events = emulator.client("sqs"), emulator.client("events")
    url = sqs.create_queue(QueueName=names("events"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [content_bucket]}}}
    rule = names("rule")
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])
    emulator.client("s3").put_bucket_notification_configuration(
        Bucket=content_bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )

    def receive() -> list[dict[str, Any]]:
        got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in got:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in got]

    return receive


def told(
    heard: Callable[[], list[dict[str, Any]]], becomes: Callable[[Callable[[], bool]], bool], count: int = 1
) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []

    def are_here() -> bool:
        events.extend(heard())
        return len(events) >= count

    assert becomes(are_here)
    return sorted(events, key=lambda event: str(event["detail"]["object"]["sequencer"]))


def fields(event: Any) -> Any:
    """An event's fields and what is below them; the kind of each value stands for it."""
    if isinstance(event, dict):
        return {name: fields(value) for name, value in event.items()}
    return type(event)


def test_an_upload_and_a_deletion_have_the_fields_of_aws(
    emulator: Emulator,
    content_bucket: str,
    heard: Callable[[], list[dict[str, Any]]],
    becomes: Callable[[Callable[[], bool]], bool],
) -> None:
    s3 = emulator.client("s3")
    put = s3.put_object(Bucket=content_bucket, Key=NAME, Body=b"hello")
    (upload,) = told(heard, becomes)
    documented = created("0A1")
    documented["detail"]["event-version"] = "1.0"  # in the page's newer examples
    assert fields(upload) == fields(documented)
    detail = upload["detail"]
    assert (detail["reason"], upload["detail-type"], upload["source"]) == ("PutObject", "Object Created", "aws.s3")
    assert detail["object"] | {"sequencer": ""} == {
        "key": NAME,
        "size": 5,
        "etag": put["ETag"].strip('"'),
        "version-id": put["VersionId"],
        "sequencer": "",
    }
    marker = s3.delete_object(Bucket=content_bucket, Key=NAME)["VersionId"]
    (deletion,) = told(heard, becomes)
    documented = deleted("0A1")
    documented["detail"]["event-version"] = "1.0"
    assert fields(deletion) == fields(documented)
    assert deletion["detail"]["deletion-type"] == "Delete Marker Created"
    assert (deletion["detail"]["reason"], deletion["detail"]["object"]["version-id"]) == ("DeleteObject", marker)
    s3.delete_object(Bucket=content_bucket, Key=NAME, VersionId=put["VersionId"])
    (gone,) = told(heard, becomes)
    assert gone["detail"]["deletion-type"] == "Permanently Deleted"
    assert gone["detail"]["object"]["version-id"] == put["VersionId"]
    found = [read(event) for event in (upload, deletion, gone)]
    assert [one and one.kind for one in found] == ["uploaded", "removed", "version gone"]
    versions = [one.version for one in found if one]
    assert versions == sorted(set(versions))


def test_each_way_to_store_and_to_delete_says_which_version_it_is_of(
    emulator: Emulator,
    content_bucket: str,
    heard: Callable[[], list[dict[str, Any]]],
    becomes: Callable[[Callable[[], bool]], bool],
) -> None:
    s3 = emulator.client("s3")
    s3.put_object(Bucket=content_bucket, Key="a", Body=b"hello")
    copied = s3.copy_object(Bucket=content_bucket, Key=NAME, CopySource={"Bucket": content_bucket, "Key": "a"})
    upload = s3.create_multipart_upload(Bucket=content_bucket, Key=NAME)["UploadId"]
    part = s3.upload_part(Bucket=content_bucket, Key=NAME, UploadId=upload, PartNumber=1, Body=b"world")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    whole = s3.complete_multipart_upload(Bucket=content_bucket, Key=NAME, UploadId=upload, MultipartUpload=parts)
    s3.delete_objects(Bucket=content_bucket, Delete={"Objects": [{"Key": NAME}]})
    _, *events = [event["detail"] for event in told(heard, becomes, 4)]
    assert [one["reason"] for one in events] == ["CopyObject", "CompleteMultipartUpload", "DeleteObject"]
    versions = [one["object"]["version-id"] for one in events]
    assert versions[:2] == [copied["VersionId"], whole["VersionId"]]
    assert len(set(versions)) == 3


def test_a_marker_has_the_etag_of_nothing_and_no_size() -> None:
    detail = {"deletion-type": "Delete Marker Created", "object": {"key": "k", "size": 0, "etag": ""}}
    assert completed(detail, "v")["object"] == {"key": "k", "etag": NOTHING, "version-id": "v"}
    assert completed({"object": {"key": "k", "size": 1}}, None) == {"object": {"key": "k", "size": 1}}
