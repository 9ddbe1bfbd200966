"""What is kept of values that come again: the results, so many of them, and no errors."""

import pytest

from tidemill.contract.memo import MOST, Memo


def test_each_value_is_made_once_while_there_is_room() -> None:
    made: list[str] = []

    def length(text: str) -> int:
        made.append(text)
        return len(text)

    lengths = Memo(length)
    texts = [f"{number}" for number in range(MOST + 10)]
    assert [lengths[text] for text in texts] == [len(text) for text in texts]
    assert made == texts
    assert len(lengths) == 10
    assert lengths[texts[-1]] == 5
    assert lengths[texts[0]] == 1
    assert made == [*texts, texts[0]]


def test_what_raises_is_not_kept() -> None:
    numbers = Memo(int)
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            numbers["x"]
    assert not numbers
