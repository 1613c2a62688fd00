"""The benchmark of recipes for other clinics: stored scores, votes and stacks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("psutil")
members = importlib.import_module("_clinic_members")
recipes = importlib.import_module("_clinic_recipes")
benchmark = importlib.import_module("other_clinics")
FINE = "features of HAM10000"


@pytest.fixture
def options(tmp_path):
    weights = tmp_path / "weights.h5"
    weights.write_bytes(b"first")
    return SimpleNamespace(results=tmp_path, mobilenetv2=weights, members=["inner"])


def test_scores_are_found_by_all_settings(options, monkeypatch):
    def find(name):
        return members.find_file(name, "isic_folds", options)

    names = ("inner layers", FINE, "network")
    before = {name: find(name) for name in names}
    assert before == {name: find(name) for name in names}
    for name, changes in (("inner layers", {"C": 1.0}), ("network", {"side": 160})):
        changed = replace(members.MEMBERS[name], **changes)
        monkeypatch.setitem(members.MEMBERS, name, changed)
        assert find(name) != before[name]
    assert find(FINE) != before[FINE]  # it starts with the weights of the network


def test_other_weights_have_other_scores(options):
    before = members.find_file("frozen", "isic_folds", options)
    options.mobilenetv2.write_bytes(b"second")
    members.hash_file.cache_clear()
    assert members.find_file("frozen", "isic_folds", options) != before


def test_a_cell_runs_once(options, monkeypatch):
    runs = []

    def cell(name, data, options):
        runs.append(name)
        return {"folds": np.zeros(3)}

    monkeypatch.setitem(members.MEMBERS, "inner", members.Linear())
    monkeypatch.setitem(benchmark.CELLS, "isic_folds", cell)
    for _ in range(2):
        benchmark.run_cells(["isic_folds"], None, options)
    assert runs == ["inner"]


def test_votes_join_members_of_both_sources(options):
    """In each cell they are the members that were not trained on its test images."""
    recipe = recipes.Recipe(
        members=("inner layers",), ham_members=("network",), reference="frozen"
    )
    store(options, "inner layers", "isic_folds", folds=[0.2, 0.4])
    store(options, "inner layers", "isic_to_ham", sample=[0.5])
    probabilities = [[0.3, 0.1, 0.6], [0.2, 0.2, 0.6]]  # MEL / (MEL + NV): .75, .5
    store(
        *(options, "network", "ham_to_isic"),
        isic=probabilities,
        classes=["MEL", "NV", "BCC"],
    )
    found = {
        cell: recipes.read_scores(recipe, cell, None, options)
        for cell in ("isic_folds", "isic_to_ham", "ham_to_isic", "test")
    }
    np.testing.assert_allclose(found["isic_folds"], [0.475, 0.45])
    np.testing.assert_allclose(found["isic_to_ham"], [0.5])
    np.testing.assert_allclose(found["ham_to_isic"], [0.75, 0.5])
    assert found["test"] is None


def test_a_stack_ignores_a_member_that_knows_nothing():
    generator = np.random.default_rng(0)
    y = generator.integers(0, 2, 400)
    knows = 1 / (1 + np.exp(-generator.normal(2 * y - 1)))
    stacked = recipes.stack(np.column_stack([knows, generator.uniform(size=400)]), y)
    assert np.corrcoef(np.argsort(np.argsort(stacked)), knows)[0, 1] > 0.95


def store(options, name, cell, **arrays):
    np.savez(members.find_file(name, cell, options), **arrays)
