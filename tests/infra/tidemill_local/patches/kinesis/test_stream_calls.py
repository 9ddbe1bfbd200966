"""Kinesis's calls that the emulator lacks, what it must refuse, and what a template says of a stream."""

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tidemill_local.deployment import Deployment
from tidemill_local.emulator import Emulator
from tidemill_local.patches.kinesis.api import success
from tidemill_local.patches.kinesis.stream_calls import StreamCalls, with_monitoring
from tidemill_local.patches.provisioning import lifecycle_rule

Becomes = Callable[[Callable[[], bool]], bool]
MIB = 1024 * 1024
SHARD = "shardId-000000000000"


@pytest.fixture
def kinesis(emulator: Emulator) -> Any:
    return emulator.client("kinesis")


@pytest.fixture
def name(kinesis: Any) -> Iterator[str]:
    made = f"calls-{uuid.uuid4().hex[:8]}"
    kinesis.create_stream(StreamName=made, ShardCount=1)
    yield made
    kinesis.delete_stream(StreamName=made)


def summary(kinesis: Any, name: str) -> Any:
    return kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        call()
    code: str = refused.value.response["Error"]["Code"]
    return code


def test_a_stream_on_demand_opens_four_shards(kinesis: Any) -> None:
    before = kinesis.describe_limits()["OnDemandStreamCount"]
    kinesis.create_stream(StreamName="on-demand", StreamModeDetails={"StreamMode": "ON_DEMAND"})
    try:
        assert summary(kinesis, "on-demand")["OpenShardCount"] == 4
        limits = kinesis.describe_limits()
        assert (limits["OnDemandStreamCount"] - before, limits["OnDemandStreamCountLimit"]) == (1, 50)
    finally:
        kinesis.delete_stream(StreamName="on-demand")


def test_more_shards_than_any_stream_has_are_refused(kinesis: Any) -> None:
    many = 99_999_999
    assert refusal(lambda: kinesis.create_stream(StreamName="many", ShardCount=many)) == "LimitExceededException"


def test_limits_count_the_open_shards(kinesis: Any, name: str) -> None:
    before = kinesis.describe_limits()["OpenShardCount"]
    kinesis.split_shard(StreamName=name, ShardToSplit=SHARD, NewStartingHashKey="1000")
    assert kinesis.describe_limits()["OpenShardCount"] == before + 1


def test_a_stream_changes_its_mode(kinesis: Any, name: str) -> None:
    arn = summary(kinesis, name)["StreamARN"]
    kinesis.update_stream_mode(StreamARN=arn, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    assert summary(kinesis, name)["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    wrong = {"StreamMode": "SOMETIMES"}
    assert refusal(lambda: kinesis.update_stream_mode(StreamARN=arn, StreamModeDetails=wrong)) == "ValidationException"


def test_tags_of_streams_and_consumers(kinesis: Any, name: str) -> None:
    arn = summary(kinesis, name)["StreamARN"]
    consumer = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="c")["Consumer"]["ConsumerARN"]
    for resource in (arn, consumer):
        kinesis.tag_resource(ResourceARN=resource, Tags={"team": "tide", "stage": "test"})
        kinesis.untag_resource(ResourceARN=resource, TagKeys=["stage"])
        tags = kinesis.list_tags_for_resource(ResourceARN=resource)["Tags"]
        assert tags == [{"Key": "team", "Value": "tide"}]
    assert kinesis.list_tags_for_stream(StreamName=name)["Tags"] == tags
    assert refusal(lambda: kinesis.tag_resource(ResourceARN=f"{arn}x", Tags={"a": "b"})) == "ResourceNotFoundException"


def test_data_and_key_together_are_a_mebibyte_at_most(kinesis: Any, name: str) -> None:
    def put(data: int, key: str = "kk") -> Any:
        return kinesis.put_record(StreamName=name, Data=b"x" * data, PartitionKey=key)

    put(MIB - 2)
    assert refusal(lambda: put(MIB - 1)) == "ValidationException"
    large = {"Data": b"x" * (MIB - 1), "PartitionKey": "kk"}
    assert refusal(lambda: kinesis.put_records(StreamName=name, Records=[large])) == "ValidationException"


def test_larger_records_where_the_stream_takes_them(kinesis: Any, name: str) -> None:
    arn = summary(kinesis, name)["StreamARN"]
    assert summary(kinesis, name)["MaxRecordSizeInKiB"] == 1024
    kinesis.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=2048)
    assert summary(kinesis, name)["MaxRecordSizeInKiB"] == 2048
    small, large = {"Data": b"s", "PartitionKey": "k"}, {"Data": b"l" * (2 * MIB - 1), "PartitionKey": "k"}
    answer = kinesis.put_records(StreamName=name, Records=[small, large])
    assert answer["FailedRecordCount"] == 0
    start = kinesis.get_shard_iterator(StreamName=name, ShardId=SHARD, ShardIteratorType="TRIM_HORIZON")
    records = kinesis.get_records(ShardIterator=start["ShardIterator"])["Records"]
    assert [len(record["Data"]) for record in records] == [1, 2 * MIB - 1]
    too_large = {"StreamARN": arn, "MaxRecordSizeInKiB": 10_241}
    assert refusal(lambda: kinesis.update_max_record_size(**too_large)) == "ValidationException"


