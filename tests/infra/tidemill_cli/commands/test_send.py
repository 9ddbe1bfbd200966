"""`tidemill send`: data that is refused is told once, and no more of it than a line takes; so is a file."""

from argparse import Namespace
from pathlib import Path

import pytest
from rich.console import Console

from tidemill_cli.commands.send.destination import Destination
from tidemill_cli.commands.send.inputs import MOST_READ, MOST_SHOWN, data_in, data_of, open_input
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
        told = f"cannot read {path}: {problem}$"
        with pytest.raises(CommandError, match=told), open_input(str(path)):
            pass
        with pytest.raises(CommandError, match=told):
            data_in(str(path))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_data_of_a_file_is_what_it_says_in_each_encoding_of_json(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{\n  "city": "Köln"\n}\n', encoding)
    assert data_in(str(tmp_path / "data.json")) == {"city": "Köln"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "data.json: not JSON: Expecting value: line 1 column 1"),
        (b'{"a": 1, "a": 2}', "data.json: a key stands twice in one object"),
        (b"[1]", "data.json holds no JSON object such as"),
        (b'{"a": "\xff"}', "data.json: not JSON: 'utf-8' codec can't decode"),
        (b" " * (MOST_READ + 1), "data.json has more than 20971520 bytes, and 5242880 of JSON are the most"),
    ],
)
def test_a_file_without_data_is_told_by_its_name(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_bytes(content)
    with pytest.raises(CommandError, match=problem):
        data_in(str(tmp_path / "data.json"))


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
