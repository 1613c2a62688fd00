"""Scores of classifiers on images of other sources than those trained on."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    make_scorer,
    roc_auc_score,
)
from sklearn.model_selection import (
    PredefinedSplit,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC

from skinest.metrics import specificity_at_sensitivity
from skinest.model_selection import bootstrap_interval, cross_source_table
from tests.utils.sound_estimators import MeanColor

SOURCE = np.repeat(["A", "B", "C"], 40)
Y = np.tile([1, 1, 1, 0], 30)
SHIFT = np.repeat([0.0, 3.0, -1.0], 40)
X = np.random.default_rng(0).normal(Y + SHIFT, 1)[:, np.newaxis]
FAST = {"n_resamples": 10, "random_state": 0}


def tabulate(estimators=None, X=X, y=Y, source=SOURCE, **options):
    estimators = LogisticRegression() if estimators is None else estimators
    return cross_source_table(estimators, X, y, source=source, **(FAST | options))


def test_each_source_is_trained_on_and_tested_on_each():
    table, predictions = tabulate(cv=StratifiedKFold(4), return_predictions=True)
    assert table.index.names == ["score", "estimator", "train", "test"]
    pairs = [(a, b) for a in "ABC" for b in "ABC"]
    assert set(predictions) == {("LogisticRegression", *pair) for pair in pairs}
    assert table.loc["average_precision"].shape == (9, 6)
    aucs = table.loc["roc_auc", "LogisticRegression"]
    assert aucs.index.tolist() == pairs
    for train, test in pairs:
        trained, tested = SOURCE == train, SOURCE == test
        clf = LogisticRegression()
        if train == test:
            folds = {"cv": StratifiedKFold(4), "method": "decision_function"}
            expected = cross_val_predict(clf, X[tested], Y[tested], **folds)
        else:
            clf.fit(X[trained], Y[trained])
            expected = clf.decision_function(X[tested])
        row = aucs.loc[(train, test)]
        auc = roc_auc_score(Y[tested], expected)
        assert row.estimate == pytest.approx(auc)
        assert row.low <= auc <= row.high
        assert row.n_train == (30 if train == test else 40)
        assert (row.n_test, row.prevalence) == (40, 0.75)
        rows, y_score = predictions["LogisticRegression", train, test]
        order = np.argsort(rows)
        assert rows[order].tolist() == np.flatnonzero(tested).tolist()
        np.testing.assert_allclose(y_score[order], expected)


def test_the_seed_is_that_of_the_intervals():
    table, predictions = tabulate(
        cv=None, scoring="roc_auc", n_resamples=40, return_predictions=True
    )
    rows, y_score = predictions["LogisticRegression", "A", "B"]
    expected = bootstrap_interval(
        roc_auc_score, Y[rows], y_score, n_resamples=40, random_state=0
    )
    found = table.loc[("roc_auc", "LogisticRegression", "A", "B")]
    assert tuple(found[["estimate", "low", "high"]]) == tuple(expected)


def test_groups_are_whole_at_home_and_in_the_bootstrap():
    """Each image is there twice, so a nearest neighbour knows its copy."""
    rng = np.random.default_rng(0)
    X, groups = rng.normal(size=(60, 2)).repeat(2, axis=0), np.arange(60).repeat(2)
    y, source = rng.permutation(60).repeat(2) % 2, np.repeat([0, 1], 60)
    data = {"estimators": KNeighborsClassifier(1), "X": X, "y": y, "source": source}
    data["scoring"] = "roc_auc"
    table, grouped = (tabulate(**data, groups=each) for each in (None, groups))
    at_home = [train == test for *_, train, test in table.index]
    assert table.estimate[at_home].min() > 0.9
    assert grouped.estimate[at_home].max() < 0.75
    # The standard error is that of 30 images of each source, not of 60.
    options = {"cv": None, "n_resamples": 100}
    table, grouped = (
        tabulate(**data, groups=each, **options) for each in (None, groups)
    )
    assert grouped.estimate.tolist() == table.estimate.tolist()
    ratio = (grouped.high - grouped.low) / (table.high - table.low)
    np.testing.assert_allclose(ratio, np.sqrt(2), rtol=0.25)


def test_all_others_are_trained_on_too():
    table = tabulate(cv=None, leave_one_out=True, scoring="roc_auc")
    assert len(table) == 6 + 3
    last = table.loc["roc_auc", "LogisticRegression", "all others"]
    assert last.index.tolist() == ["A", "B", "C"]
    assert last.n_train.tolist() == [80] * 3
    clf = LogisticRegression().fit(X[SOURCE != "B"], Y[SOURCE != "B"])
    scores = clf.decision_function(X[SOURCE == "B"])
    assert last.estimate["B"] == roc_auc_score(Y[SOURCE == "B"], scores)
    two = SOURCE != "C"
    data = {"X": X[two], "y": Y[two], "source": SOURCE[two]}
    assert len(tabulate(**data, leave_one_out=True, scoring="roc_auc")) == 4


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


def first_of(result):
    """Return the first score of a table, and the predictions that it is from."""
    table, predictions = result
    return table.estimate.iloc[0], next(iter(predictions.values()))[1]


def test_scorers_of_every_kind():
    few = {"cv": None, "return_predictions": True}
    # It predicts the most frequent label: for images of B, trained on A.
    for scoring, name in (
        ("accuracy", "accuracy"),
        (make_scorer(accuracy_score), "accuracy_score"),
        ({"mine": "accuracy"}, "mine"),
    ):
        result = tabulate(DummyClassifier(), scoring=scoring, **few)
        assert result[0].index.levels[0].tolist() == [name]
        accuracy, labels = first_of(result)
        assert accuracy == 0.75
        assert labels.tolist() == [1] * 40
    # A support vector machine has no probabilities.
    assert first_of(tabulate(SVC(), **few))[1].shape == (40,)
    three = {"X": X[:80], "y": np.arange(80) % 3, "source": SOURCE[:80]}
    result = tabulate(**three, scoring="neg_log_loss", **few)
    assert first_of(result)[1].shape == (40, 3)
    assert result[0].prevalence.isna().all()
    assert result[0].high.max() < 0


@pytest.mark.parametrize("labels", [["mel", "nev"], [1, 2]], ids=str)
@pytest.mark.parametrize(
    ("metric", "needs"),
    [
        (average_precision_score, ("decision_function", "predict_proba")),
        (average_precision_score, "predict_proba"),
        (brier_score_loss, "predict_proba"),
        (partial(specificity_at_sensitivity, sensitivity=0.8), "decision_function"),
        (f1_score, "predict"),
    ],
)
def test_scores_of_another_positive_class_are_those_of_scikit_learn(
    labels, metric, needs
):
    y = np.array(labels)[1 - Y]  # the class of interest comes first
    scorer = make_scorer(metric, response_method=needs, pos_label=labels[0])
    table = tabulate(y=y, scoring=scorer, cv=None).droplevel(["score", "estimator"])
    for train, test in table.index:
        trained, tested = SOURCE == train, SOURCE == test
        clf = LogisticRegression().fit(X[trained], y[trained])
        expected = scorer(clf, X[tested], y[tested])
        assert table.estimate[train, test] == pytest.approx(expected)


def test_the_positive_class_may_be_the_default_of_a_metric():
    y = 2 - Y  # 1 is the positive class of average precision
    options = {"scoring": "average_precision", "cv": None}
    table, expected = (tabulate(y=each, **options) for each in (y, Y))
    np.testing.assert_allclose(table.estimate, expected.estimate)
    with pytest.raises(ValueError, match="'average_precision' cannot be computed"):
        tabulate(y=np.array(["nev", "mel"])[Y], scoring="average_precision")


def test_scorers_of_decision_functions():
    auc = make_scorer(roc_auc_score, response_method="decision_function")
    table = tabulate(LinearSVC(), scoring=auc, cv=None)
    assert table.estimate.min() > 0.5
    with pytest.raises(ValueError, match="none of the methods"):
        tabulate(KNeighborsClassifier(), scoring=auc, cv=None)


def test_several_estimators_have_the_same_folds_and_samples():
    table = tabulate({"one": LogisticRegression(), "two": LogisticRegression()})
    one, two = (table.xs(name, level="estimator") for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two)
    pd.testing.assert_frame_equal(one, tabulate().droplevel("estimator"))


def test_features_may_be_sparse():
    table = tabulate(X=sparse.csr_array(X))
    pd.testing.assert_frame_equal(table, tabulate())


def test_images_of_different_sizes():
    sizes = [8, 9] * 12
    images = [np.full((s, 8, 3), i * 9, np.uint8) for i, s in enumerate(sizes)]
    y, source = [0, 1] * 12, ["A"] * 12 + ["B"] * 12
    clf = make_pipeline(MeanColor(), LogisticRegression())
    table = tabulate(clf, images, y, source, cv=2, scoring="roc_auc")
    assert table.n_test.tolist() == [12] * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": ["A"] * 120}, "source is 'A' for all images"),
        ({"source": SOURCE[1:]}, "source has 119 entries, but there are 120 images"),
        ({"y": Y[1:]}, "y has 119 entries"),
        ({"source": np.where(Y == 1, "A", "B")}, r"'A' has no image of \[0\]"),
        ({"groups": np.arange(120) % 41}, "group 0 is in the sources 'A' and 'B'"),
        ({"groups": np.arange(119)}, "groups has 119 entries"),
        ({"cv": ShuffleSplit(2)}, "cv=ShuffleSplit.*does not test each image once"),
        (
            {"cv": PredefinedSplit(np.arange(120) % 3)},
            r"cv=PredefinedSplit.* source 'A' do not have.* one source at a time",
        ),
        ({"scoring": []}, "scoring is empty"),
        (
            {"y": np.where(Y, "nevus", "melanoma")},
            r"'average_precision' cannot be computed for .*\['melanoma', 'nevus'\]"
            r".*make_scorer\(average_precision_score, pos_label='melanoma', ",
        ),
        ({"scoring": "no_such"}, "no_such"),
        ({"estimators": {}}, "estimators is an empty dict"),
        ({"X": (row for row in X)}, "X is of type generator.* list\\(generator\\)"),
        ({"X": None}, "X is of type NoneType"),
        ({"X": [], "y": [], "source": []}, "X is empty"),
        ({"y": np.where(np.arange(120), Y, np.nan)}, "y contains NaN, at position 0"),
        (
            {"source": np.where(np.arange(120), Y % 2, np.nan)},
            "source contains NaN, at position 0",
        ),
        ({"cv": 50}, "images of the source 'A' cannot be divided into folds.*Lower cv"),
        (
            {"source": np.where(SOURCE == "A", "all others", "B")}
            | {"leave_one_out": True},
            "source has 'all others'",
        ),
    ],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        tabulate(**options)


def test_scorer_without_a_metric_is_refused():
    with pytest.raises(TypeError, match="'own' was not created by make_scorer"):
        tabulate(scoring={"own": lambda clf, X, y: 1.0})
