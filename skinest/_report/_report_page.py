"""The pages of a report, in HTML and in Markdown, from the blocks of its sections."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from datetime import UTC, datetime
from html import escape
from importlib import resources
from string import Template

from .. import __version__
from ._report_blocks import escape_markdown


def make_html(title, sections) -> str:
    """Return the page, which needs no other file.

    Parameters
    ----------
    title : str
        The title.

    sections : list of (str, str, list of Block)
        Name in addresses, title and blocks of each section.

    Returns
    -------
    page : str
    """
    contents = (
        f'<li><a href="#{name}">{escape(heading)}</a></li>'
        for name, heading, _ in sections
    )
    bodies = (
        f'<section aria-labelledby="{name}">\n<h2 id="{name}">{escape(heading)}</h2>\n'
        + "\n".join(block.to_html() for block in blocks)
        + "\n</section>"
        for name, heading, blocks in sections
    )
    return Template(_read("page.html")).substitute(
        title=escape(title),
        version=__version__,
        date=_today(),
        style=_read("page.css"),
        script=_read("page.js"),
        contents="\n".join(contents),
        sections="\n".join(bodies),
    )


def make_markdown(title, sections) -> str:
    """Return the texts and tables of the page; arguments are those of `make_html`."""
    parts = [
        f"# {escape_markdown(title)}",
        f"Written on {_today()} by skinest {__version__}. Not a medical device.",
    ]
    for _, heading, blocks in sections:
        parts.append(f"## {escape_markdown(heading)}")
        parts += [block.to_markdown() for block in blocks]
    return "\n\n".join(parts) + "\n"


def _read(name) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"
