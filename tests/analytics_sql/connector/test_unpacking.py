"""The connector reads and packs aggregates as the Python SDK does: one corpus, the same verdicts and records.

Only the connector's package `contract` is compiled, which needs no library; skipped where there is no Java compiler.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from random import Random

import pytest
from aws_kinesis_agg.aggregator import messages_pb2

from tests.fuzz.kpl import KEYS, mutants, sealed, sound
from tests.tree import ROOT
from tidemill.contract.aggregation import Aggregate, CorruptAggregate, UserRecord, pack, unpack
from tidemill.contract.lanes import hash_key, lane_of

SOURCES = ROOT / "analytics_sql" / "connector" / "src" / "main" / "java" / "tidemill" / "flink" / "contract"
SEED = 20261130
MUTANTS = 4_000

Ask = Callable[[Sequence[str]], list[str]]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Asks the connector line by line what it makes of aggregates."""
    if not shutil.which("javac"):
        pytest.skip("there is no javac: apt-get install openjdk-17-jdk-headless")
    classes = tmp_path_factory.mktemp("classes")
    subprocess.run(["javac", "-J-Xmx256m", "-d", classes, *sorted(SOURCES.glob("*.java"))], check=True, timeout=100)
    command = ["java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", str(classes), "tidemill.flink.contract.Verdicts"]

    def answer(lines: Sequence[str]) -> list[str]:
        asked = "".join(f"{line}\n" for line in lines)
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=100, check=True)
        return done.stdout.splitlines()

    return answer


def verdict(data: bytes) -> str:
    """What the SDK makes of it, as the connector would say it, without the reason."""
    try:
        return " ".join(map(shown, unpack(data)))
    except CorruptAggregate:
        return "refused"


def shown(record: UserRecord) -> str:
    hashed = "none" if record.hash_key is None else record.hash_key.encode().hex()
    return f"{record.key.encode().hex()}:{hashed}:{record.data.hex()}"


def test_the_same_aggregates_are_refused_and_the_same_records_read(ask: Ask) -> None:
    chance = Random(SEED)
    one = sound(chance)
    inner = messages_pb2.Record(partition_key_index=0, data=pack([UserRecord("inner", b"data")]))
    nested = sealed(messages_pb2.AggregatedRecord(partition_key_table=["a"], records=[inner]).SerializeToString())
    corpus = [*mutants(SEED, MUTANTS), *(sealed(sound(chance)) for _ in range(500)), nested, b"", sealed(b""), one]
    verdicts = ask([f"unpack {data.hex()}" for data in corpus])
    wanted = [verdict(data) for data in corpus]
    assert 1_000 < wanted.count("refused") < len(corpus) - 800
    differ = [
        (data.hex(), theirs, ours)
        for data, theirs, ours in zip(corpus, verdicts, wanted, strict=True)
        if (theirs if not theirs.startswith("refused ") else "refused") != ours
    ]
    assert differ == []


def test_it_packs_byte_for_byte_as_the_sdk(ask: Ask) -> None:
    chance = Random(SEED)
    asked, wanted = [], []
    for _ in range(300):
        aggregate, words = Aggregate(str(chance.getrandbits(128))), []
        for _ in range(chance.choice((1, 2, 20, 200))):
            key, data = (
                chance.choice(KEYS) + str(chance.randrange(300)),
                chance.randbytes(chance.choice((0, 1, 127, 300))),
            )
            aggregate.append(key, data, 2**31)
            words.append(f"{key.encode().hex()}:{data.hex()}")
        asked.append(f"pack {aggregate.hash_key} {' '.join(words)}")
        wanted.append(aggregate.pack().hex())
    assert ask(asked) == wanted


def test_a_key_has_the_same_lane(ask: Ask) -> None:
    keys = [*KEYS, *(f"content/{number}" for number in range(1_000))]
    asked = [f"lane {key.encode().hex()}" for key in keys]
    assert ask(asked) == [f"{lane_of(key)} {hash_key(lane_of(key))}" for key in keys]
