"""The modules that decide, and for each the tests that must notice a change of it, the quickest first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_CORE = "consumers/tidemill_consumers/core"
_SOURCE = "consumers/tidemill_event_source"
_SEQUENCING = (
    *(f"tests/{_SOURCE}/decisions/test_{name}.py" for name in ("batch_buffer", "waking", "sequencer", "shard")),
    f"tests/{_SOURCE}/test_validated_cases.py",
)
_SCHEDULER = ("tests/producers/tidemill/sending/test_scheduler.py", "tests/producers/tidemill/sending/test_marks.py")
_PLANNING = tuple(f"tests/{_CORE}/{name}" for name in ("test_order.py", "test_room.py", "test_plan.py"))

_MODULES: dict[str, tuple[str, ...]] = {
    "producers/tidemill": ("errors",),
    "producers/tidemill/aws": ("answer_date",),
    "producers/tidemill/contract": ("attempts", "lanes", "request", "signature", "validation"),
    "producers/tidemill/contract/aggregation": ("protobuf", "reading", "writing"),
    "producers/tidemill/delivery": ("put_records",),
    "producers/tidemill/runtime": ("trouble",),
    "producers/tidemill/sending": (
        *("answers", "backoff", "calls", "endpoint", "giving_up", "lane", "records", "scheduler"),
        *("stream_clock", "tally", "writer"),
    ),
    "producers/tidemill/sending/pacing": ("bucket", "by_shard", "evidence", "pace"),
    "producers/tidemill/spool": ("frames",),
    "producers/tidemill_load/cost_model": ("batching",),
    "infra/tidemill_local/firehose": (
        "buffering",
        "delivery_stream",
        "object_writer",
        "positions",
        "shards",
        "troubles",
    ),
    "infra/tidemill_local/watching": ("alarm", "datapoints", "evaluation", "expressions"),
    f"{_SOURCE}/decisions": (
        *("attempts", "batch_buffer", "batches", "checkpoint", "config", "failures", "pattern", "records"),
        *("sequencer", "shard", "tumbling_windows"),
    ),
}
"""By folder; each has the test of its name, if there is one. The whole core is judged besides."""

_BESIDE: dict[str, tuple[str, ...]] = {
    "alarm": ("tests/infra/tidemill_local/watching/test_evaluation.py",),
    "answers": ("tests/producers/tidemill/delivery/test_put_records.py",),
    **dict.fromkeys(
        ("buffering", "object_writer", "positions", "shards", "troubles"),
        ("tests/infra/tidemill_local/firehose/test_delivery_stream.py",),
    ),
    "batching": ("tests/producers/tidemill_load/cost_model/test_model.py",),
    "attempts": _SEQUENCING,
    "batch_buffer": _SEQUENCING,
    "batches": tuple(
        f"tests/{_SOURCE}/decisions/test_{name}.py" for name in ("batch_buffer", "waking", "sequencer", "records")
    ),
    "checkpoint": (f"tests/{_SOURCE}/decisions/test_shard.py", f"tests/{_SOURCE}/decisions/test_sequencer.py"),
    **dict.fromkeys(
        ("protobuf", "reading", "writing"),
        ("tests/producers/tidemill/contract/test_aggregation.py", "tests/fuzz/test_fuzz.py"),
    ),
    **dict.fromkeys(("backoff", "calls", "endpoint", "giving_up", "lane", "tally"), _SCHEDULER),
    **dict.fromkeys(("bucket", "evidence"), ("tests/producers/tidemill/sending/pacing/test_pace.py",)),
    "pace": ("tests/producers/tidemill/sending/pacing/test_by_shard.py",),
    "failures": (
        *(f"tests/{_SOURCE}/decisions/test_{name}.py" for name in ("batches", "sequencer")),
        f"tests/{_SOURCE}/test_validated_cases.py",
    ),
    "put_records": (
        *(f"tests/producers/tidemill/delivery/test_{name}.py" for name in ("refusal", "look", "wire_marks")),
        "tests/producers/tidemill/test_producer.py",
    ),
    "sequencer": _SEQUENCING,
    "tumbling_windows": _SEQUENCING,
    "records": (
        *(f"tests/{_SOURCE}/{name}.py" for name in ("decisions/test_shard", "test_validated_cases")),
        *_SCHEDULER,
    ),
    "scheduler": _SCHEDULER,
    "shard": (f"tests/{_SOURCE}/decisions/test_sequencer.py", f"tests/{_SOURCE}/test_validated_cases.py"),
    "trust": (f"tests/{_CORE}/test_original_signature.py",),
    "writer": ("tests/producers/tidemill/contract/test_validation.py",),
}
"""What else notices a change of a module, by its name."""


def _tests(path: Path) -> tuple[str, ...]:
    own = Path("tests") / path.relative_to(ROOT).with_name(f"test_{path.name}")
    return tuple(dict.fromkeys((*((str(own),) if (ROOT / own).exists() else ()), *_BESIDE.get(path.stem, ()))))


def _modules() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each module that decides with its tests; those of the core are noticed by the plan's too."""
    for path in sorted((ROOT / _CORE).rglob("[!_]*.py")):
        yield str(path.relative_to(ROOT)), tuple(dict.fromkeys((*_tests(path), *_PLANNING)))
    for folder, names in _MODULES.items():
        for name in names:
            yield f"{folder}/{name}.py", _tests(ROOT / folder / f"{name}.py")


TESTS = dict(_modules())


def module_name(path: str) -> str:
    """The name that a module of that path is imported by."""
    return ".".join(Path(path).with_suffix("").parts[1:])
