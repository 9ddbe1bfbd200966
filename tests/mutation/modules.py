"""The modules that decide, and for each the tests that must notice a change of it, the quickest first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_SDK = "tests/producers/"
_CORE = "tests/consumers/core/"
_SOURCE = "tests/infra/event_source/"
_MORE = {"trust.py": (_CORE + "test_was.py",)}
_PLANNING = tuple(_CORE + name for name in ("test_order.py", "test_room.py", "test_plan.py"))

_OTHERS: dict[str, tuple[str, ...]] = {
    "producers/tidemill/answers.py": (_SDK + "test_answers.py", _SDK + "test_wire.py"),
    "producers/tidemill/buffer.py": (_SDK + "test_buffer.py", _SDK + "test_outbox.py"),
    "producers/tidemill/endpoint.py": (_SDK + "test_endpoint.py", _SDK + "test_outbox.py"),
    "producers/tidemill/failures.py": (_SDK + "test_failures.py",),
    "producers/tidemill/frames.py": (_SDK + "test_frames.py",),
    "producers/tidemill/kpl.py": (_SDK + "test_kpl.py", "tests/fuzz/test_fuzz.py"),
    "producers/tidemill/lane.py": (_SDK + "test_lane.py",),
    "producers/tidemill/outbox.py": (_SDK + "test_outbox.py",),
    "producers/tidemill/request.py": (_SDK + "test_request.py",),
    "producers/tidemill/sendable.py": (_SDK + "test_sendable.py",),
    "producers/tidemill/signature.py": (_SDK + "test_signature.py",),
    "producers/tidemill/trouble.py": (_SDK + "test_trouble.py",),
    "producers/tidemill/wire.py": tuple(
        _SDK + name for name in ("test_refusal.py", "test_look.py", "test_wire.py", "test_producer.py")
    ),
    "producers/tidemill/writer.py": (_SDK + "test_writer.py", _SDK + "test_sendable.py"),
    "producers/tidemill_load/batching.py": (_SDK + "test_batching.py", _SDK + "test_model.py"),
    "infra/tidemill_local/delivery_stream.py": ("tests/infra/test_delivery_stream.py",),
    "infra/tidemill_local/event_source/batches.py": tuple(
        _SOURCE + name
        for name in ("test_meaning.py", "test_filling.py", "test_waking.py", "test_sequencer.py", "test_records.py")
    ),
    "infra/tidemill_local/event_source/config.py": (_SOURCE + "test_config.py",),
    "infra/tidemill_local/event_source/failures.py": (
        _SOURCE + "test_meaning.py",
        _SOURCE + "test_filling.py",
        _SOURCE + "test_sequencer.py",
        _SOURCE + "test_validated_cases.py",
    ),
    "infra/tidemill_local/event_source/pattern.py": (_SOURCE + "test_pattern.py",),
    "infra/tidemill_local/event_source/records.py": (_SOURCE + "test_records.py", _SOURCE + "test_validated_cases.py"),
    "infra/tidemill_local/event_source/sequencer.py": (
        _SOURCE + "test_filling.py",
        _SOURCE + "test_waking.py",
        _SOURCE + "test_shard.py",
        _SOURCE + "test_sequencer.py",
        _SOURCE + "test_validated_cases.py",
    ),
    "infra/tidemill_local/event_source/shard.py": (
        _SOURCE + "test_shard.py",
        _SOURCE + "test_sequencer.py",
        _SOURCE + "test_validated_cases.py",
    ),
}


def _of_the_core() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each module of the core with the tests of its name, if there are any, and with those of the plan."""
    for path in sorted((ROOT / "consumers/tidemill_consumers/core").glob("[!_]*.py")):
        own = _CORE + f"test_{path.name}"
        mine = tuple(one for one in (own, *_MORE.get(path.name, ())) if (ROOT / one).exists())
        yield str(path.relative_to(ROOT)), tuple(dict.fromkeys((*mine, *_PLANNING)))


TESTS = {**dict(_of_the_core()), **_OTHERS}


def module_name(path: str) -> str:
    """The name that a module of that path is imported by."""
    return ".".join(Path(path).with_suffix("").parts[1:])
