"""`tidemill send`: data that is refused is told once, and no more of it than a line takes; so is a file."""

from argparse import Namespace
from pathlib import Path

import pytest
from rich.console import Console

from tidemill_cli.commands.send.destination import Destination
from tidemill_cli.commands.send.lines import open_lines
from tidemill_cli.commands.send.one import MOST_SHOWN, data_of
from tidemill_cli.errors import CommandError
from tidemill_cli.stack import LOCAL_ENDPOINT, Access

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


@pytest.mark.parametrize(
    ("endpoint", "stack", "command"),
    [
        (LOCAL_ENDPOINT, None, "tidemill up"),
        (None, "shop", "tidemill watch --stack shop"),
        ("https://monitoring.example.org", None, "tidemill watch --stack tidemill"),
    ],
)
def test_who_waits_in_vain_is_shown_to_the_command_that_tells_of_that_stack(
    endpoint: str | None, stack: str | None, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL_LAMBDA", raising=False)
    to = Destination(Namespace(stack=stack), Access(endpoint, "eu-central-1"), {}, "requests", Console())
    assert to.shown_by == command
