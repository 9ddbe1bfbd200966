from io import BytesIO

from PIL import Image, ImageChops, ImageOps, ImageStat

from tidemill_cli.commands.demo.photos.generated import FORMATS, HOURS, shots


def test_every_format_and_orientation_is_there_and_shows_the_mill_upright() -> None:
    *photos, drawing = shots(1)
    opened = [Image.open(BytesIO(bytes(one.photo))) for one in photos]
    assert [one.format for one in opened] == list(FORMATS)
    assert {one.getexif().get(0x0112, 1) for one in opened} == {1, 3, 6, 8}
    for one in opened:
        upright = ImageOps.exif_transpose(one).convert("RGB")
        assert upright.size == (1280, 960)
        top = ImageStat.Stat(upright.crop((0, 0, 100, 100))).stddev
        bottom = ImageStat.Stat(upright.crop((0, 860, 100, 960))).stddev
        assert max(top) < 12, "the sky is even"
        assert max(bottom) < 40
    assert bytes(drawing.photo).startswith(b"8BPS"), "a file that nobody decodes here"
    assert [one.title for one in photos] == [title for title, *_ in HOURS]


def test_the_same_seed_gives_the_same_pictures() -> None:
    first, again, other = (next(shots(seed)) for seed in (3, 3, 4))
    assert first == again
    assert ImageChops.difference(*(Image.open(BytesIO(bytes(one.photo))) for one in (first, other))).getbbox()
