"""Blocks of a report: texts, tables and pictures, in HTML and in Markdown."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, NamedTuple, Protocol

# Characters with a meaning inside of a line; underscores at the edges of words.
_MARKUP = re.compile(r"[\\`*\[\]|~]|(?<!\w)_|_(?!\w)")
# At the start of a line: headings, quotes, lists.
_LINE_START = re.compile(r"^(\d*)([#>+.)-])(?=\s|$)")


class Block(Protocol):
    """A part of a section."""

    def to_html(self) -> str:
        """Return the block as HTML."""

    def to_markdown(self) -> str:
        """Return the block as Markdown."""


class Link(NamedTuple):
    """A link to a section of the report, for a cell of a table."""

    text: str
    section: str


@dataclass(frozen=True)
class Text:
    """A paragraph.

    Parameters
    ----------
    text : str
        The text.

    kind : {"", "note", "alert"}, default=""
        A plain paragraph, a remark on what is above it, or what must not be missed.
    """

    text: str
    kind: str = ""

    def to_html(self) -> str:
        """Return the block as HTML."""
        attributes = f' class="{self.kind}"' if self.kind else ""
        return f"<p{attributes}>{escape(self.text)}</p>"

    def to_markdown(self) -> str:
        """Return the block as Markdown."""
        text = escape_markdown(self.text)
        return f"> **{text}**" if self.kind == "alert" else text


@dataclass(frozen=True)
class Heading:
    """A heading below that of the section."""

    text: str

    def to_html(self) -> str:
        """Return the block as HTML."""
        return f"<h3>{escape(self.text)}</h3>"

    def to_markdown(self) -> str:
        """Return the block as Markdown."""
        return f"### {escape_markdown(self.text)}"


@dataclass(frozen=True)
class Table:
    """A table.

    Parameters
    ----------
    header : sequence of str
        The names of the columns. If all are empty, there is no header.

    rows : sequence of sequence of str, Link or sequence of Link
        The cells. None is a blank for the author.

    caption : str
        What the table shows.

    n_texts : int, default=1
        Number of columns with text, which come first. The others are numbers.

    shades : sequence of sequence of float, default=()
        For each row, how dark the cells with numbers are, in [0, 1].
    """

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str
    n_texts: int = 1
    shades: Sequence[Sequence[float]] = ()

    def to_html(self) -> str:
        """Return the block as HTML."""
        head = "".join(
            f'<th scope="col"{self._classes(k)}>{escape(name)}</th>'
            for k, name in enumerate(self.header)
        )
        head = f"<thead><tr>{head}</tr></thead>" if any(self.header) else ""
        body = "".join(f"<tr>{self._row(k)}</tr>" for k in range(len(self.rows)))
        caption = escape(self.caption)
        # It can be scrolled by keys, if it is wider than the screen.
        return (
            f'<div class="scroll" tabindex="0" role="region" aria-label="{caption}">'
            f"<table><caption>{caption}</caption>{head}<tbody>{body}</tbody></table></div>"
        )

    def _row(self, position) -> str:
        cells = []
        for k, value in enumerate(self.rows[position]):
            content, classes = _cell_to_html(value), self._classes(k)
            if k == 0:
                cells.append(f'<th scope="row"{classes}>{content}</th>')
                continue
            style = ""
            if self.shades and k >= self.n_texts:
                shade = self.shades[position][k - self.n_texts]
                style = f' style="--shade: {shade:.2f}"'
            cells.append(f"<td{classes}{style}>{content}</td>")
        return "".join(cells)

    def _classes(self, column) -> str:
        return "" if column < self.n_texts else ' class="number"'

    def to_markdown(self) -> str:
        """Return the block as Markdown."""
        rule = [":---"] * self.n_texts + ["---:"] * (len(self.header) - self.n_texts)
        lines = [
            f"**{escape_markdown(self.caption)}**",
            "",
            _join_cells(map(escape_markdown, self.header)),
            "|" + "|".join(rule) + "|",
            *(_join_cells(map(_cell_to_markdown, row)) for row in self.rows),
        ]
        return "\n".join(lines)


@dataclass(frozen=True)
class Picture:
    """A picture, which is part of the file.

    Parameters
    ----------
    source : str
        A data URI.

    alt : str
        What the picture shows, for people who do not see it.

    width : int
        Its width in pixels of the screen, if there is enough space.
    """

    source: str
    alt: str
    width: int

    def to_html(self) -> str:
        """Return the block as HTML."""
        return f"<figure>{self.to_image()}</figure>"

    def to_image(self) -> str:
        """Return the picture alone."""
        return (
            f'<img src="{escape(self.source)}" alt="{escape(self.alt)}" '
            f'width="{self.width:d}">'
        )

    def to_markdown(self) -> str:
        """Return the block as Markdown."""
        return f"*Picture in the HTML file: {escape_markdown(self.alt)}*"


@dataclass(frozen=True)
class Gallery:
    """Images with captions, next to each other.

    Parameters
    ----------
    cards : list of (list of Picture, str)
        The pictures of each image, and its caption.
    """

    cards: Sequence[tuple[Sequence[Picture], str]]

    def to_html(self) -> str:
        """Return the block as HTML."""
        items = (
            f"<figure><div>{''.join(picture.to_image() for picture in pictures)}</div>"
            f"<figcaption>{escape(caption)}</figcaption></figure>"
            for pictures, caption in self.cards
        )
        return f'<div class="gallery">{"".join(items)}</div>'

    def to_markdown(self) -> str:
        """Return the block as Markdown."""
        return "\n".join(f"- {escape_markdown(caption)}" for _, caption in self.cards)


@dataclass(frozen=True)
class PlotGrid:
    """Plots next to each other."""

    plots: Sequence[Picture]

    def to_html(self) -> str:
        """Return the block as HTML."""
        plots = "".join(plot.to_html() for plot in self.plots)
        return f'<div class="plots">{plots}</div>'

    def to_markdown(self) -> str:
        """Return the block as Markdown."""
        return "\n".join(f"- {plot.to_markdown()}" for plot in self.plots)


@dataclass(frozen=True)
class ThresholdSlider:
    """A confusion matrix whose threshold the reader moves.

    It needs a script. Without one, and in print, nothing is shown.

    Parameters
    ----------
    classes : list of str
        The names of the classes that can be chosen as positive.

    counts : list of dict
        For each of them, "thresholds", and the true and false positives at each, "tp"
        and "fp", with the numbers of positive and negative images, "p" and "n", and
        the position of the first threshold to show, "start".
    """

    classes: Sequence[str]
    counts: Sequence[dict[str, Any]] = field(repr=False)

    def to_html(self) -> str:
        """Return the block as HTML."""
        options = "".join(
            f'<option value="{k}">{escape(name)}</option>'
            for k, name in enumerate(self.classes)
        )
        hidden = " hidden" if len(self.classes) == 1 else ""
        rates = "".join(
            f'<div><dt>{label}</dt><dd data-rate="{key}"></dd></div>'
            for key, label in (
                ("sensitivity", "Sensitivity"),
                ("specificity", "Specificity"),
                ("ppv", "Positive predictive value"),
                ("npv", "Negative predictive value"),
            )
        )
        # The data have numbers only, so they cannot end the script.
        return (
            '<div class="slider" hidden>'
            f'<p{hidden}><label>Positive class <select name="class">{options}</select>'
            "</label></p>"
            '<p><label>Threshold <input type="range" name="threshold" min="0" step="1">'
            '</label> <output aria-live="polite"></output></p>'
            "<table><caption>Confusion matrix at this threshold</caption><thead><tr>"
            '<td></td><th scope="col" class="number">predicted positive</th>'
            '<th scope="col" class="number">predicted negative</th></tr></thead><tbody>'
            '<tr><th scope="row">positive</th><td class="number" data-count="tp"></td>'
            '<td class="number" data-count="fn"></td></tr>'
            '<tr><th scope="row">negative</th><td class="number" data-count="fp"></td>'
            '<td class="number" data-count="tn"></td></tr></tbody></table>'
            f"<dl>{rates}</dl>"
            '<script type="application/json">'
            f"{json.dumps(self.counts, separators=(',', ':'))}</script></div>"
        )

    def to_markdown(self) -> str:
        """Return the block as Markdown."""
        return "*The HTML file has a slider for the threshold.*"


def escape_markdown(text: str) -> str:
    """Return text in which nothing is markup."""
    text = _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))
    return escape(_LINE_START.sub(r"\1\\\2", text), quote=False)


def _cell_to_html(value) -> str:
    if value is None:
        return '<span class="blank">to be written</span>'
    if isinstance(value, Link):
        return f'<a href="#{escape(value.section)}">{escape(value.text)}</a>'
    if isinstance(value, str):
        return escape(value)
    return ", ".join(map(_cell_to_html, value))


def _cell_to_markdown(value) -> str:
    if value is None:
        return "**to be written**"
    if isinstance(value, Link):
        return escape_markdown(value.text)
    if isinstance(value, str):
        return escape_markdown(value)
    return ", ".join(map(_cell_to_markdown, value))


def _join_cells(cells) -> str:
    return f"| {' | '.join(cells)} |"
