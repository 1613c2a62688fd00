"""Scorers of operating points, and thresholds, in estimators of scikit-learn."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    StratifiedGroupKFold,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_validate,
)
from sklearn.svm import SVC

from skinest.metrics import (
    find_threshold,
    net_benefit,
    partial_auc_score,
    partial_auc_scorer,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
)

N = 120
GROUPS = np.repeat(np.arange(N // 2), 2)
IS_MALIGNANT = (GROUPS % 4 == 0).astype(int)
Y = np.array(["benign", "malignant"])[IS_MALIGNANT]
X = np.random.default_rng(0).normal(size=(N, 2)) + IS_MALIGNANT[:, None]
FOLDS = list(StratifiedGroupKFold(3).split(X, Y, GROUPS))
RESPONSES = ("decision_function", "predict_proba")


@pytest.mark.parametrize("classifier", [SVC(), LogisticRegression()])
def test_scorers_in_cross_validation(classifier):
    metrics = {
        "sensitivity": (sensitivity_at_specificity, {"specificity": 0.8}),
        "specificity": (specificity_at_sensitivity, {"sensitivity": 0.8}),
        "area": (partial_auc_score, {}),
    }
    scoring = {
        name: make_scorer(metric, response_method=RESPONSES, **options)
        for name, (metric, options) in metrics.items()
    }
    scoring["ready"] = partial_auc_scorer
    found = cross_validate(
        classifier, X, Y, cv=FOLDS, scoring=scoring, return_estimator=True
    )
    for fold, (_, test) in enumerate(FOLDS):
        scores = found["estimator"][fold].decision_function(X[test])
        for name, (metric, options) in metrics.items():
            expected = metric(Y[test], scores, **options)
            assert_allclose(found[f"test_{name}"][fold], expected)
    assert_allclose(found["test_ready"], found["test_area"])


def test_scorers_in_a_search():
    scoring = make_scorer(net_benefit, threshold=0.2, response_method="predict_proba")
    grid = {"C": [0.01, 1]}
    search = GridSearchCV(LogisticRegression(), grid, scoring=scoring, cv=FOLDS)
    assert search.fit(X, Y).best_score_ > 0
    again = pickle.loads(pickle.dumps(partial_auc_scorer))
    assert again(search, X, Y) == partial_auc_scorer(search, X, Y)


@pytest.mark.parametrize("wanted", [0.5, 0.9, 1.0])
def test_a_threshold_of_left_out_images_has_the_wanted_sensitivity_there(wanted):
    classifier = LogisticRegression()
    left_out = cross_val_predict(classifier, X, Y, cv=FOLDS, method="predict_proba")
    threshold = find_threshold(Y, left_out[:, 1], sensitivity=wanted)
    found = left_out[Y == "malignant", 1]
    assert np.mean(found >= threshold) >= wanted
    assert np.mean(found > threshold) < wanted  # no higher one would do
    fixed = FixedThresholdClassifier(
        classifier, threshold=threshold, response_method="predict_proba"
    ).fit(X, Y)
    called = fixed.estimator_.predict_proba(X)[:, 1] >= threshold
    np.testing.assert_array_equal(fixed.predict(X) == "malignant", called)


def test_infinity_as_threshold_calls_nothing_positive():
    fixed = FixedThresholdClassifier(
        LogisticRegression(), threshold=np.inf, response_method="predict_proba"
    )
    assert set(fixed.fit(X, Y).predict(X)) == {"benign"}


@pytest.mark.parametrize("pos_label", ["malignant", "benign"])
def test_scorer_of_labels_tunes_a_threshold(pos_label):
    """It counts the specificity of thresholds with the wanted sensitivity only.

    scikit-learn takes the mean over folds of each threshold, which is repeated here.
    """
    scorer = make_scorer(
        specificity_at_sensitivity, sensitivity=0.8, pos_label=pos_label
    )
    thresholds = np.linspace(0.1, 0.9, 9)
    tuned = TunedThresholdClassifierCV(
        LogisticRegression(),
        scoring=scorer,
        thresholds=thresholds,
        response_method="predict_proba",
        cv=FOLDS[:2],
        store_cv_results=True,
    ).fit(X, Y)
    (negative,) = {"malignant", "benign"} - {pos_label}
    column = int(pos_label == "malignant")
    scores = np.zeros((2, 9))
    for fold, (train, test) in enumerate(FOLDS[:2]):
        fitted = LogisticRegression().fit(X[train], Y[train])
        proba = fitted.predict_proba(X[test])[:, column]
        for k, threshold in enumerate(thresholds):
            called = np.where(proba >= threshold, pos_label, negative)
            if recall_score(Y[test], called, pos_label=pos_label) >= 0.8:
                scores[fold, k] = recall_score(Y[test], called, pos_label=negative)
    assert_allclose(tuned.cv_results_["scores"], scores.mean(axis=0))
    assert tuned.best_threshold_ == thresholds[scores.mean(axis=0).argmax()]
