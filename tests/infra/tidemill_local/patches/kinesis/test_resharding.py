"""Resharding: the shards alone, then what producers, readers and stacks see of it."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, TypeAlias

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from tidemill_local.emulator import Emulator
from tidemill_local.patches.kinesis import resharding, shard_listing, shard_state
from tidemill_local.patches.kinesis.api import Handler, Refused
from tidemill_local.patches.kinesis.shard_state import HASH_KEYS, ROUNDING

Stream: TypeAlias = dict[str, Any]
Operation: TypeAlias = tuple[str, int, int]

NOON = 1_764_000_000.0


def identifier(index: int) -> str:
    return f"shardId-{index:012d}"


class Local:
    """A stream as the emulator makes it, at a made-up time."""

    def __init__(self, shards: int) -> None:
        self.now = NOON
        self.next_sequence = shard_state.sequence_numbers(lambda: self.now)
        width = HASH_KEYS // shards  # not rounded as rescale does
        self.stream: Stream = {
            "StreamName": "s",
            "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
            "shards": {
                identifier(index): {
                    "records": [],
                    "starting_hash_key": str(index * width),
                    "ending_hash_key": str((index + 1) * width - 1 if index < shards - 1 else HASH_KEYS - 1),
                    "starting_sequence_number": self.next_sequence(),
                    "parent_shard_id": None,
                    "adjacent_parent_shard_id": None,
                }
                for index in range(shards)
            },
        }
        self.put_count = 0

    def shard(self, index: int) -> dict[str, Any]:
        shard: dict[str, Any] = self.stream["shards"][identifier(index)]
        return shard

    def put(self, hash_key: int) -> str:
        """Store a record as the emulator does; gives the shard's id."""
        self.put_count += 1
        shard_id = shard_state.route(hash_key, self.stream)
        record = {"SequenceNumber": self.next_sequence(), "PartitionKey": str(hash_key), "Data": str(self.put_count)}
        self.stream["shards"][shard_id]["records"].append(record)
        return shard_id

    def split(self, index: int, at: int) -> None:
        shard_state.split(self.stream, identifier(index), at, self.next_sequence)

    def merge(self, lower: int, upper: int) -> None:
        shard_state.merge(self.stream, identifier(lower), identifier(upper), self.next_sequence)

    def rescale(self, count: int) -> None:
        shard_state.rescale(self.stream, count, self.next_sequence)

    def open(self) -> list[str]:
        return shard_state.open_shards(self.stream)

    def parents(self, index: int) -> tuple[str | None, str | None]:
        return self.shard(index)["parent_shard_id"], self.shard(index)["adjacent_parent_shard_id"]


def hash_keys(shard: dict[str, Any]) -> tuple[int, int]:
    return int(shard["starting_hash_key"]), int(shard["ending_hash_key"])


def test_a_split_closes_the_parent_and_leaves_its_records() -> None:
    local = Local(1)
    local.put(7)
    local.split(0, 1_000)
    assert [record["PartitionKey"] for record in local.shard(0)["records"]] == ["7"]
    assert local.open() == [identifier(1), identifier(2)]
    assert [hash_keys(local.shard(1)), hash_keys(local.shard(2))] == [(0, 999), (1_000, HASH_KEYS - 1)]
    assert local.parents(1) == local.parents(2) == (identifier(0), None)


def test_a_merge_closes_both_parents_and_leaves_their_records() -> None:
    local = Local(2)
    local.put(7)
    local.put(HASH_KEYS - 1)
    local.merge(0, 1)
    assert [len(local.shard(index)["records"]) for index in (0, 1, 2)] == [1, 1, 0]
    assert local.open() == [identifier(2)]
    assert hash_keys(local.shard(2)) == (0, HASH_KEYS - 1)
    assert local.parents(2) == (identifier(0), identifier(1))


