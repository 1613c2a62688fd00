"""Texts and lines of a report have enough contrast to what is behind them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import re
from importlib import resources

import pytest

from skinest._report._curves_section import _COLORS
from tests.report.contrast import (
    GRAPHICS,
    TEXT,
    compute_contrast,
    read_color,
)

STYLE = (resources.files("skinest._report") / "page.css").read_text("utf-8")
NAMED = dict(re.findall(r"--(\w+): (#\w+);", STYLE))
PAGE = ["#fff", NAMED["tint"]]  # what most texts are on


def list_pairs():
    """Yield the selector, colour and background of all texts."""
    for selector, rules in re.findall(r"([^{}]+)\{([^{}]*)\}", STYLE):
        text = re.sub(r"var\(--(\w+)\)", lambda found: NAMED.get(found[1], ""), rules)
        colors = re.findall(r"(?<![-\w])color: (#\w+)", text)
        backgrounds = re.findall(r"background: [^;]*?(#\w+)", text)
        for color in colors or [NAMED["ink"]] * bool(backgrounds):
            for background in backgrounds or PAGE:
                yield selector.strip(), color, background


@pytest.mark.parametrize(("selector", "color", "background"), list_pairs())
def test_texts_have_the_contrast_of_wcag(selector, color, background):
    assert compute_contrast(read_color(color), read_color(background)) >= TEXT


def test_the_contrast_is_that_of_wcag():
    black, white, grey = map(read_color, ("#000", "#fff", "#777777"))
    assert compute_contrast(black, white) == pytest.approx(21)
    # The best known pair that just fails.
    assert compute_contrast(grey, white) == pytest.approx(4.48, abs=0.005)
    assert len(list(list_pairs())) > 8


@pytest.mark.parametrize("color", _COLORS)
def test_curves_of_all_classes_have_the_contrast_of_wcag(color):
    assert compute_contrast(read_color(color), read_color("#fff")) >= GRAPHICS