@pytest.mark.parametrize("key", [str(2**128), "-1", "ten"])
def test_a_hash_key_out_of_range_is_refused(kinesis: Any, name: str, key: str) -> None:
    record = {"Data": b"x", "PartitionKey": "k", "ExplicitHashKey": key}
    assert refusal(lambda: kinesis.put_record(StreamName=name, **record)) == "InvalidArgumentException"
    assert refusal(lambda: kinesis.put_records(StreamName=name, Records=[record])) == "InvalidArgumentException"


def test_the_last_hash_key_is_taken(kinesis: Any, name: str) -> None:
    kinesis.put_record(StreamName=name, Data=b"x", PartitionKey="k", ExplicitHashKey=str(2**128 - 1))


def test_an_iterator_of_the_future_or_without_its_number_is_refused(kinesis: Any, name: str) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    for kind, options in (("AT_TIMESTAMP", {"Timestamp": later}), ("AT_SEQUENCE_NUMBER", {})):
        request = {"StreamName": name, "ShardId": SHARD, "ShardIteratorType": kind, **options}
        assert refusal(lambda request=request: kinesis.get_shard_iterator(**request)) == "InvalidArgumentException"  # type: ignore[misc] # bound at once


@pytest.mark.parametrize(
    ("operation", "hours"),
    [("increase", 8_761), ("increase", 23), ("increase", 47), ("decrease", 23), ("decrease", 49), ("decrease", 8_761)],
)
def test_a_retention_out_of_range_is_an_invalid_argument(kinesis: Any, name: str, operation: str, hours: int) -> None:
    kinesis.increase_stream_retention_period(StreamName=name, RetentionPeriodHours=48)
    change = getattr(kinesis, f"{operation}_stream_retention_period")
    assert refusal(lambda: change(StreamName=name, RetentionPeriodHours=hours)) == "InvalidArgumentException"
    kinesis.decrease_stream_retention_period(StreamName=name, RetentionPeriodHours=36)
    assert summary(kinesis, name)["RetentionPeriodHours"] == 36


def test_enhanced_monitoring_is_told(kinesis: Any, name: str) -> None:
    kinesis.enable_enhanced_monitoring(StreamName=name, ShardLevelMetrics=["IncomingBytes", "IncomingRecords"])
    kinesis.disable_enhanced_monitoring(StreamName=name, ShardLevelMetrics=["IncomingRecords"])
    assert summary(kinesis, name)["EnhancedMonitoring"] == [{"ShardLevelMetrics": ["IncomingBytes"]}]
    described = kinesis.describe_stream(StreamName=name)["StreamDescription"]
    assert described["EnhancedMonitoring"] == [{"ShardLevelMetrics": ["IncomingBytes"]}]


