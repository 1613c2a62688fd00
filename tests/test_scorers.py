"""Scorers of segmentation in searches, cross-validation and callbacks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pickle
from copy import deepcopy

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV, cross_validate

from skinest._compat import CallbackSupportMixin, open_callback_context, with_callbacks
from skinest.metrics import dice_score, dice_scorer, iou_score, iou_scorer
from tests.callbacks import ScoringMonitor, needs_callbacks


class Threshold(CallbackSupportMixin, BaseEstimator):
    """Foreground is what is brighter than `t`; fit learns nothing."""

    def __init__(self, t=100):
        self.t = t

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        root = open_callback_context(self, 2)
        root.call_on_fit_task_begin(estimator=self)
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        state = {
            "X": X,
            "y": y,
            "metadata": metadata,
            "reconstruction_attributes": {"fitted_": True},
        }
        for _ in range(2):
            epoch = root.subcontext(task_name="epoch")
            epoch.call_on_fit_task_begin(estimator=self)
            epoch.call_on_fit_task_end(estimator=self, **state)
        self.fitted_ = True
        root.call_on_fit_task_end(estimator=self, **state)
        return self

    def predict(self, X):
        masks = np.empty(len(X), dtype=object)
        masks[:] = [(np.asarray(image) > self.t).astype(np.uint8) * 255 for image in X]
        return masks


@pytest.fixture
def scene():
    """Return grey images of different sizes, and masks by a threshold of 150."""
    rng = np.random.default_rng(0)
    X = [rng.integers(0, 256, (8 + n, 12), dtype=np.uint8) for n in range(8)]
    return X, [(image > 150).astype(np.uint8) * 255 for image in X]


def test_scorers_score_what_predict_returns(scene):
    X, y = scene
    fitted = Threshold(t=100).fit(X, y)
    expected = dice_score(y, fitted.predict(X))
    assert 0.5 < expected < 1
    assert dice_scorer(fitted, X, y) == expected
    assert iou_scorer(fitted, X, y) == iou_score(y, fitted.predict(X))
    pooled = make_scorer(dice_score, average="pooled")
    assert pooled(fitted, X, y) == dice_score(y, fitted.predict(X), average="pooled")


@pytest.mark.filterwarnings("error")
def test_scorers_count_an_empty_mask_that_is_found_empty_as_right(scene):
    X, _ = scene
    nothing = [np.zeros_like(image) for image in X]
    fitted = Threshold(t=255).fit(X, nothing)
    assert dice_scorer(fitted, X, nothing) == iou_scorer(fitted, X, nothing) == 1


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_grid_search_finds_the_threshold(scene, n_jobs):
    X, y = scene
    grid = {"t": [100, 150, 200]}
    search = GridSearchCV(Threshold(), grid, scoring=dice_scorer, cv=2, n_jobs=n_jobs)
    search.fit(X, y)
    assert search.best_params_ == {"t": 150}
    assert search.best_score_ == search.score(X, y) == 1


def test_cross_validation_by_several_scorers(scene, write_masks):
    X, y = scene
    scoring = {"dice": dice_scorer, "iou": iou_scorer}
    scores = cross_validate(Threshold(), X, y, scoring=scoring, cv=4)
    for fold in range(4):
        test = slice(2 * fold, 2 * fold + 2)
        pred = Threshold().predict(X[test])
        assert scores["test_dice"][fold] == dice_score(y[test], pred)
        assert scores["test_iou"][fold] == iou_score(y[test], pred)
    paths = write_masks("masks", y)
    of_paths = cross_validate(Threshold(), X, paths, scoring=scoring, cv=4)
    np.testing.assert_array_equal(of_paths["test_iou"], scores["test_iou"])


@needs_callbacks
@pytest.mark.parametrize("in_search", [False, True])
def test_scoring_monitor(scene, in_search):
    X, y = scene
    monitor = ScoringMonitor(scoring={"dice": dice_scorer, "iou": iou_scorer})
    threshold = Threshold().set_callbacks(monitor)
    if in_search:
        GridSearchCV(threshold, {"t": [100]}, scoring=iou_scorer, cv=2).fit(X, y)
    else:
        threshold.fit(X, y)
    rows = monitor.get_logs().data
    epochs = [row for row in rows if row["task_name"] == "epoch"]
    assert len(epochs) == 2 * (3 if in_search else 1)
    pred = Threshold().predict(X)
    expected = (dice_score(y, pred), iou_score(y, pred))
    assert expected in [(row["dice"], row["iou"]) for row in epochs]


@needs_callbacks
def test_scorers_take_sample_weight(scene):
    X, y = scene
    weights = np.arange(8.0)
    expected = dice_score(y, Threshold().predict(X), sample_weight=weights)
    assert expected != dice_score(y, Threshold().predict(X))
    fitted = Threshold().fit(X, y)
    assert dice_scorer(fitted, X, y, sample_weight=weights) == expected
    monitor = ScoringMonitor(scoring=dice_scorer)
    Threshold().set_callbacks(monitor).fit(X, y, sample_weight=weights)
    assert {row["score"] for row in monitor.get_logs().data} == {expected}


def test_sample_weight_is_routed_to_scorers(scene):
    X, y = scene
    weights = np.arange(1.0, 9)
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_validate(
            Threshold().set_fit_request(sample_weight=False),
            X,
            y,
            scoring=deepcopy(dice_scorer).set_score_request(sample_weight=True),
            params={"sample_weight": weights},
            cv=2,
        )["test_score"]
    pred = Threshold().predict(X)
    for score, fold in zip(scores, (slice(0, 4), slice(4, 8)), strict=True):
        expected = dice_score(y[fold], pred[fold], sample_weight=weights[fold])
        assert score == pytest.approx(expected)


def test_scorers_pickle_and_show_their_metric(scene):
    X, y = scene
    fitted = Threshold().fit(X, y)
    for scorer, name in ((dice_scorer, "dice_score"), (iou_scorer, "iou_score")):
        again = pickle.loads(pickle.dumps(scorer))
        assert again(fitted, X, y) == scorer(fitted, X, y)
        assert name in repr(scorer)
