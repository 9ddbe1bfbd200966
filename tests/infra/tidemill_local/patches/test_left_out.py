"""Which patches a setting leaves out."""

import pytest

from tidemill_local.patches.left_out import UnknownPatch, left_out

KNOWN = ("cbor", "cors", "runtime")


@pytest.mark.parametrize(
    ("setting", "names"),
    [("", set()), ("cors", {"cors"}), ("cors, runtime", {"cors", "runtime"}), (",cbor,", {"cbor"})],
)
def test_names_stand_with_commas_between_them(setting: str, names: set[str]) -> None:
    assert left_out(setting, KNOWN) == names


def test_a_name_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UnknownPatch, match="_PATCHES names no patch: a, b; there are cbor, cors, runtime"):
        left_out("b,cors,a", KNOWN)
