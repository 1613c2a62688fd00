"""Pixels that are not labelled count nowhere: in masks, metrics, scorers, displays."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from functools import partial

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import f1_score, jaccard_score, make_scorer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline

from skinest.inspection import SegmentationDisplay
from skinest.masks import check_masks, read_mask
from skinest.metrics import (
    dice_score,
    dice_scorer,
    iou_score,
    iou_scorer,
    segmentation_report,
)
from skinest.sampling import has_foreground

from .pairs_of_masks import random_masks

IGNORED = [255, -1]
SCORES = [(dice_score, f1_score), (iou_score, jaccard_score)]


def random_pairs(ignore_label, n_labels=3):
    """Return true masks of which a third is not labelled, and predictions."""
    true, pred = random_masks(n_labels, shapes=[(5, 7), (9, 4), (8, 8)])
    rng = np.random.default_rng(1)
    true = [
        np.where(rng.random(t.shape) < 1 / 3, ignore_label, t.astype(np.int16))
        for t in true
    ]
    return true, pred


def labelled(true, pred, ignore_label):
    """Return the pixels that count, by NumPy alone."""
    is_labelled = true != ignore_label
    return true[is_labelled], pred[is_labelled]


# Masks


@pytest.mark.parametrize("ignore_label", IGNORED)
def test_the_label_is_left_out_of_the_labels_of_masks(ignore_label, tmp_path):
    mask = np.array([[0, 1, ignore_label]], dtype=np.int16)
    masks = check_masks([mask], ignore_label=ignore_label)
    np.testing.assert_array_equal(masks[0], mask)
    assert masks.read(0)[1].tolist() == [0, 1]
    # A collection keeps the label, and can get another.
    assert check_masks(masks).read(0)[1].tolist() == [0, 1]
    assert check_masks(masks, ignore_label=1).ignore_label == 1


@pytest.mark.parametrize("labels", [range(32), [0, 1, 254]])
def test_the_label_is_not_one_of_those_that_are_checked(labels, write_masks):
    mask = np.array([[*labels, 255]], dtype=np.uint8)
    (path,) = write_masks("masks", [mask])
    np.testing.assert_array_equal(read_mask(path, ignore_label=255), mask)
    assert check_masks([path], ignore_label=255).read(0)[1].tolist() == [*labels]


@pytest.mark.parametrize("ignore_label", [255.0, "255", True, [255]])
def test_other_types_are_refused(ignore_label):
    mask = np.eye(4, dtype=np.uint8)
    with pytest.raises(ValueError, match=r"ignore_label=.* must be an integer"):
        check_masks([mask], ignore_label=ignore_label)
    with pytest.raises(ValueError, match="ignore_label"):
        dice_score([mask], [mask], ignore_label=ignore_label)


@pytest.mark.parametrize("ignore_label", IGNORED)
def test_foreground_is_neither_zero_nor_the_label(ignore_label):
    masks = np.zeros((3, 4, 4), dtype=np.int16)
    masks[:2, 0] = ignore_label
    masks[0, 1] = 1
    balance_by = partial(has_foreground, ignore_label=ignore_label)
    assert balance_by(None, masks).tolist() == [True, False, False]


# Metrics


@pytest.mark.parametrize("ignore_label", IGNORED)
@pytest.mark.parametrize(("score", "reference"), SCORES)
def test_scores_are_those_of_labelled_pixels(score, reference, ignore_label):
    true, pred = random_pairs(ignore_label)
    pairs = [labelled(*pair, ignore_label) for pair in zip(true, pred, strict=True)]
    expected = [reference(t, p, labels=[1, 2], average="macro") for t, p in pairs]
    options = {"ignore_label": ignore_label}
    np.testing.assert_allclose(score(true, pred, average=None, **options), expected)
    assert score(true, pred, **options) == pytest.approx(np.mean(expected))
    weights = [1, 0, 3]
    weighted = score(true, pred, sample_weight=weights, **options)
    assert weighted == pytest.approx(np.average(expected, weights=weights))
    all_true, all_pred = map(np.concatenate, zip(*pairs, strict=True))
    expected = reference(all_true, all_pred, labels=[1, 2], average="macro")
    assert score(true, pred, average="pooled", **options) == pytest.approx(expected)


@pytest.mark.parametrize("average", ["imagewise", "pooled"])
@pytest.mark.parametrize("ignore_label", IGNORED)
def test_the_report_is_that_of_labelled_pixels(average, ignore_label):
    true, pred = random_pairs(ignore_label)
    rows = [labelled(*pair, ignore_label) for pair in zip(true, pred, strict=True)]
    options = {"average": average, "output_dict": True}
    expected = segmentation_report(
        [t[np.newaxis] for t, _ in rows], [p[np.newaxis] for _, p in rows], **options
    )
    report = segmentation_report(true, pred, ignore_label=ignore_label, **options)
    assert report == expected


@pytest.mark.parametrize("score", [dice_score, iou_score, segmentation_report])
@pytest.mark.parametrize("ignore_label", IGNORED)
def test_predictions_of_pixels_without_a_label_change_nothing(score, ignore_label):
    true, pred = random_pairs(ignore_label)
    expected = score(true, pred, ignore_label=ignore_label)
    for value in (0, 7, ignore_label):  # 7 is nowhere else
        other = [
            np.where(t == ignore_label, value, p.astype(np.int16))
            for t, p in zip(true, pred, strict=True)
        ]
        assert score(true, other, ignore_label=ignore_label) == expected


def test_a_prediction_needs_labels_where_there_are_some():
    true, pred = np.array([[[0, 1, 255]]]), np.array([[[0, 255, 255]]])
    with pytest.raises(ValueError, match=r"y_pred\[0\] has ignore_label=255 where"):
        dice_score(true, pred, ignore_label=255)
    with pytest.raises(ValueError, match=r"labels=\[1, 255\] has ignore_label=255"):
        dice_score(true, true, labels=[1, 255], ignore_label=255)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("zero_division", [0.0, 1.0, "warn"])
def test_an_image_without_labels_does_not_count(zero_division):
    true = np.array([[[0, 1, 1, 255]], [[255] * 4]], dtype=np.uint8)
    pred = np.array([[[0, 1, 0, 0]], [[0, 1, 1, 1]]], dtype=np.uint8)
    options = {"ignore_label": 255, "zero_division": zero_division}
    each = dice_score(true, pred, average=None, **options)
    np.testing.assert_allclose(each, [2 / 3, np.nan])
    assert dice_score(true, pred, **options) == pytest.approx(2 / 3)
    assert dice_score(true, pred, average="pooled", **options) == pytest.approx(2 / 3)
    report = segmentation_report(true, pred, output_dict=True, **options)
    assert report["1"]["Dice"] == pytest.approx(2 / 3)
    assert report["1"]["accuracy"] == pytest.approx(2 / 3)
    assert report["1"]["support"] == 2


@pytest.mark.parametrize("average", ["imagewise", "pooled"])
def test_the_score_of_no_labels_is_nan_with_a_warning(average):
    masks = np.full((2, 3, 3), 255, dtype=np.uint8)
    with pytest.warns(UndefinedMetricWarning, match="ignore_label=255.*NaN"):
        assert np.isnan(
            dice_score(masks, masks // 255, average=average, ignore_label=255)
        )


# Scorers


class Bright(BaseEstimator):
    """Finds what is brighter than `t`, and does not count some pixels."""

    def __init__(self, t=100, ignore_label=None, mask_threshold=None):
        self.t = t
        self.ignore_label = ignore_label
        self.mask_threshold = mask_threshold

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X

    def predict(self, X):
        return (np.asarray(X) > self.t).astype(np.uint8)


@pytest.fixture
def scene():
    """Return images, and masks of what is above 150 and above 240, which is 255."""
    images = np.random.default_rng(0).integers(0, 256, (6, 9, 9), dtype=np.uint8)
    masks = (images > 150).astype(np.uint8)
    masks[images > 240] = 255
    return images, masks


def test_scorers_leave_out_what_the_segmenter_leaves_out(scene):
    X, y = scene
    fitted = Bright(ignore_label=255).fit(X)
    expected = dice_score(y, fitted.predict(X), ignore_label=255)
    assert expected > 1.5 * dice_score(y, fitted.predict(X), zero_division=1.0)
    search = GridSearchCV(fitted, {"t": [100]}, scoring=dice_scorer, cv=2).fit(X, y)
    for estimator in (fitted, make_pipeline(Bright(), fitted), search):
        assert dice_scorer(estimator, X, y) == expected
    iou = iou_score(y, fitted.predict(X), ignore_label=255)
    assert iou_scorer(fitted, X, y) == iou
    # A scorer that is created has options of its own.
    scorer = make_scorer(dice_score, ignore_label=255)
    assert scorer(Bright().fit(X), X, y) == expected


def test_a_search_finds_the_best_labelled_pixels(scene):
    X, y = scene
    search = GridSearchCV(
        Bright(ignore_label=255), {"t": [100, 150, 200]}, scoring=dice_scorer, cv=2
    ).fit(X, y)
    assert search.best_params_ == {"t": 150}
    assert search.best_score_ == search.score(X, y) == 1
    scoring = {"dice": dice_scorer, "iou": iou_scorer}
    scores = cross_validate(search.best_estimator_, X, y, scoring=scoring, cv=2)
    assert scores["test_dice"].tolist() == scores["test_iou"].tolist() == [1, 1]


# Displays


def test_displays_do_not_count_them():
    images = np.zeros((1, 4, 4, 3), np.uint8)
    true = np.array([[[0, 1, 1, 255]] * 4], dtype=np.uint8)
    pred = np.array([[[1, 1, 0, 1]] * 4], dtype=np.uint8)
    shown = [SegmentationDisplay.from_predictions(images, true, pred, ignore_label=255)]
    fitted = Bright(ignore_label=255).fit(images)
    fitted.predict = lambda X: pred
    shown.append(SegmentationDisplay.from_estimator(fitted, images, true))
    checked = check_masks(true, ignore_label=255)
    shown.append(SegmentationDisplay.from_predictions(images, checked, pred))
    fitted.set_params(ignore_label=None)
    shown.append(SegmentationDisplay.from_estimator(fitted, images, checked))
    for display in shown:
        assert display.labels == [1] and display.ignore_label == 255
        assert display.axes_[0, 0].get_title() == "Dice 0.500"
        tints = np.asarray(display.differences_[0].get_array())
        assert (tints[:, 3, 3] == 0).all() and (tints[:, :3, 3] > 0).all()
