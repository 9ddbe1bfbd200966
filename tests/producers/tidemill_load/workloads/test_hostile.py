"""The hostile records are what their names say, as the contract sees them."""

from __future__ import annotations

import json

import pytest

from tidemill.contract import aggregation
from tidemill.contract.request import RefusedRequest, decode
from tidemill_load.workloads.hostile import HostileRecord, hostile_records

RECORDS = {record.name: record for record in hostile_records(seed=1)}


def test_every_way_to_be_hostile_is_there_once() -> None:
    assert len(RECORDS) == len(hostile_records(seed=1))
    assert {name for name, record in RECORDS.items() if record.fate == "accepted"} == {
        "object without a command",
        "quoted string",
        "plain text",
    }
    assert {name for name, record in RECORDS.items() if record.fate == "quarantined"} == {
        "truncated object",
        "unknown command",
        "not a number",
        "duplicate keys",
        "not UTF-8",
        "corrupt aggregate",
        "key and partition key disagree",
    }


def test_a_seed_means_the_same_records_and_another_one_other_ids() -> None:
    assert hostile_records(seed=1) == hostile_records(seed=1)
    keys = {record.partition_key for seed in range(5) for record in hostile_records(seed)}
    assert len(keys) == 5 * len(RECORDS)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("truncated object", "truncated"),
        ("not a number", "malformed"),
        ("duplicate keys", "twice"),
        ("not UTF-8", "malformed"),
        ("object without a command", "missing required"),
        ("quoted string", "str"),
        ("plain text", "malformed"),
    ],
)
def test_the_contract_refuses_what_is_no_request(name: str, reason: str) -> None:
    with pytest.raises(RefusedRequest, match=reason):
        decode(RECORDS[name].data)


def test_a_request_of_another_key_and_one_of_an_unknown_command_are_sound_requests() -> None:
    misrouted, unknown = RECORDS["key and partition key disagree"], RECORDS["unknown command"]

    assert decode(misrouted.data).key != misrouted.partition_key
    assert decode(misrouted.data).cmd == "content.view"
    assert decode(unknown.data).cmd == "content.explode"
    assert decode(unknown.data).key is None, "so that nothing but the command is wrong with it"


def test_only_the_text_that_is_not_utf_8_fails_to_decode_and_it_stays_on_its_line() -> None:
    def is_text(record: HostileRecord) -> bool:
        try:
            record.data.decode()
        except UnicodeDecodeError:
            return False
        return True

    assert {name for name, record in RECORDS.items() if not is_text(record)} == {
        "not UTF-8",
        "corrupt aggregate",
    }
    for seed in range(200):
        (record,) = (record for record in hostile_records(seed) if record.name == "not UTF-8")
        assert not is_text(record)
        assert b"\n" not in record.data


def test_the_corrupt_aggregate_shows_the_magic_and_does_not_verify() -> None:
    for seed in range(50):
        (record,) = (record for record in hostile_records(seed) if record.name == "corrupt aggregate")
        assert aggregation.is_aggregate(record.data)
        with pytest.raises(aggregation.CorruptAggregate):
            aggregation.unpack(record.data)


def test_what_is_accepted_is_json_without_a_command_or_text() -> None:
    assert "cmd" not in json.loads(RECORDS["object without a command"].data)
    assert isinstance(json.loads(RECORDS["quoted string"].data), str)
    assert RECORDS["plain text"].data.decode()
