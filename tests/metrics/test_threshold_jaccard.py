"""Jaccard index with a threshold."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import BaseEstimator
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.model_selection import cross_val_score

from skinest.metrics import (
    iou_score,
    threshold_jaccard_score,
    threshold_jaccard_scorer,
)


def make_pair(n_common, n_union, n_pixels=100):
    """Return a true and a predicted mask with a known Jaccard index."""
    true, pred = np.zeros((2, n_pixels), dtype=np.uint8)
    true[:n_common] = 255
    pred[:n_union] = 255
    return true.reshape(10, -1), pred.reshape(10, -1)


# Jaccard indices of exactly .65, just below it, .9 and 0.
TRUE, PRED = zip(
    *(make_pair(*each) for each in [(13, 20), (12, 19), (27, 30), (0, 8)]), strict=True
)


def test_images_below_the_threshold_count_as_0():
    assert_allclose(threshold_jaccard_score(TRUE, PRED), (0.65 + 0.9) / 4)
    with_less = threshold_jaccard_score(TRUE, PRED, threshold=0.6)
    assert_allclose(with_less, (0.65 + 12 / 19 + 0.9) / 4)
    assert threshold_jaccard_score(TRUE, PRED, threshold=0) == iou_score(TRUE, PRED)


def test_weights_of_images():
    weights = [1, 5, 3, 1]
    score = threshold_jaccard_score(TRUE, PRED, sample_weight=weights)
    assert_allclose(score, (0.65 + 3 * 0.9) / 10)


def test_images_without_a_score_are_left_out():
    empty = np.zeros((10, 10), dtype=np.uint8)
    true, pred = [*TRUE[2:], empty], [*PRED[2:], empty]
    for zero_division, expected in ((1.0, 1.9 / 3), (0.0, 0.3), (np.nan, 0.45)):
        score = threshold_jaccard_score(true, pred, zero_division=zero_division)
        assert_allclose(score, expected)
    with pytest.warns(UndefinedMetricWarning):
        assert_allclose(threshold_jaccard_score(true, pred), 0.3)


def test_options_of_masks():
    """One pixel in 20 is not labelled, and all others are right."""
    true, pred = np.full((1, 4, 5), 255), np.full((1, 4, 5), 255)
    true[0, 0] = -1
    pred[0, 0] = 0
    options = {"ignore_label": -1, "labels": [255]}
    assert threshold_jaccard_score(true, pred, **options) == 1


class Eroding(BaseEstimator):
    """A segmenter that predicts a part of each image, which is its own mask."""

    def __init__(self, n=0, ignore_label=None):
        self.n = n
        self.ignore_label = ignore_label

    def fit(self, X, y):
        return self

    def predict(self, X):
        masks = np.array(X)
        masks[:, : self.n] = 0
        return masks


@pytest.mark.filterwarnings("error")
def test_scorer():
    X = np.full((4, 10, 3), 255, dtype=np.uint8)
    X[:2] = 0  # empty, and predicted empty: right
    assert_allclose(threshold_jaccard_scorer(Eroding(3), X, X), (2 + 2 * 0.7) / 4)
    assert threshold_jaccard_scorer(Eroding(4), X, X) == 0.5
    y = X.astype(int)
    y[:, :4] = -1
    assert threshold_jaccard_scorer(Eroding(4, ignore_label=-1), X, y) == 1
    scores = cross_val_score(Eroding(3), X, X, scoring=threshold_jaccard_scorer, cv=2)
    assert_allclose(scores, [1, 0.7])


@pytest.mark.parametrize("threshold", [-0.1, 1.1, "high"])
def test_wrong_thresholds(threshold):
    with pytest.raises(ValueError, match="The 'threshold' parameter"):
        threshold_jaccard_score(TRUE, PRED, threshold=threshold)
