"""Scores of recipes for images of other clinics: the guide agrees with the results."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
import json
import re
from pathlib import Path

import pytest

pytest.importorskip("psutil")
ROOT = Path(__file__).parents[1]

tables = importlib.import_module("_gain_tables")
RESULTS = ROOT / "benchmarks" / "results"
RECORD = RESULTS / "other_clinics.json"
CROPPED = RESULTS / "segment_crop.json"


def test_scores_of_the_guide_are_in_the_tables():
    page = ROOT / "docs" / "guide" / "other_clinics.rst"
    text = " ".join(page.read_text(encoding="utf-8").split())
    known = "".join(
        tables.show(json.loads(path.read_text(encoding="utf-8"))["rows"])
        for path in (RECORD, CROPPED)
    )
    with_intervals = re.findall(r"[+-]?\.\d{3} \[[^]]+\]", text)
    assert len(with_intervals) > 80
    assert [each for each in with_intervals if f" {each} |" not in known] == []
    scores = re.findall(r"(?<![\d\w])\.\d{3}\b", text)
    assert set(scores) <= set(re.findall(r"\.\d{3}", known))
