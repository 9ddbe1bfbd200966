"""Photos decoded apart: whatever a file does to its decoder is the file's fate, and the function lives on."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from tests.consumers.tidemill_media.imaging.photos import (
    KINDS,
    alpha,
    distance,
    exif,
    file,
    needs_data,
    opened,
    path_of,
    picture,
    png_bomb,
    text_bomb,
    with_sides,
)
from tidemill.contract.photo_files import MAX_PHOTO_BYTES
from tidemill_media.imaging import Made, Place, Unsupported, apart, work
from tidemill_media.imaging.apart import Overdue, Server, judged
from tidemill_media.imaging.kinds import BMP, GIF, HEIC, JPEG, PNG, WEBP, Kind
from tidemill_media.imaging.limits import CPU_SECONDS
from tidemill_media.imaging.results import Ending, Job

JOB = Job((256, 64), ("webp", "jpeg"))
MOST_BYTES = 512_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.close()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_decoded_apart(kind: Kind) -> None:
    photo = file(alpha(picture(300, 200)) if kind in (PNG, WEBP) else picture(300, 200), kind)
    outcome = work(photo, (256, 64))
    assert isinstance(outcome, Made), outcome
    assert (outcome.format, outcome.width, outcome.height, len(outcome.thumbnails)) == (kind.name, 300, 200, 4)


def test_a_photo_with_a_gain_map_is_decoded() -> None:
    """Phones put a second picture behind the first, which Pillow has a plug-in of its own for (MPO)."""
    data = file(picture(300, 200), Kind("JPEG", "MPO"), save_all=True, append_images=[picture(150, 100)])
    outcome = work(data, (64,))
    assert isinstance(outcome, Made), outcome
    assert (outcome.format, outcome.width, outcome.height) == ("JPEG", 300, 200)


def test_a_file_is_read_from_where_it_lies(tmp_path: Path) -> None:
    where = tmp_path / "photo"
    where.write_bytes(file(picture(300, 200), JPEG, exif=exif()))
    outcome = work(where, (64,), ("jpeg",))
    assert isinstance(outcome, Made)
    assert (outcome.camera, outcome.place) == ("Apple iPhone 4", Place(52.52, -13.405))
    assert outcome == work(where.read_bytes(), (64,), ("jpeg",))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    where = tmp_path / "photo"
    with where.open("wb") as sparse:
        sparse.truncate(MAX_PHOTO_BYTES + 1)
    assert work(where, (64,)) == Unsupported("the file is larger than 50 MiB")


def test_sizes_and_formats_that_there_are_not_are_refused() -> None:
    with pytest.raises(ValueError, match="from 1 to 2048 pixels, not 0"):
        work(b"", (0,))
    with pytest.raises(ValueError, match="'gif'"):
        work(b"", (64,), ("gif",))


def outcome_of(server: Server, data: bytes) -> tuple[Ending, Made | Unsupported]:
    ending, written = server.ask(JOB, data)
    return ending, judged(ending, written)


def gif_bomb() -> bytes:
    return with_sides(file(Image.new("P", (300, 200)), GIF), (b"\x2c\x01\xc8\x00",), (b"\xff\xff\xff\xff",))


def webp_bomb() -> bytes:
    return file(Image.new("RGB", (6000, 6000)), WEBP, quality=0, method=0)


def heic_bomb() -> bytes:
    sides = struct.pack(">II", 300, 200)
    return with_sides(file(Image.new("RGB", (300, 200)), HEIC), (sides,), (struct.pack(">II", 30000, 30000),))


def bmp_bomb() -> bytes:
    sides = struct.pack("<ii", 300, 200)
    return with_sides(file(Image.new("RGB", (300, 200)), BMP), (sides,), (struct.pack("<ii", 60000, 60000),))


BOMBS = {
    "PNG": lambda: png_bomb(8_000),
    "PNG of text": lambda: text_bomb(200),
    "GIF": gif_bomb,
    "WebP": webp_bomb,
    "HEIC": heic_bomb,
    "BMP": bmp_bomb,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_the_limits(server: Server, name: str) -> None:
    ending, outcome = outcome_of(server, BOMBS[name]())
    assert isinstance(outcome, Unsupported)
    assert ending.peak < MOST_BYTES
    assert ending.seconds < CPU_SECONDS + 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", [PNG, GIF, BMP, HEIC], ids=lambda kind: kind.name)
def test_the_largest_photos_fit_into_the_memory(server: Server, kind: Kind) -> None:
    ending, outcome = outcome_of(server, file(Image.new("RGB", (5000, 5000), (9, 99, 199)), kind))
    assert isinstance(outcome, Made), outcome
    assert ending.peak < MOST_BYTES


@pytest.mark.parametrize(("width", "height"), [(5000, 5000), (8000, 5000)])
def test_the_largest_progressive_jpegs_fit_into_the_memory(server: Server, width: int, height: int) -> None:
    data = file(Image.new("RGB", (width, height), (9, 99, 199)), JPEG, progressive=True, subsampling=0)
    for sizes in ((2048,), (64,)):
        ending, written = server.ask(Job(sizes, ("webp", "jpeg")), data)
        assert isinstance(judged(ending, written), Made)
        assert ending.peak < MOST_BYTES


def test_what_a_decoder_does_to_its_process_is_told() -> None:
    def ended(status: int, is_overdue: bool = False) -> Ending:
        return Ending(status, is_overdue, seconds=5.0, peak=1)

    assert judged(ended(-signal.SIGXCPU), b"") == Unsupported("it takes longer than 5 s to decode")
    assert judged(ended(-signal.SIGSEGV), b"") == Unsupported("its decoder failed (SIGSEGV)")
    assert judged(ended(1), b"") == Unsupported("its decoder failed (exit code 1)")
    assert judged(ended(0), b"") == Unsupported("its decoder failed (its answer cannot be read)")
    assert judged(ended(0), msgspec.msgpack.encode(Unsupported("why"))) == Unsupported("why")
    with pytest.raises(Overdue, match=r"5\.0 s of a core"):
        judged(ended(-signal.SIGKILL, is_overdue=True), b"")


def test_after_an_interrupt_a_photo_is_not_given_the_thumbnails_of_the_one_before(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(pipe: int) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(apart, "receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            server.ask(JOB, file(picture(300, 200)))
    _, outcome = outcome_of(server, file(picture(64, 48)))
    assert isinstance(outcome, Made)
    assert (outcome.width, outcome.height) == (64, 48)


FORKED = """
import os, signal, sys
from pathlib import Path
from tidemill_media.imaging import apart, work
photo = Path(sys.argv[1])
with apart.SERVER._lock:  # as a thread does that decodes
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        sys.exit(0 if work(photo, (64,)).width == 64 else 1)
status = os.waitpid(child, 0)[1]
sys.exit(status or work(photo, (64,)).width != 64)
"""


def test_a_process_that_was_forked_while_a_photo_is_decoded_decodes_too(tmp_path: Path) -> None:
    photo = tmp_path / "photo"
    photo.write_bytes(file(picture(64, 48)))
    ran = subprocess.run([sys.executable, "-c", FORKED, str(photo)], check=False, timeout=60)
    assert ran.returncode == 0


def test_a_server_that_was_ended_is_started_again() -> None:
    server = Server()
    try:
        photo = file(picture(64, 64))
        assert isinstance(outcome_of(server, photo)[1], Made)
        first = server.process_id()
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        assert isinstance(outcome_of(server, photo)[1], Made)
        assert server.process_id() != first
    finally:
        server.close()


# Each file of ../shared/data/photos: format, width, height, taken, camera, place; or why it is not supported.
UPRIGHT = ("JPEG", 1800, 1200, None, None, None)
EXPECTED: dict[str, tuple[object, ...] | str] = {
    "formats/10x12x16bit-CMYK.psd": "it is a Photoshop document, not a photo that can be decoded",
    "formats/24bpp-10x10.bmp": ("BMP", 10, 10, None, None, None),
    "formats/32Bit-72dpi-sRGB-800x600.avif": ("AVIF", 800, 600, None, None, None),
    "formats/Apple_iPhone_4.jpg": (
        *("JPEG", 1296, 968, "2011-01-13T14:33:39", "Apple iPhone 4", Place(41.853, 12.488833)),
    ),
    "formats/HTC_Desire.webp": ("WebP", 776, 909, "2011-05-06T09:59:48", "HTC Desire", Place(45.500667, 9.110333)),
    "formats/IMG_2927.HEIC": ("HEIC", 3024, 4032, "2020-05-04T18:39:11-04:00", "Apple iPhone 11 Pro", None),
    "formats/Issue_201.gif": ("GIF", 500, 375, None, None, None),
    "formats/photoshop-8x12-rgba32-interlaced.png": ("PNG", 8, 12, None, None, None),
    "formats/with-gps.mov": "it is a video (QuickTime), not a photo that can be decoded",
    **{f"orientation/Landscape_{one}.jpg": UPRIGHT for one in range(1, 9)},
}


@needs_data
def test_the_table_has_every_file() -> None:
    files = {path.relative_to(path_of("")).as_posix() for path in path_of("").rglob("*.*")}
    assert files == set(EXPECTED)


@needs_data
@pytest.mark.parametrize("name", EXPECTED)
def test_real_photos(name: str) -> None:
    outcome = work(path_of(name), (1024, 256))
    expected = EXPECTED[name]
    if isinstance(expected, str):
        assert outcome == Unsupported(expected)
        return
    assert isinstance(outcome, Made), outcome
    one = outcome
    assert (one.format, one.width, one.height, one.taken, one.camera, one.place) == expected
    sides = [(thumbnail.width, thumbnail.height) for thumbnail in one.thumbnails]
    assert sides == [opened(thumbnail.data).size for thumbnail in one.thumbnails]
    longest = max(one.width, one.height)
    assert [max(side) for side in sides] == [min(1024, longest)] * 2 + [min(256, longest)] * 2


@needs_data
def test_real_photos_of_all_orientations_give_the_same_upright_picture() -> None:
    outcomes = [work(path_of(f"orientation/Landscape_{one}.jpg"), (256,), ("jpeg",)) for one in range(1, 9)]
    shown = [opened(one.thumbnails[0].data) for one in outcomes if isinstance(one, Made)]
    # The files themselves differ by 6 to 7 of 255, by plain Pillow too; one that lies otherwise, by 88 and more.
    assert [distance(shown[0], other) < 8 for other in shown] == [True] * 8
