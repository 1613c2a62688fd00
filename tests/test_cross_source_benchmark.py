"""The benchmark across sources: stored scores, recipes that are not repeated, table."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
import json
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Bunch

pytest.importorskip("psutil")
cross_source = importlib.import_module("cross_source")


@pytest.fixture
def data():
    y = np.tile([0, 0, 1], 20)
    X = np.random.default_rng(0).normal(y, 1)[:, np.newaxis]
    source = np.repeat(["ISIC 2016", "HAM10000"], 30).astype(object)
    return Bunch(paths=X, target=y, source=source, groups=np.arange(60))


@pytest.fixture
def options(tmp_path):
    results, memory = tmp_path / "results", tmp_path / "memory"
    return SimpleNamespace(results=results, memory=memory, again=False, no_home=False)


def test_a_recipe_runs_once_and_keeps_its_scores_and_predictions(
    data, options, monkeypatch
):
    built = []

    def build(options):
        built.append(1)
        return LogisticRegression()

    monkeypatch.setattr(cross_source, "RECIPES", {"a, b": build, "not run": None})
    monkeypatch.setattr(cross_source, "N_RESAMPLES", 20)
    monkeypatch.setattr(cross_source, "describe_machine", lambda **_: {})
    for _ in range(2):
        cross_source.run_recipe("a, b", data, options)
    assert len(built) == 1
    record = json.loads((options.results / "cross_source" / "a_b.json").read_text())
    assert record["recipe"] == "a, b"
    pairs = [(row["train"], row["test"]) for row in record["rows"]]
    assert len(set(pairs)) == 4
    for row in record["rows"]:
        auc, low, high = row["roc_auc"]
        assert low <= auc <= high
    kept = np.load(options.memory / "predictions" / "a_b.npz")
    assert kept["ISIC 2016 to HAM10000, rows"].tolist() == list(range(30, 60))
    table = cross_source.show_cross_source(options.results).splitlines()
    assert len(table) == 3
    away = [row["roc_auc"][0] for row in record["rows"] if row["train"] != row["test"]]
    assert f"| {np.mean(away):.3f} /" in table[-1]


def test_recipes_have_file_names_of_their_own():
    names = [cross_source.make_file_name(name) for name in cross_source.RECIPES]
    assert len(set(names)) == len(names)
    assert all(name.replace("_", "").isalnum() for name in names)
