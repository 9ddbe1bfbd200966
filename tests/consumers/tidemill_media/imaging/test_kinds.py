"""Each kind of photo has its decoder."""

import pytest

from tests.consumers.tidemill_media.imaging.photos import KINDS, file, picture
from tidemill.contract.photo_files import PHOTO_TYPES
from tidemill_media.imaging.kinds import Kind, kind_of


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_of_photo_is_known(kind: Kind) -> None:
    assert kind_of(file(picture(16, 16), kind)) is kind


def test_every_type_has_a_kind() -> None:
    assert [kind.name for kind in KINDS] == [one.name for one in PHOTO_TYPES]


def test_other_files_are_named_for_people() -> None:
    assert kind_of(b"8BPS\0\x01") == "a Photoshop document"
