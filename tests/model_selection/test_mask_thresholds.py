"""The threshold of a segmenter, chosen by cross-validation."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skinest.metrics import dice_score, dice_scorer, iou_scorer
from skinest.model_selection import tune_mask_threshold

from ..segmentation.conftest import (
    Replace,
    make_brightness,
    make_pairs,
    make_small,
)

CV = KFold(2, shuffle=True, random_state=0)


@pytest.fixture(scope="module")
def pairs():
    images, masks = make_pairs(8, (16, 16))
    return images, masks * 255


def make_bright(**settings):
    """Make a segmenter that learns nothing but how bright a pixel is."""
    return make_small(epochs=1, keras_callbacks=[Replace(make_brightness)], **settings)


def test_scores_are_those_of_segmenters_with_each_threshold(pairs):
    images, masks = pairs
    thresholds = [0.9, 0.0005, 0.002]  # the noise is dark, but not black
    result = tune_mask_threshold(
        make_bright(), images, masks, thresholds=thresholds, scoring=iou_scorer, cv=CV
    )
    assert_array_equal(result.thresholds, sorted(thresholds))
    expected = np.zeros((3, 2))
    for fold, (train, test) in enumerate(CV.split(images)):
        fitted = make_bright().fit(images[train], masks[train])
        for row, threshold in enumerate(result.thresholds):
            fitted.set_params(threshold=threshold)
            expected[row, fold] = iou_scorer(fitted, images[test], masks[test])
    assert_allclose(result.scores, expected, rtol=1e-12)
    means = expected.mean(axis=1)
    assert len(set(means)) == 3
    assert result.best_threshold == result.thresholds[means.argmax()]
    assert result.best_score == means.max()


def test_each_fold_is_trained_once(pairs, monkeypatch):
    n_fits, fit = [], keras.Model.fit

    def count(model, *args, **kwargs):
        n_fits.append(1)
        return fit(model, *args, **kwargs)

    monkeypatch.setattr(keras.Model, "fit", count)
    segmenter = make_small(epochs=1)
    result = tune_mask_threshold(segmenter, *pairs, cv=CV)
    assert len(n_fits) == 2
    assert result.scores.shape == (19, 2)
    assert not hasattr(segmenter, "classes_")


def test_masks_are_postprocessed_and_labels_ignored_as_by_the_segmenter(pairs):
    images, masks = pairs
    masks = masks.copy()
    masks[:, :4] = 7
    settings = {"ignore_label": 7, "postprocess": ["largest"]}
    segmenter = make_bright(**settings)
    result = tune_mask_threshold(
        segmenter, images, masks, thresholds=[0.02], scoring=dice_scorer, cv=CV
    )
    expected = []
    for train, test in CV.split(images):
        fitted = clone(segmenter).set_params(threshold=0.02)
        fitted.fit(images[train], masks[train])
        predicted = fitted.predict(images[test])
        score = dice_score(masks[test], predicted, zero_division=1.0, ignore_label=7)
        expected.append(score)
    assert_allclose(result.scores, [expected])


def test_of_equal_thresholds_the_one_nearest_to_a_half_is_chosen(pairs):
    # A pixel is black or white, so all thresholds give the same masks.
    masks = pairs[1]
    images = np.repeat(masks[..., np.newaxis], 3, axis=-1)
    result = tune_mask_threshold(
        make_bright(), images, masks, thresholds=[0.2, 0.4, 0.7], cv=CV
    )
    assert result.best_score == 1
    assert result.best_threshold == 0.4


class Known(BaseEstimator):
    """Segmenter whose probabilities are the brightness of grey images."""

    def __init__(self, threshold=0.5):
        self.threshold = threshold

    def fit(self, X, y):
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X):
        grey = np.asarray(X)[..., :1] / 255
        return np.concatenate([1 - grey, grey], axis=-1)

    def _mask(self, outputs):
        return (outputs[..., 0] > self.threshold).astype(int)


def make_steps():
    """Make images in three steps of brightness, and masks of the brighter two."""
    steps = np.array([[0, 60, 200]] * 4)
    images = np.repeat(steps[..., np.newaxis, np.newaxis], 3, axis=-1)
    return images.astype(np.uint8), (steps > 0).astype(int)[..., np.newaxis]


def test_the_segmenter_may_be_the_last_step_of_a_pipeline():
    images, masks = make_steps()
    pipeline = make_pipeline(FunctionTransformer(np.negative), Known())
    result = tune_mask_threshold(
        pipeline, np.negative(images), masks, thresholds=[0.1, 0.5], cv=2
    )
    assert_allclose(result.scores, [[1, 1], [2 / 3, 2 / 3]])


def test_folds_without_a_score_do_not_count():
    images, masks = make_steps()
    masks[:2] = 255
    folds = [(np.arange(4), np.arange(2)), (np.arange(4), np.arange(2, 4))]
    scoring = make_scorer(dice_score, ignore_label=255)
    options = {"thresholds": [0.1, 0.5], "scoring": scoring}
    with pytest.warns(UndefinedMetricWarning, match="All pixels of y_true"):
        result = tune_mask_threshold(Known(), images, masks, cv=folds, **options)
    assert_allclose(result.scores, [[np.nan, 1], [np.nan, 2 / 3]])
    assert (result.best_threshold, result.best_score) == (0.1, 1)
    with (
        pytest.warns(UndefinedMetricWarning, match="All pixels of y_true"),
        pytest.raises(ValueError, match="Each fold has a score that is NaN"),
    ):
        tune_mask_threshold(Known(), images, masks, cv=folds[:1], **options)


@pytest.mark.parametrize("scoring", ["accuracy", None, dice_score, accuracy_score])
def test_what_is_no_scorer_of_masks_is_refused(scoring):
    with pytest.raises(ValueError, match=r"scoring=.* is not a scorer of masks"):
        tune_mask_threshold(Known(), *make_steps(), scoring=scoring)


@pytest.mark.parametrize("thresholds", [[], [0.5, 1.0], [0.0], 0.0, ["high"], [[1], 2]])
def test_wrong_thresholds_are_refused(thresholds, pairs):
    with pytest.raises(ValueError, match=r"thresholds=.* must be numbers between"):
        tune_mask_threshold(make_small(), *pairs, thresholds=thresholds)


class ThreeLabels(BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.arange(3)
        return self


def test_more_than_two_labels_have_no_threshold(pairs):
    with pytest.raises(ValueError, match=r"labels \[0, 1, 2\], but a threshold needs"):
        tune_mask_threshold(ThreeLabels(), *pairs, cv=CV)
