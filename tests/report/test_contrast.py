"""Texts and lines of a report have enough contrast to what is behind them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import re
from importlib import resources
from types import SimpleNamespace

import numpy as np
import pytest

from skinest._report._curves_section import plot_curves
from skinest._report._predicted_outputs import ClassOutputs
from tests.report.contrast import (
    GRAPHICS,
    TEXT,
    compute_contrast,
    read_color,
    read_strokes,
)
from tests.report.pages import read_uri

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


@pytest.mark.parametrize("n_classes", [2, 7])
def test_lines_of_plots_have_the_contrast_of_wcag(n_classes):
    rng = np.random.default_rng(0)
    codes = np.arange(70) % n_classes
    outputs = ClassOutputs(
        classes=list("abcdefg"[:n_classes]),
        codes=codes,
        predicted=codes,
        scores=rng.dirichlet(np.ones(n_classes), 70),
        are_probabilities=True,
        positive=1 if n_classes == 2 else None,
    )
    grid, *_ = plot_curves(SimpleNamespace(kind="", outputs=outputs))
    assert len(grid.plots) == (4 if n_classes == 2 else 3)
    for plot in grid.plots:
        strokes = read_strokes(read_uri(plot.source).decode())
        assert strokes
        for stroke in strokes:
            assert compute_contrast(read_color(stroke), read_color("#fff")) >= GRAPHICS
