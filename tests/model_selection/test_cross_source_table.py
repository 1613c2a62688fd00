"""Scores of classifiers on images of other sources than those trained on."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer, roc_auc_score
from sklearn.model_selection import ShuffleSplit, StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skinest.model_selection import cross_source_table
from tests.utils.sound_estimators import MeanColor

SOURCE = np.repeat(["A", "B", "C"], 40)
Y = np.tile(["nevus", "nevus", "nevus", "melanoma"], 30)
# Labels are sorted: class 1 is "nevus".
SHIFT = np.repeat([0.0, 3.0, -1.0], 40)
X = np.random.default_rng(0).normal((Y == "nevus") + SHIFT, 1)[:, np.newaxis]
FAST = {"n_resamples": 20, "random_state": 0}


def tabulate(estimator=None, X=X, y=Y, source=SOURCE, **options):
    estimator = LogisticRegression() if estimator is None else estimator
    return cross_source_table(estimator, X, y, source=source, **(FAST | options))


def test_each_source_is_trained_on_and_tested_on_each():
    table = pd.DataFrame(tabulate(cv=StratifiedKFold(4), return_predictions=True))
    assert list(zip(table.train, table.test, strict=True)) == [
        (a, b) for a in "ABC" for b in (a, *"ABC".replace(a, ""))
    ]
    for row in table.itertuples():
        train, test = SOURCE == row.train, SOURCE == row.test
        clf = LogisticRegression()
        if row.train == row.test:
            folds = {"cv": StratifiedKFold(4), "method": "decision_function"}
            expected = cross_val_predict(clf, X[test], Y[test], **folds)
        else:
            expected = clf.fit(X[train], Y[train]).decision_function(X[test])
        auc = roc_auc_score(Y[test], expected)
        assert row.roc_auc == pytest.approx(auc)
        assert row.roc_auc_low <= auc <= row.roc_auc_high
        order = np.argsort(row.rows)
        np.testing.assert_allclose(row.y_score[order], expected)
        assert row.n_train == (30 if row.train == row.test else 40)
        assert row.n_test == 40
        assert row.prevalence == 0.75
        assert row.estimator == "LogisticRegression"


def test_groups_are_whole_at_home_and_in_the_bootstrap():
    """Each image is there twice, so a nearest neighbour knows its copy."""
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(60, 2)).repeat(2, axis=0), np.arange(60).repeat(2)
    y, source = rng.permutation(60).repeat(2) % 2, np.repeat([0, 1], 60)
    data, options = (KNeighborsClassifier(1), X, y, source), {"n_resamples": 200}
    by_image = tabulate(*data, **options)
    by_group = tabulate(*data, groups=groups, **options)
    at_home = by_image["train"] == by_image["test"]
    assert by_image["roc_auc"][at_home].min() > 0.9
    assert by_group["roc_auc"][at_home].max() < 0.75
    # The standard error is that of 30 images of each source, not of 60.
    away = ~at_home
    assert by_group["roc_auc"][away].tolist() == by_image["roc_auc"][away].tolist()
    width = [(t["roc_auc_high"] - t["roc_auc_low"])[away] for t in (by_group, by_image)]
    np.testing.assert_allclose(width[0] / width[1], np.sqrt(2), rtol=0.2)


def test_all_others_are_trained_on_too():
    table = pd.DataFrame(tabulate(cv=None, leave_one_out=True))
    assert len(table) == 6 + 3
    last = table[table.train == "all others"]
    assert last.test.tolist() == ["A", "B", "C"]
    assert last.n_train.tolist() == [80] * 3
    clf = LogisticRegression().fit(X[SOURCE != "B"], Y[SOURCE != "B"])
    scores = clf.decision_function(X[SOURCE == "B"])
    assert last.roc_auc.tolist()[1] == roc_auc_score(Y[SOURCE == "B"], scores)
    two = SOURCE != "C"
    table = tabulate(X=X[two], y=Y[two], source=SOURCE[two], leave_one_out=True)
    assert len(table["train"]) == 4


class Noting(DummyClassifier):
    """Classifier that notes what it is fitted with."""

    fits = []

    def fit(self, X, y, sample_weight=None, note=None):
        self.fits.append((X[:, 0], sample_weight, note))
        return super().fit(X, y, sample_weight)


def test_each_fit_gets_the_weights_of_its_images_and_none_is_repeated(monkeypatch):
    monkeypatch.setattr(Noting, "fits", [])
    rows = np.arange(len(Y))[:, np.newaxis]
    params = {"sample_weight": 1.0 + rows[:, 0], "note": "the same"}
    tabulate(Noting(), rows, cv=2, params=params, scoring=["roc_auc", "accuracy"])
    assert len(Noting.fits) == 3 * (2 + 1)
    for numbers, weights, note in Noting.fits:
        np.testing.assert_array_equal(weights, 1.0 + numbers)
        assert note == "the same"


def test_scorers_of_every_kind():
    few = {"cv": None, "return_predictions": True}
    truth = {"A to B": accuracy_score(Y[40:80], ["nevus"] * 40)}
    majority = DummyClassifier()
    for scoring, name in (
        ("accuracy", "accuracy"),
        (make_scorer(accuracy_score), "score"),
        ({"mine": "accuracy"}, "mine"),
    ):
        table = tabulate(majority, scoring=scoring, **few)
        assert table[name][0] == truth["A to B"]
        assert table["y_score"][0].tolist() == ["nevus"] * 40
    # A support vector machine has no probabilities.
    assert tabulate(SVC(), **few)["y_score"][0].shape == (40,)
    y = np.tile([0, 1, 2], 40)
    table = tabulate(y=y, scoring=["roc_auc_ovr", "neg_log_loss"], **few)
    assert table["y_score"][0].shape == (40, 3)
    assert np.isnan(table["prevalence"]).all()
    assert table["neg_log_loss"].max() < 0


def test_several_estimators_have_the_same_folds_and_samples():
    one = LogisticRegression()
    table = pd.DataFrame(tabulate({"one": one, "two": one}))
    first, second = (t.drop(columns="estimator") for _, t in table.groupby("estimator"))
    pd.testing.assert_frame_equal(first, second.reset_index(drop=True))
    assert tabulate()["roc_auc_low"].tolist() == first.roc_auc_low.tolist()


def test_images_of_different_sizes():
    sizes = [8, 9] * 12
    images = [np.full((s, 8, 3), i * 9, np.uint8) for i, s in enumerate(sizes)]
    y, source = [0, 1] * 12, ["A"] * 12 + ["B"] * 12
    clf = make_pipeline(MeanColor(), LogisticRegression())
    table = tabulate(clf, images, y, source, cv=2)
    assert table["n_test"].tolist() == [12] * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": ["A"] * 120}, "source is 'A' for all images"),
        ({"source": SOURCE[1:]}, "source has 119 entries, but there are 120 images"),
        ({"y": Y[1:]}, "y has 119 entries"),
        ({"source": np.where(Y == "nevus", "A", "B")}, r"'A' has no image of \['mel"),
        ({"groups": np.arange(120) % 41}, "group 0 is in the sources 'A' and 'B'"),
        ({"groups": np.arange(119)}, "groups has 119 entries"),
        ({"cv": ShuffleSplit(2)}, "cv=ShuffleSplit.*does not test each image once"),
        ({"scoring": []}, "scoring is empty"),
        ({"scoring": "no_such"}, "no_such"),
        ({"estimator": {}}, "estimator is an empty dict"),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        tabulate(**options)
