"""The page as HTML: everything is within it, and only its own script and style are let run.

Room: page, pure. The script fills the page in with what wording.py says, which comes as an event.
Tests: tests/infra/tidemill_page/server/test_page_server.py.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from jinja2 import Environment, StrictUndefined

if TYPE_CHECKING:
    from jinja2 import Template


def render(title: str, token: str, nonce: str, *, redrives: bool) -> str:
    """The page, as HTML.

    Args:
        title: whose figures it shows.
        token: what the page sends with a redrive.
        nonce: drawn for this answer alone; `policy` names it too.
        redrives: whether the page offers to redrive.
    """
    return _page().render(title=title, token=token, nonce=nonce, redrives=redrives)


def policy(nonce: str) -> str:
    """The answer's Content-Security-Policy: nothing from elsewhere, and no script or style but the page's own."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@cache
def _page() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__name__.rpartition(".")[0]).joinpath("page.html").read_text("utf-8"))
