"""A page that is not true is noticed: what walkthrough.py makes of pages, and of output that differs from theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.walkthrough import Block, Command, blocks_in, commands_in, is_as_shown, walkthrough

PAGE = """
The rules, `shop.py`:

```python
RULES = {}
```

With `shop.py` in this folder, and nothing else:

```console
$ ls
shop.py
$ echo one \\
    two
…
```
"""


def test_a_block_is_a_file_if_the_line_before_it_ends_with_the_files_name() -> None:
    python, console = blocks_in(PAGE)
    assert python == Block("python", "RULES = {}\n", "shop.py")
    assert (console.language, console.file) == ("console", None)


def test_commands_have_their_output() -> None:
    _, console = blocks_in(PAGE)
    assert list(commands_in(console.text)) == [Command("ls", "shop.py\n"), Command("echo one two", "…\n")]


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("accepted\n", "accepted\n"),
        ("", ""),
        ("id 7 is there\n", "id … is there\n"),
        ("one\ntwo\nthree\n", "one\n…\n"),
        ("one\n", "one\n…\n"),
        ("padded   \n", "padded\n"),
        ("a (b) [c] .*\n", "a (b) [c] .*\n"),
    ],
)
def test_output_may_be_as_shown(output: str, shown: str) -> None:
    assert is_as_shown(output, shown)


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("accepted\n", ""),
        ("", "accepted\n"),
        ("accepted\nmore\n", "accepted\n"),
        ("id 7\nis there\n", "id … is there\n"),
        ("one\ntwo\n", "one\n…\nthree\n"),
        ("axb\n", "a.b\n"),
    ],
)
def test_output_may_differ(output: str, shown: str) -> None:
    assert not is_as_shown(output, shown)


def test_a_page_is_read_to_its_end(tmp_path: Path) -> None:
    with walkthrough(tmp_path) as reader:
        reader.read(PAGE)
    assert reader.ran == ["ls", "echo one two"]
    assert (tmp_path / "shop.py").read_text() == "RULES = {}\n"


def test_a_page_that_is_not_true_is_told(tmp_path: Path) -> None:
    with walkthrough(tmp_path) as reader, pytest.raises(AssertionError, match=r"\$ ls\nshop.py"):
        reader.read(PAGE.replace("$ ls\nshop.py", "$ ls\nstore.py"))


def test_what_comes_by_standard_error_is_compared_too(tmp_path: Path) -> None:
    with walkthrough(tmp_path) as reader, pytest.raises(AssertionError, match="but the page shows"):
        reader.read("```console\n$ echo oh >&2\n```\n")
