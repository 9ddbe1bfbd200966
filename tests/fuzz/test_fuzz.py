"""Some mutants with every test run; `make fuzz` has a million."""

from random import Random

import pytest

from tests.fuzz.kpl import Wrong, check, is_read, mutants, sealed, sound
from tidemill.contract import aggregation
from tidemill.contract.aggregation import CorruptAggregate, reading


@pytest.mark.parametrize("seed", range(50))
def test_what_any_writer_writes_is_read(seed: int) -> None:
    assert is_read(sealed(sound(Random(seed))))


def test_damaged_aggregates_are_refused_or_read_whole() -> None:
    count = check(5_000, seed=1)
    assert 200 < count.read < 4_500


def test_a_seed_is_the_same_run_each_time() -> None:
    assert list(mutants(7, 50)) == list(mutants(7, 50))


@pytest.mark.parametrize(
    "sloppy",
    [
        pytest.param(lambda data: _last_missing(data), id="a record is missing"),
        pytest.param(
            lambda data: list(map(aggregation.UserRecord, *reading._read(data[4:-16]))),
            id="the MD5 is not looked at",
        ),
    ],
)
def test_it_would_notice(sloppy: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.kpl.unpack", sloppy)
    with pytest.raises(Wrong):
        check(5_000, seed=1)


def test_a_crash_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.kpl.unpack", lambda data: data[10**6])
    with pytest.raises(Wrong, match="IndexError"):
        is_read(sealed(b"\x0a\x01a"))


def _last_missing(data: bytes) -> list[aggregation.UserRecord]:
    records = aggregation.unpack(data)
    if len(records) == 1:
        raise CorruptAggregate
    return records[:-1]