def test_records_go_to_the_open_shard_of_their_hash_key() -> None:
    local = Local(2)
    local.split(0, 1_000)
    assert [local.put(key) for key in (0, 999, 1_000, HASH_KEYS // 2, HASH_KEYS - 1)] == [
        identifier(index) for index in (2, 2, 3, 1, 1)
    ]


def test_sequence_numbers_tell_parents_from_children() -> None:
    local = Local(1)
    local.put(7)
    local.split(0, 1_000)
    local.put(7)
    parent, child = local.shard(0), local.shard(1)
    numbers = [
        parent["starting_sequence_number"],
        parent["records"][0]["SequenceNumber"],
        parent["ending_sequence_number"],
        child["starting_sequence_number"],
        child["records"][0]["SequenceNumber"],
    ]
    assert numbers == sorted(set(numbers))


def test_sequence_numbers_rise_though_the_clock_steps_back() -> None:
    local = Local(1)
    before = local.next_sequence()
    local.now -= 3_600
    assert local.next_sequence() > before


def test_a_count_that_does_not_divide_is_reached_as_aws_reaches_it() -> None:
    local = Local(4)
    local.rescale(3)
    assert local.open() == [identifier(6), identifier(9), identifier(10)]
    assert [local.parents(index) for index in range(4, 11)] == [
        (identifier(1), None),
        (identifier(1), None),
        (identifier(0), identifier(4)),
        (identifier(2), None),
        (identifier(2), None),
        (identifier(5), identifier(7)),
        (identifier(8), identifier(3)),
    ]


@pytest.mark.parametrize(
    ("before", "after", "in_all"),
    [(1, 2, 3), (2, 4, 6), (3, 6, 9), (7, 14, 21), (4, 2, 6), (14, 7, 21), (4, 5, 15), (2, 3, 7), (5, 5, 5)],
)
def test_no_more_shards_are_made_than_it_takes(before: int, after: int, in_all: int) -> None:
    local = Local(before)
    local.rescale(after)
    assert (len(local.open()), len(local.stream["shards"])) == (after, in_all)


@pytest.mark.parametrize(
    ("before", "after", "left", "in_all"),
    [
        # Each boundary splits one shard, and what lies between two boundaries is merged, two shards at a time.
        (10, 13, [10, 14, 17, 20, 21, 25, 28, 31, 32, 36, 39, 42, 41], 10 + 12 * 2 + 9),
        (5, 3, [7, 11, 12], 5 + 2 * 2 + 4),
    ],
)
def test_a_count_that_does_not_divide_leaves_even_shards(before: int, after: int, left: list[int], in_all: int) -> None:
    local = Local(before)
    local.rescale(after)
    assert local.open() == [identifier(index) for index in left]
    ends = [HASH_KEYS * index // after for index in range(after + 1)]
    assert [hash_keys(shard) for shard in opened(local)] == [(low, high - 1) for low, high in pairwise(ends)]
    shards = local.stream["shards"]
    assert len(shards) == in_all
    for shard in shards.values():  # a parent closes before its children open, and each shard is closed once
        for parent in filter(None, (shard["parent_shard_id"], shard["adjacent_parent_shard_id"])):
            assert shards[parent]["ending_sequence_number"] < shard["starting_sequence_number"]
            assert shards[parent]["starting_sequence_number"] < shards[parent]["ending_sequence_number"]
    assert sorted(index for index in shards if shard_state.is_open(shards[index])) == sorted(local.open())


def test_the_most_and_the_fewest_shards_that_one_call_leaves() -> None:
    for before, after in ((5, 10), (5, 3), (10, 5), (5_001, 10_000)):
        assert resharding.check_rescale(Local(before).stream, after) == before
    for before, after, why in (
        (5, 11, "over double"),
        (5, 2, "below half"),
        (5_001, 10_001, "cannot scale to more than 10000 shards"),
    ):
        with pytest.raises(Refused, match=why) as refused:
            resharding.check_rescale(Local(before).stream, after)
        assert refused.value.code == "LimitExceededException"


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, HASH_KEYS - 1), st.just(0)),
        st.tuples(st.just("split"), st.integers(0, 20), st.integers(0, HASH_KEYS - 1)),
        st.tuples(st.just("merge"), st.integers(0, 20), st.just(0)),
        st.tuples(st.just("rescale"), st.integers(1, 12), st.just(0)),
    ),
    max_size=30,
)