def test_what_the_emulator_does_of_itself_is_as_on_aws(kinesis: Any, name: str) -> None:
    """Kept here, so that another version of it is found out."""
    put = {"StreamName": name, "PartitionKey": "k"}
    last = kinesis.put_record(**put, Data=b"x")["SequenceNumber"]
    kinesis.put_record(**put, Data=b"", SequenceNumberForOrdering=last)
    kinesis.put_record(**put | {"PartitionKey": "\U0001f600" * 256}, Data=b"x")
    for refused in (
        lambda: kinesis.put_record(**put | {"PartitionKey": "k" * 257}, Data=b"x"),
        lambda: kinesis.put_records(StreamName=name, Records=[{"Data": b"x", "PartitionKey": "k"}] * 501),
    ):
        assert refusal(refused) == "ValidationException"
    begin = {"StreamName": name, "ShardIteratorType": "TRIM_HORIZON"}
    assert (
        refusal(lambda: kinesis.get_shard_iterator(**begin, ShardId=f"{SHARD[:-2]}99")) == "ResourceNotFoundException"
    )
    iterator = kinesis.get_shard_iterator(**begin, ShardId=SHARD)["ShardIterator"]
    assert [one["Data"] for one in kinesis.get_records(ShardIterator=iterator)["Records"]] == [b"x", b"", b"x"]
    kinesis.split_shard(StreamName=name, ShardToSplit=SHARD, NewStartingHashKey=str(2**127))
    described = kinesis.describe_stream(StreamName=name, Limit=1)["StreamDescription"]
    assert (len(described["Shards"]), described["HasMoreShards"]) == (1, True)
    listed = {one["StreamName"]: one["StreamStatus"] for one in kinesis.list_streams()["StreamSummaries"]}
    assert listed[name] == "ACTIVE"
    arn = summary(kinesis, name)["StreamARN"]
    assert json.loads(kinesis.get_resource_policy(ResourceARN=arn)["Policy"]) == {}


