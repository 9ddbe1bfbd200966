"""`tidemill send`: data that is refused is told once, and no more of it than a line takes; so is a file."""

from pathlib import Path

import pytest

from tidemill_cli.commands.send.lines import open_lines
from tidemill_cli.commands.send.one import MOST_SHOWN, data_of
from tidemill_cli.errors import CommandError

REMEDY = "; quote it for the shell: '{\"stars\": 5}'"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("x", "the data 'x': not JSON: Expecting value: line 1 column 1 (char 0)" + REMEDY),
        ('{"a": NaN}', "the data '{\"a\": NaN}': NaN is not JSON" + REMEDY),
        ("[" + "1," * 99 + "1]", f"'[{'1,' * 39}1…' is no JSON object such as {{\"stars\": 5}}"),
        ("[" * 100 + "]" * 100, f"the data '{'[' * MOST_SHOWN}…': nested deeper than 32 levels" + REMEDY),
    ],
)
def test_refused_data_is_told_in_a_line(text: str, problem: str) -> None:
    with pytest.raises(CommandError) as refused:
        data_of(text)
    assert str(refused.value) == problem


def test_a_file_that_cannot_be_read_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    for path, problem in ((tmp_path / "none", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(CommandError, match=f"cannot read {path}: {problem}$"), open_lines(str(path)):
            pass