def apply(local: Local, operation: Operation) -> None:
    """Do it, unless AWS would refuse to."""
    name, number, at = operation
    shards = local.open()
    nth = number % len(shards)
    match name:
        case "put":
            local.put(number)
        case "split":
            resharding.check_split(local.stream, shards[nth], at)
            shard_state.split(local.stream, shards[nth], at, local.next_sequence)
        case "merge":
            lower, upper = shards[nth], shards[(nth + 1) % len(shards)]
            resharding.check_merge(local.stream, lower, upper)
            shard_state.merge(local.stream, lower, upper, local.next_sequence)
        case _:
            resharding.check_rescale(local.stream, number)
            local.rescale(number)
            widths = [high - low for low, high in map(hash_keys, opened(local))]
            assert len(widths) == number
            assert max(widths) - min(widths) <= 2 * ROUNDING


def opened(local: Local) -> list[dict[str, Any]]:
    return [local.stream["shards"][shard_id] for shard_id in local.open()]


@settings(deadline=None)
@given(st.integers(1, 8), OPERATIONS)
def test_whatever_is_done_nothing_is_lost(shards: int, operations: list[Operation]) -> None:
    local = Local(shards)
    for operation in operations:
        try:
            apply(local, operation)
        except Refused:
            continue
        ends = [-1, *(end for shard in opened(local) for end in hash_keys(shard)), HASH_KEYS]
        assert all(high + 1 == low for high, low in zip(ends[::2], ends[1::2], strict=True))
    for shard_id, shard in local.stream["shards"].items():
        check_lineage(local.stream["shards"], shard_id, shard)
    # Parents first is by id: every record once, and those of a key in the order in which they were put.
    read = [record for _, shard in sorted(local.stream["shards"].items()) for record in shard["records"]]
    assert sorted(int(record["Data"]) for record in read) == list(range(1, local.put_count + 1))
    by_key: dict[str, list[str]] = defaultdict(list)
    for record in read:
        by_key[record["PartitionKey"]].append(record["SequenceNumber"])
    assert all(numbers == sorted(numbers) for numbers in by_key.values())


def check_lineage(shards: dict[str, dict[str, Any]], shard_id: str, shard: dict[str, Any]) -> None:
    parents = [shards[p] for p in (shard["parent_shard_id"], shard["adjacent_parent_shard_id"]) if p]
    for parent in parents:
        assert parent["ending_sequence_number"] < shard["starting_sequence_number"]
    low, high = hash_keys(shard)
    if len(parents) == 2:
        assert (hash_keys(parents[0])[0], hash_keys(parents[1])[1]) == (low, high)
    elif parents:
        assert hash_keys(parents[0])[0] <= low <= high <= hash_keys(parents[0])[1]
    children = [
        child for child in shards.values() if shard_id in (child["parent_shard_id"], child["adjacent_parent_shard_id"])
    ]
    assert bool(children) != shard_state.is_open(shard)
    assert all(int(r["SequenceNumber"]) <= int(shard.get("ending_sequence_number", "9" * 30)) for r in shard["records"])


def test_children_are_told_with_all_their_parents() -> None:
    local = Local(2)
    local.merge(0, 1)
    whole = {"StartingHashKey": "0", "EndingHashKey": str(HASH_KEYS - 1)}
    child = {"ShardId": identifier(2), "ParentShards": [identifier(0), identifier(1)], "HashKeyRange": whole}
    assert shard_state.children(local.stream, identifier(1)) == [child]
    assert shard_state.children(local.stream, identifier(2)) == []


