from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from tests.conftest import Names, Stub
from tidemill_deploy.stack.code_bucket import CodeBucket
from tidemill_local.emulator import Emulator

ACCOUNT = "000000000000"


@pytest.fixture
def bucket(emulator: Emulator) -> Iterator[CodeBucket]:
    made = CodeBucket(emulator.client("s3"), ACCOUNT, "eu-test-1")
    made.make()
    yield made
    for one in emulator.client("s3").list_objects_v2(Bucket=made.name).get("Contents", []):
        emulator.client("s3").delete_object(Bucket=made.name, Key=one["Key"])
    emulator.client("s3").delete_bucket(Bucket=made.name)


def test_it_is_made_once_and_is_closed_to_the_public(bucket: CodeBucket, emulator: Emulator) -> None:
    bucket.make()
    assert bucket.exists()
    closed = emulator.client("s3").get_public_access_block(Bucket=bucket.name)["PublicAccessBlockConfiguration"]
    assert set(closed.values()) == {True}
    assert len(closed) == 4


def test_one_that_nobody_made_does_not_exist(emulator: Emulator) -> None:
    assert not CodeBucket(emulator.client("s3"), ACCOUNT, "eu-none-1").exists()


def test_the_same_contents_are_uploaded_once_under_one_key(bucket: CodeBucket, emulator: Emulator) -> None:
    key = bucket.upload(b"code", ".zip")
    first = emulator.client("s3").head_object(Bucket=bucket.name, Key=key)["LastModified"]
    assert bucket.upload(b"code", ".zip") == key
    assert emulator.client("s3").head_object(Bucket=bucket.name, Key=key)["LastModified"] == first
    assert bucket.upload(b"other code", ".zip") != key
    assert emulator.client("s3").get_object(Bucket=bucket.name, Key=key)["Body"].read() == b"code"


def test_a_record_is_read_until_it_is_dropped(bucket: CodeBucket, names: Names) -> None:
    stack = names("stack")
    assert bucket.read_record(stack) is None
    bucket.write_record(stack, b"{}")
    assert bucket.read_record(stack) == b"{}"
    bucket.drop_record(stack)
    assert bucket.read_record(stack) is None


def test_without_the_bucket_there_is_no_record(emulator: Emulator) -> None:
    assert CodeBucket(emulator.client("s3"), ACCOUNT, "eu-none-1").read_record("stack") is None


def test_somebody_elses_bucket_is_not_used(stub: Stub) -> None:
    s3, answers = stub("s3")
    answers.add_client_error("head_bucket", "403", "Forbidden", http_status_code=403)
    with answers, pytest.raises(ClientError, match="403"):
        CodeBucket(s3, ACCOUNT, "eu-test-1").make()


def test_a_bucket_outside_the_first_region_is_made_there(stub: Stub) -> None:
    s3, answers = stub("s3")
    name = f"tidemill-code-{ACCOUNT}-eu-test-1"
    place = {"CreateBucketConfiguration": {"LocationConstraint": "eu-test-1"}}
    answers.add_client_error("head_bucket", "404", "Not Found", http_status_code=404)
    answers.add_response("create_bucket", {}, {"Bucket": name, **place})
    answers.add_response("put_public_access_block", {})
    with answers:
        CodeBucket(s3, ACCOUNT, "eu-test-1").make()
        answers.assert_no_pending_responses()
