"""The program that hosts the emulator: what it is told by its environment."""

from pathlib import Path

import pytest

from tidemill_local.emulator import Emulator, EmulatorDied
from tidemill_local.patches.left_out import VARIABLE


def test_an_emulator_starts_without_a_patch_that_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "stream_calls, cors")
    with Emulator(port=0) as emulator:
        kinesis = emulator.client("kinesis")
        kinesis.create_stream(StreamName="s", ShardCount=1)
        described = kinesis.describe_stream_summary(StreamName="s")["StreamDescriptionSummary"]
        assert (described["OpenShardCount"], described.get("MaxRecordSizeInKiB")) == (1, None)


def test_a_patch_that_there_is_not_ends_the_start_and_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, "cors,corrs")
    with pytest.raises(EmulatorDied, match=r"ended with 1; .*\n.*names no patch: corrs; there are signatures, .*cors"):
        Emulator(0, tmp_path / "state").start()


def test_a_state_folder_is_refused_without_what_keeps_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, "cors,durability")
    with pytest.raises(EmulatorDied, match="leaves out durability: nothing would keep the state's folder"):
        Emulator(0, tmp_path / "state").start()