def test_a_closed_shard_expires_with_its_records_and_its_children_still_name_it() -> None:
    local = Local(1)
    local.put(7)
    local.now += 60
    local.split(0, 1_000)
    shard_state.forget_expired(local.stream, NOON + 61)
    assert identifier(0) in local.stream["shards"]  # it has a record
    local.shard(0)["records"].clear()
    shard_state.forget_expired(local.stream, NOON + 60)
    assert identifier(0) in local.stream["shards"]
    shard_state.forget_expired(local.stream, NOON + 61)
    assert sorted(local.stream["shards"]) == [identifier(1), identifier(2)]
    assert local.parents(1) == (identifier(0), None)


def halved_twice() -> Local:
    """One shard, halved a minute later, and its lower half once more after another minute."""
    local = Local(1)
    local.now += 60
    local.split(0, HASH_KEYS // 2)
    local.now += 60
    local.split(1, HASH_KEYS // 4)
    return local


@pytest.mark.parametrize(
    ("shard_filter", "indexes"),
    [
        ({"Type": "FROM_TRIM_HORIZON"}, {0, 1, 2, 3, 4}),
        ({"Type": "AT_TRIM_HORIZON"}, {0}),
        ({"Type": "AT_LATEST"}, {2, 3, 4}),
        ({"Type": "AFTER_SHARD_ID", "ShardId": identifier(2)}, {3, 4}),
        ({"Type": "AT_TIMESTAMP", "Timestamp": NOON + 59}, {0}),
        ({"Type": "AT_TIMESTAMP", "Timestamp": NOON + 61}, {1, 2}),
        ({"Type": "AT_TIMESTAMP", "Timestamp": NOON + 121}, {2, 3, 4}),
        ({"Type": "FROM_TIMESTAMP", "Timestamp": NOON - 1}, {0, 1, 2, 3, 4}),
        ({"Type": "FROM_TIMESTAMP", "Timestamp": NOON + 61}, {1, 2, 3, 4}),
        ({"Type": "FROM_TIMESTAMP", "Timestamp": NOON + 121}, {2, 3, 4}),
    ],
)
def test_a_filter_lets_through_what_it_says(shard_filter: dict[str, Any], indexes: set[int]) -> None:
    assert shard_listing.selected(halved_twice().stream, shard_filter) == set(map(identifier, indexes))


def test_at_the_trim_horizon_moves_on_as_shards_expire() -> None:
    local = halved_twice()
    shard_state.forget_expired(local.stream, NOON + 61)
    assert shard_listing.selected(local.stream, {"Type": "AT_TRIM_HORIZON"}) == {identifier(1), identifier(2)}


@pytest.mark.parametrize(
    ("shard_filter", "code"),
    [
        ({"Type": "AFTER_SHARD_ID"}, "InvalidArgumentException"),
        ({"Type": "AT_TIMESTAMP"}, "InvalidArgumentException"),
        ({"Type": "FROM_TIMESTAMP"}, "InvalidArgumentException"),
        ({"Type": "AT_NOON"}, "ValidationException"),
        ({"ShardId": identifier(0)}, "ValidationException"),
    ],
)
def test_a_filter_that_is_none_is_refused(shard_filter: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) as refused:
        shard_listing.selected(Local(1).stream, shard_filter)
    assert refused.value.code == code


def lister(local: Local, expire: Callable[[Stream], None] = lambda _: None, now: list[float] | None = None) -> Handler:
    def resolve(request: dict[str, Any]) -> tuple[str, Stream | None]:
        named = request.get("StreamName") == "s" or request.get("StreamARN") == local.stream["StreamARN"]
        return "s", local.stream if named else None

    times = now or [NOON]
    return shard_listing.shard_lister(resolve, expire, lambda shard_id, _: {"ShardId": shard_id}, lambda: times[-1])


def listed(list_shards: Handler, **request: Any) -> Any:
    """The shards' numbers and the next page's token, or the code of the refusal."""
    status, _, body = list_shards(request)
    answer = json.loads(body)
    if status != 200:
        return answer["__type"]
    return [int(shard["ShardId"][-3:]) for shard in answer["Shards"]], answer.get("NextToken")


def test_pages_go_by_their_token_alone() -> None:
    times = [NOON]
    list_shards = lister(halved_twice(), now=times)
    first, token = listed(list_shards, StreamName="s", MaxResults=2)
    second, last = listed(list_shards, NextToken=token, MaxResults=2)
    third, none = listed(list_shards, NextToken=last)
    assert (first + second + third, none) == ([0, 1, 2, 3, 4], None)
    for other in ({"StreamName": "s"}, {"StreamARN": "arn"}, {"ExclusiveStartShardId": identifier(0)}):
        assert listed(list_shards, NextToken=token, **other) == "InvalidArgumentException"
    assert listed(list_shards, NextToken="rubbish") == "InvalidArgumentException"
    assert listed(list_shards, StreamName="s", MaxResults=0) == "ValidationException"
    assert listed(list_shards, StreamName="t") == "ResourceNotFoundException"
    times.append(NOON + 301)
    assert listed(list_shards, NextToken=token) == "ExpiredNextTokenException"


def test_pages_are_of_what_the_filter_lets_through() -> None:
    local = halved_twice()
    list_shards = lister(local)
    open_ones, token = listed(list_shards, StreamName="s", MaxResults=2, ShardFilter={"Type": "AT_LATEST"})
    rest, none = listed(list_shards, NextToken=token)
    assert (len(open_ones), len(rest), none) == (2, 1, None)
    assert sorted(map(identifier, open_ones + rest)) == sorted(shard_state.open_shards(local.stream))


def test_what_has_expired_is_not_listed() -> None:
    local = halved_twice()

    list_shards = lister(local, lambda stream: shard_state.forget_expired(stream, NOON + 61))
    answer = json.loads(list_shards({"StreamName": "s"})[2])
    assert [shard["ShardId"] for shard in answer["Shards"]] == list(map(identifier, (1, 2, 3, 4)))


def handlers(local: Local) -> dict[str, Handler]:
    def resolve(request: dict[str, Any]) -> tuple[str, Stream | None]:
        return request["StreamName"], local.stream if request["StreamName"] == "s" else None

    names = ("SplitShard", "MergeShards", "UpdateShardCount")
    return dict(zip(names, resharding.reshard_handlers(resolve, local.next_sequence), strict=True))


@pytest.mark.parametrize(
    ("action", "request_", "code", "message"),
    [
        ("SplitShard", {"StreamName": "t"}, "ResourceNotFoundException", "Stream t not found"),
        ("SplitShard", {"ShardToSplit": identifier(9)}, "ResourceNotFoundException", "Could not find shard"),
        ("SplitShard", {"ShardToSplit": identifier(0)}, "InvalidArgumentException", "has already been merged or split"),
        ("SplitShard", {"NewStartingHashKey": "0"}, "InvalidArgumentException", "is not both greater than one plus"),
        ("SplitShard", {"NewStartingHashKey": "1"}, "InvalidArgumentException", "is not both greater than one plus"),
        (
            "SplitShard",
            {"NewStartingHashKey": "999"},
            "InvalidArgumentException",
            "less than the shard's EndingHashKey",
        ),
        ("SplitShard", {"NewStartingHashKey": str(HASH_KEYS)}, "InvalidArgumentException", "NewStartingHashKey"),
        ("SplitShard", {"NewStartingHashKey": "-5"}, "ValidationException", "at 'newStartingHashKey'"),
        ("MergeShards", {"StreamName": "t"}, "ResourceNotFoundException", "Stream t not found"),
        ("MergeShards", {"ShardToMerge": identifier(9)}, "ResourceNotFoundException", "Could not find shard"),
        ("MergeShards", {"AdjacentShardToMerge": identifier(9)}, "ResourceNotFoundException", "Could not find shard"),
        ("MergeShards", {"ShardToMerge": identifier(0)}, "InvalidArgumentException", "has already been merged"),
        ("MergeShards", {"AdjacentShardToMerge": identifier(2)}, "InvalidArgumentException", "not an adjacent pair"),
        (
            "MergeShards",  # the right pair the wrong way round
            {"ShardToMerge": identifier(5), "AdjacentShardToMerge": identifier(3)},
            "InvalidArgumentException",
            "not an adjacent pair",
        ),
        ("UpdateShardCount", {"StreamName": "t"}, "ResourceNotFoundException", "Stream t not found"),
        ("UpdateShardCount", {"TargetShardCount": 0}, "ValidationException", "greater than or equal to 1"),
        ("UpdateShardCount", {"ScalingType": "OTHER"}, "ValidationException", "at 'scalingType'"),
        (
            "UpdateShardCount",
            {"TargetShardCount": 7},
            "LimitExceededException",
            "scale up over double your current open shard count. Current open shard count: 3 Target shard count: 7",
        ),
        (
            "UpdateShardCount",
            {"TargetShardCount": 1},
            "LimitExceededException",
            "scale down below half your current open shard count. Current open shard count: 3 Target shard count: 1",
        ),
    ],
)
def test_what_aws_refuses_is_refused_and_changes_nothing(
    action: str, request_: dict[str, Any], code: str, message: str
) -> None:
    local = Local(3)
    local.split(0, 1_000)  # 0 is closed; open are 3 (to 999), 4, 1, 2
    local.merge(4, 1)  # open are 3, 5, 2
    requests: dict[str, dict[str, Any]] = {
        "SplitShard": {"ShardToSplit": identifier(3), "NewStartingHashKey": "500"},
        "MergeShards": {"ShardToMerge": identifier(3), "AdjacentShardToMerge": identifier(5)},
        "UpdateShardCount": {"TargetShardCount": 6, "ScalingType": "UNIFORM_SCALING"},
    }
    valid = {"StreamName": "s", **requests[action]}
    before = json.dumps(local.stream["shards"])
    status, headers, body = handlers(local)[action]({**valid, **request_})
    answer = json.loads(body)
    assert (status, answer["__type"], headers["x-amzn-errortype"]) == (400, code, code)
    assert message in answer["message"]
    assert json.dumps(local.stream["shards"]) == before
    assert handlers(local)[action](valid)[0] == 200


def test_only_provisioned_streams_are_resharded() -> None:
    local = Local(2)
    local.stream["StreamModeDetails"] = {"StreamMode": "ON_DEMAND"}
    request = {
        "StreamName": "s",
        "ShardToSplit": identifier(0),
        "NewStartingHashKey": "500",
        "ShardToMerge": identifier(0),
        "AdjacentShardToMerge": identifier(1),
        "TargetShardCount": 4,
        "ScalingType": "UNIFORM_SCALING",
    }
    answers = [json.loads(handle(request)[2]) for handle in handlers(local).values()]
    assert [answer["__type"] for answer in answers] == ["ValidationException"] * 3


class Stack:
    """CloudFormation's update of the stream, which only notes that it was called."""

    def __init__(self, shards: int) -> None:
        self.local = Local(shards)
        self.updates = 0
        self.update = resharding.with_shard_count(
            self._update, lambda request: (request["StreamName"], self.local.stream), self.local.next_sequence
        )

    def _update(self, *_: object) -> str:
        self.updates += 1
        return "updated"


def test_a_stack_follows_a_changed_shard_count_and_no_other_change() -> None:
    stack = Stack(1)
    stack.local.split(0, 1_000)
    assert stack.update("s", {"ShardCount": 2}, {"ShardCount": "2", "RetentionPeriodHours": 48}, "stack") == "updated"
    assert len(stack.local.stream["shards"]) == 3
    stack.update("s", {"ShardCount": 2}, {"ShardCount": "4"}, "stack")
    assert len(stack.local.open()) == 4
    stack.update("s", {"ShardCount": 4}, {"ShardCount": 8, "Name": "another"}, "stack")
    assert len(stack.local.open()) == 4
    assert stack.updates == 3


def test_a_stack_that_asks_for_too_many_shards_changes_nothing() -> None:
    stack = Stack(2)
    with pytest.raises(Refused, match="Target shard count: 5"):
        stack.update("s", {"ShardCount": 2}, {"ShardCount": 5}, "stack")
    assert (stack.updates, len(stack.local.stream["shards"])) == (0, 2)


# With the emulator


@pytest.fixture
def kinesis(emulator: Emulator) -> Any:
    return emulator.client("kinesis")


@pytest.fixture
def stream(kinesis: Any, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a stream of one shard."""
    name: str = request.node.name
    kinesis.create_stream(StreamName=name, ShardCount=1)
    yield name
    kinesis.delete_stream(StreamName=name)


def put(kinesis: Any, stream: str, round_: int) -> None:
    records = [{"PartitionKey": f"key-{number}", "Data": b"%d" % round_} for number in range(50)]
    results = kinesis.put_records(StreamName=stream, Records=records)["Records"]
    assert {result["ShardId"] for result in results} <= set(open_ids(kinesis, stream))


def shards(kinesis: Any, stream: str, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kinesis.list_shards(StreamName=stream, **options)["Shards"]
    return found


def open_ids(kinesis: Any, stream: str) -> list[str]:
    return [shard["ShardId"] for shard in shards(kinesis, stream, ShardFilter={"Type": "AT_LATEST"})]


def read(kinesis: Any, stream: str, shard_id: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """All that is in a shard, and the last answer."""
    iterator = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON")
    answer = kinesis.get_records(ShardIterator=iterator["ShardIterator"])
    assert answer["MillisBehindLatest"] == 0
    return answer["Records"], answer


def test_every_record_is_read_once_and_in_order_whatever_the_shards_became(kinesis: Any, stream: str) -> None:
    put(kinesis, stream, 0)
    kinesis.split_shard(StreamName=stream, ShardToSplit=identifier(0), NewStartingHashKey=str(HASH_KEYS // 3))
    put(kinesis, stream, 1)
    kinesis.merge_shards(StreamName=stream, ShardToMerge=identifier(1), AdjacentShardToMerge=identifier(2))
    put(kinesis, stream, 2)
    counts = [2, 3, 6, 4, 2]
    for round_, count in enumerate(counts, 3):
        kinesis.update_shard_count(StreamName=stream, TargetShardCount=count, ScalingType="UNIFORM_SCALING")
        assert len(open_ids(kinesis, stream)) == count
        put(kinesis, stream, round_)

    rounds: dict[str, list[int]] = defaultdict(list)
    numbers: dict[str, list[str]] = defaultdict(list)
    for shard in shards(kinesis, stream):  # parents stand before their children
        for record in read(kinesis, stream, shard["ShardId"])[0]:
            rounds[record["PartitionKey"]].append(int(record["Data"]))
            numbers[record["PartitionKey"]].append(record["SequenceNumber"])
    assert len(rounds) == 50
    assert all(seen == list(range(3 + len(counts))) for seen in rounds.values())
    assert all(first < second for seen in numbers.values() for first, second in pairwise(seen))


def test_a_reader_is_led_from_a_closed_shard_to_its_children(kinesis: Any, stream: str) -> None:
    put(kinesis, stream, 0)
    latest = kinesis.get_shard_iterator(StreamName=stream, ShardId=identifier(0), ShardIteratorType="LATEST")
    kinesis.split_shard(StreamName=stream, ShardToSplit=identifier(0), NewStartingHashKey="1000")
    records, end = read(kinesis, stream, identifier(0))
    assert len(records) == 50
    assert "NextShardIterator" not in end
    assert end["ChildShards"] == [
        {
            "ShardId": identifier(index),
            "ParentShards": [identifier(0)],
            "HashKeyRange": {"StartingHashKey": low, "EndingHashKey": high},
        }
        for index, low, high in ((1, "0", "999"), (2, "1000", str(HASH_KEYS - 1)))
    ]
    drained = kinesis.get_records(ShardIterator=latest["ShardIterator"])
    assert (drained["Records"], drained["ChildShards"]) == ([], end["ChildShards"])
    _, tip = read(kinesis, stream, identifier(1))
    assert "ChildShards" not in tip
    assert tip["NextShardIterator"]


def test_the_end_of_a_closed_shard_is_described(kinesis: Any, stream: str) -> None:
    put(kinesis, stream, 0)
    kinesis.split_shard(StreamName=stream, ShardToSplit=identifier(0), NewStartingHashKey="1000")
    last = read(kinesis, stream, identifier(0))[0][-1]["SequenceNumber"]
    described = kinesis.describe_stream(StreamName=stream)["StreamDescription"]["Shards"]
    assert described == shards(kinesis, stream)
    parent, *children = described
    assert parent["SequenceNumberRange"]["EndingSequenceNumber"] > last
    for child in children:
        assert child["ParentShardId"] == identifier(0)
        assert list(child["SequenceNumberRange"]) == ["StartingSequenceNumber"]
    summary = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    assert summary["OpenShardCount"] == 2


def test_the_shard_count_is_updated_as_aws_answers(kinesis: Any, stream: str) -> None:
    answer = kinesis.update_shard_count(StreamName=stream, TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    described = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    del answer["ResponseMetadata"]
    assert answer == {
        "StreamName": stream,
        "StreamARN": described["StreamARN"],
        "CurrentShardCount": 1,
        "TargetShardCount": 2,
    }
    with pytest.raises(ClientError, match="has already been merged or split"):
        kinesis.split_shard(StreamName=stream, ShardToSplit=identifier(0), NewStartingHashKey="1000")


def test_shards_are_listed_in_pages_and_filtered_by_time(kinesis: Any, stream: str) -> None:
    kinesis.split_shard(StreamName=stream, ShardToSplit=identifier(0), NewStartingHashKey="1000")
    first = kinesis.list_shards(StreamName=stream, MaxResults=2)
    second = kinesis.list_shards(NextToken=first["NextToken"])
    assert [[shard["ShardId"] for shard in page["Shards"]] for page in (first, second)] == [
        [identifier(0), identifier(1)],
        [identifier(2)],
    ]
    from_then = shards(kinesis, stream, ShardFilter={"Type": "FROM_TIMESTAMP", "Timestamp": 4_000_000_000})
    assert [shard["ShardId"] for shard in from_then] == [identifier(1), identifier(2)]


def template(shard_count: int) -> str:
    stream = {"Type": "AWS::Kinesis::Stream", "Properties": {"Name": "of-a-stack", "ShardCount": shard_count}}
    return json.dumps({"Resources": {"Requests": stream}})


def test_a_stack_reshards_its_stream(
    emulator: Emulator, kinesis: Any, becomes: Callable[[Callable[[], bool]], bool]
) -> None:
    stacks = emulator.client("cloudformation")

    def reached(status: str) -> bool:
        return becomes(lambda: stacks.describe_stacks(StackName="sharded")["Stacks"][0]["StackStatus"] == status)

    stacks.create_stack(StackName="sharded", TemplateBody=template(2))
    assert reached("CREATE_COMPLETE")
    put(kinesis, "of-a-stack", 0)
    stacks.update_stack(StackName="sharded", TemplateBody=template(3))
    assert reached("UPDATE_COMPLETE")
    assert len(open_ids(kinesis, "of-a-stack")) == 3
    kept = [read(kinesis, "of-a-stack", identifier(index))[0] for index in (0, 1)]
    assert sum(map(len, kept)) == 50
    stacks.update_stack(StackName="sharded", TemplateBody=template(7))
    assert reached("UPDATE_ROLLBACK_COMPLETE")
    assert len(open_ids(kinesis, "of-a-stack")) == 3
    events = stacks.describe_stack_events(StackName="sharded")["StackEvents"]
    assert any("cannot scale up over double" in event.get("ResourceStatusReason", "") for event in events)
    stacks.delete_stack(StackName="sharded")
