"""The note of whose rule is at work: one that ended a process is known to the next."""

from pathlib import Path

from tidemill_consumers.isolation.at_work import MOST, NAME, NOTE_BYTES, AtWork


def ended_over(folder: Path, cmd: str) -> AtWork:
    """A process that ended while the rule was at work, and the next."""
    at_work = AtWork(folder).noting(cmd)
    at_work.__enter__()
    return AtWork(folder)


def test_a_rule_that_ended_its_process_is_known_to_those_that_follow(tmp_path: Path) -> None:
    assert "leave" in ended_over(tmp_path, "leave").ended
    after = AtWork(tmp_path)
    assert "leave" in after.ended
    assert "count" not in after.ended
    assert "leave" in ended_over(tmp_path, "block").ended


def test_one_that_came_back_is_not(tmp_path: Path) -> None:
    with AtWork(tmp_path).noting("count"):
        pass
    assert "count" not in AtWork(tmp_path).ended


def test_it_has_an_end(tmp_path: Path) -> None:
    for n in range(MOST + 2):
        at_work = ended_over(tmp_path, f"cmd{n}")
    assert ["cmd0" in at_work.ended, "cmd1" in at_work.ended, "cmd2" in at_work.ended] == [False, False, True]
    assert (tmp_path / NAME).stat().st_size == NOTE_BYTES * (MOST + 1)


def test_without_a_folder_nothing_is_learnt_and_nothing_fails(tmp_path: Path) -> None:
    for folder in (None, tmp_path / "nowhere"):
        assert "leave" not in AtWork(folder).ended
        with AtWork(folder).noting("leave"):
            pass