@pytest.mark.parametrize(("before", "after"), [(10, 13), (5, 3), (4, 3), (3, 5)])
def test_any_number_of_shards_divides_the_hash_keys_evenly(kinesis: Any, before: int, after: int) -> None:
    kinesis.create_stream(StreamName="rescaled", ShardCount=before)
    try:
        kinesis.update_shard_count(StreamName="rescaled", TargetShardCount=after, ScalingType="UNIFORM_SCALING")
        shards = kinesis.list_shards(StreamName="rescaled", ShardFilter={"Type": "AT_LATEST"})["Shards"]
        starts = sorted(int(shard["HashKeyRange"]["StartingHashKey"]) for shard in shards)
        assert starts == pytest.approx([2**128 * index // after for index in range(after)])
    finally:
        kinesis.delete_stream(StreamName="rescaled")


def test_the_stack_is_what_the_template_says(emulator: Emulator, deployment: Deployment) -> None:
    outputs = deployment.outputs
    described = summary(emulator.client("kinesis"), outputs["StreamName"])
    assert (described["EncryptionType"], described["KeyId"]) == ("KMS", "alias/aws/kinesis")
    backups = emulator.client("dynamodb").describe_continuous_backups(TableName=outputs["TableName"])
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    rules = emulator.client("s3").get_bucket_lifecycle_configuration(Bucket=outputs["ArchiveBucketName"])["Rules"]
    assert [(one["ID"], one["AbortIncompleteMultipartUpload"]) for one in rules[:1]] == [
        ("abandoned-uploads", {"DaysAfterInitiation": 1})
    ]


def test_a_templates_rule_of_lifecycle_in_the_words_of_the_api() -> None:
    rule = {
        "Status": "Enabled",
        "Prefix": "p/",
        "ExpirationInDays": "7",
        "NoncurrentVersionExpiration": {"NoncurrentDays": "2"},
    }
    assert lifecycle_rule(rule, "rule-0") == {
        "ID": "rule-0",
        "Status": "Enabled",
        "Filter": {"Prefix": "p/"},
        "Expiration": {"Days": 7},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 2},
    }


def test_a_stack_registers_a_consumer(emulator: Emulator, kinesis: Any, name: str, becomes: Becomes) -> None:
    arn, stacks = summary(kinesis, name)["StreamARN"], emulator.client("cloudformation")
    consumer = {"Type": "AWS::Kinesis::StreamConsumer", "Properties": {"ConsumerName": "fan", "StreamARN": arn}}
    document = {
        "Resources": {"Fan": consumer},
        "Outputs": {"Ref": {"Value": {"Ref": "Fan"}}, "Arn": {"Value": {"Fn::GetAtt": ["Fan", "ConsumerARN"]}}},
    }
    stacks.create_stack(StackName="fan", TemplateBody=json.dumps(document))
    assert becomes(lambda: stacks.describe_stacks(StackName="fan")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE")
    (one,) = kinesis.list_stream_consumers(StreamARN=arn)["Consumers"]
    outputs = stacks.describe_stacks(StackName="fan")["Stacks"][0]["Outputs"]
    assert {output["OutputValue"] for output in outputs} == {one["ConsumerARN"]}
    stacks.delete_stack(StackName="fan")
    assert becomes(lambda: kinesis.list_stream_consumers(StreamARN=arn)["Consumers"] == [])


def test_what_was_set_on_a_stream_outlives_its_platform(tmp_path: Path) -> None:
    with Emulator(0, tmp_path) as first:
        kinesis = first.client("kinesis")
        kinesis.create_stream(StreamName="kept", ShardCount=1)
        arn = summary(kinesis, "kept")["StreamARN"]
        allow = {"Effect": "Allow", "Principal": "*", "Action": ["kinesis:DescribeStream"], "Resource": arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        kinesis.put_resource_policy(ResourceARN=arn, Policy=policy)
        kinesis.enable_enhanced_monitoring(StreamName="kept", ShardLevelMetrics=["IncomingBytes"])
        kinesis.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=2048)
        kinesis.tag_resource(ResourceARN=arn, Tags={"a": "b"})
    with Emulator(0, tmp_path) as second:
        kinesis = second.client("kinesis")
        assert kinesis.get_resource_policy(ResourceARN=arn)["Policy"] == policy
        kept = summary(kinesis, "kept")
        assert kept["EnhancedMonitoring"] == [{"ShardLevelMetrics": ["IncomingBytes"]}]
        assert kept["MaxRecordSizeInKiB"] == 2048
        assert kinesis.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "a", "Value": "b"}]


def test_where_a_stream_puts_its_records_is_told_and_kept() -> None:
    stream: dict[str, Any] = {"StreamName": "s", "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s"}

    def resolve(_: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "s", stream

    calls = StreamCalls(resolve, {}, {})
    described = with_monitoring(
        lambda _: success({"StreamDescriptionSummary": {}}), resolve, "StreamDescriptionSummary"
    )

    def told() -> Any:
        return json.loads(described({})[2])["StreamDescriptionSummary"]["RecordDistributionStrategy"]

    def update(strategy: str) -> int:
        return calls.handlers["UpdateStreamRecordDistributionStrategy"]({"RecordDistributionStrategy": strategy})[0]

    assert told() == "USER_PARTITION_KEY"
    assert (update("AUTO"), update("SOMEHOW")) == (400, 400)
    stream["StreamModeDetails"] = {"StreamMode": "ON_DEMAND"}
    assert (update("AUTO"), told()) == (200, "AUTO")
    assert (update("USER_PARTITION_KEY"), told()) == (200, "USER_PARTITION_KEY")
