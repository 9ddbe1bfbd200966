"""The contact sheet: one page with every photo as clients see it, in the order of the index.

Room: command line. Pure: values in, HTML out; the pictures are in it, so that the file can be handed on alone.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

STYLE = """
:root { color-scheme: light dark; --ink: #1d2a33; --faint: #5c6b75; --paper: #f6f4ef; --card: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ecee; --faint: #9aa8b0; --paper: #14191d; --card: #1f262b; }
}
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; color: var(--ink); background: var(--paper);
  font: 16px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; }
p { color: var(--faint); margin: .3rem 0 1.4rem; }
main { display: grid; gap: 1.2rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
figure { margin: 0; background: var(--card); border-radius: .6rem; overflow: hidden;
  box-shadow: 0 1px 3px rgb(0 0 0 / .18); }
figure > div { height: 12rem; display: grid; place-items: center; background: rgb(128 128 128 / .12); }
img { display: block; max-width: 100%; max-height: 12rem; }
figcaption { padding: .7rem .9rem .9rem; font-size: .875rem; color: var(--faint); overflow-wrap: anywhere; }
figcaption b { display: block; font-size: 1rem; color: var(--ink); }
"""


class Picture(NamedTuple):
    """A picture of the sheet.

    Attributes:
        title: of the content.
        lines: more about it, a line each.
        type: the thumbnail's type, such as `image/webp`.
        data: the thumbnail's bytes; none for a file without one.
    """

    title: str
    lines: Sequence[str]
    type: str = ""
    data: bytes = b""


def contact_sheet(pictures: Iterable[Picture], summary: str) -> str:
    """The page.

    Args:
        pictures: in the order in which they are shown.
        summary: a line below the title.
    """
    figures = "\n".join(map(_figure, pictures))
    return (
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Contact sheet</title>\n<style>{STYLE}</style>\n"
        f"<h1>Contact sheet</h1>\n<p>{escape(summary)}</p>\n<main>\n{figures}\n</main>\n</html>\n"
    )


def _figure(picture: Picture) -> str:
    lines = "<br>".join(map(escape, picture.lines))
    return (
        f"<figure><div>{_image(picture)}</div><figcaption><b>{escape(picture.title)}</b>{lines}</figcaption></figure>"
    )


def _image(picture: Picture) -> str:
    if not picture.data:
        return "no thumbnail"
    source = f"data:{escape(picture.type)};base64,{b64encode(picture.data).decode()}"
    return f'<img src="{source}" alt="{escape(picture.title)}">'
