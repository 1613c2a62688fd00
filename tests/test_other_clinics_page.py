"""Scores of recipes for images of other clinics: pages agree with the results."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("psutil")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

tables = importlib.import_module("_gain_tables")
cross_source = importlib.import_module("cross_source")
RESULTS = ROOT / "benchmarks" / "results"
RECORD = RESULTS / "other_clinics.json"
CROPPED = RESULTS / "segment_crop.json"


def test_tables_in_the_readme_are_those_of_the_results():
    rows = json.loads(RECORD.read_text(encoding="utf-8"))["rows"]
    assert tables.read_readme() == tables.show(rows)
    assert tables.read_readme("cross source") == cross_source.make_table()


def test_scores_of_the_guide_are_in_the_tables():
    page = ROOT / "docs" / "guide" / "other_clinics.rst"
    text = " ".join(page.read_text(encoding="utf-8").split())
    cropped = tables.show(json.loads(CROPPED.read_text(encoding="utf-8"))["rows"])
    known = tables.read_readme() + cropped
    with_intervals = re.findall(r"[+-]?\.\d{3} \[[^]]+\]", text)
    assert len(with_intervals) > 80
    assert [each for each in with_intervals if f" {each} |" not in known] == []
    scores = re.findall(r"(?<![\d\w])\.\d{3}\b", text)
    assert set(scores) <= set(re.findall(r"\.\d{3}", known))
