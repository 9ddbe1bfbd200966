from html.parser import HTMLParser

from tidemill_cli.commands.demo.photos.contact_sheet import Picture, contact_sheet


class Seen(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.text = ""
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_pictures_are_in_the_page_itself_in_the_order_given() -> None:
    page = contact_sheet(
        [Picture("Dawn", ["JPEG"], "image/webp", b"abc"), Picture("Dusk", [], "image/jpeg", b"d")], "2 photos"
    )
    seen = Seen(page)
    assert [(one["alt"], one["src"]) for one in seen.images] == [
        ("Dawn", "data:image/webp;base64,YWJj"),
        ("Dusk", "data:image/jpeg;base64,ZA=="),
    ]
    assert "http" not in page, "it loads nothing"
    assert "2 photos" in seen.text


def test_a_file_without_a_thumbnail_is_shown_with_what_is_known() -> None:
    seen = Seen(contact_sheet([Picture("A drawing", ["unsupported: PSD"])], ""))
    assert not seen.images
    assert "no thumbnail" in seen.text
    assert "unsupported: PSD" in seen.text


def test_titles_are_text_and_no_markup() -> None:
    hostile = '"><script>alert(1)</script>'
    seen = Seen(contact_sheet([Picture(hostile, [hostile], hostile, b"x")], hostile))
    assert "script" not in seen.tags
    assert seen.images[0]["alt"] == hostile
