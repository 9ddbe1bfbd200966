"""docs/how-to/function.md works as printed: a consumer of the stream, in a process and as a Lambda function."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tree import ROOT
from tests.walkthrough import Command, Walkthrough, walkthrough
from tidemill_local.clients import EmulatorSession

if TYPE_CHECKING:
    from types_boto3_dynamodbstreams import DynamoDBStreamsClient

pytestmark = pytest.mark.timeout(300)

PAGE = ROOT / "docs/how-to/function.md"


@pytest.mark.slow
def test_the_page_works_as_printed(tmp_path: Path) -> None:
    with walkthrough(tmp_path) as reader:
        reader.read(PAGE.read_text())
        assert len(reader.ran) == 5
        assert changes_of_the_table(reader) == 1, "as the page's last part says"


def changes_of_the_table(reader: Walkthrough) -> int:
    """How many records the table's stream has of a request that is applied."""
    session = EmulatorSession(reader.environment["AWS_ENDPOINT_URL"], "test", "test")
    stack = session.client("cloudformation").describe_stacks(StackName="tidemill")["Stacks"][0]
    (table,) = (one["OutputValue"] for one in stack["Outputs"] if one["OutputKey"] == "TableName")
    described = session.client("dynamodb").update_table(
        TableName=table, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    )
    reader.run(Command("tidemill send content.view content/42", "…\naccepted\n"))
    streams: DynamoDBStreamsClient = session.client("dynamodbstreams")
    arn = described["TableDescription"]["LatestStreamArn"]
    found = 0
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        found += len(streams.get_records(ShardIterator=iterator)["Records"])
    return found
