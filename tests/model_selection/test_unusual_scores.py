"""Intervals of unusual metrics, labels, masks and weights."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from functools import partial

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    jaccard_score,
    log_loss,
    make_scorer,
    median_absolute_error,
    roc_auc_score,
)

from skinest.metrics import (
    blob_f1_score,
    dice_score,
    hausdorff_distance,
    threshold_jaccard_score,
)
from skinest.model_selection import bootstrap_interval, compare
from skinest.model_selection._fast_scores import make_fast_score

RNG = np.random.default_rng(0)
Y = np.arange(60) % 3 == 0
SCORE = Y + RNG.normal(size=60)
OPTIONS = {"n_resamples": 20, "random_state": 0}
MASKS, PREDICTED = (RNG.random((2, 12, 8, 8)) < 0.6).astype(np.uint8)


def without_weights(metric):
    return lambda y_true, y_score: metric(y_true, y_score)


# Metrics


def test_a_metric_that_ignores_its_weights_gets_repeated_images():
    def ignores(y_true, y_score, sample_weight=None):
        return np.mean(y_true == (y_score > 0.5))

    def squares(y_true, y_score, sample_weight):
        return np.average(y_true == (y_score > 0.5), weights=sample_weight**2)

    expected = bootstrap_interval(accuracy_score, Y, SCORE > 0.5, **OPTIONS)
    for metric in (ignores, squares):
        result = bootstrap_interval(metric, Y, SCORE, **OPTIONS)
        np.testing.assert_allclose(result.distribution, expected.distribution)


@pytest.mark.parametrize("labels", [[0, 1, 2], [0.0, 1.0, 2.0], ["mel", "nv", "other"]])
@pytest.mark.parametrize("metric", [f1_score, jaccard_score])
def test_a_label_that_is_only_predicted_is_not_in_samples_without_it(metric, labels):
    y = np.random.default_rng(1).integers(0, 2, 60)
    predicted = np.where(np.arange(60) % 7 == 0, 1 - y, y)
    predicted[0] = 2
    y_true, y_pred = np.array(labels)[y], np.array(labels)[predicted]
    macro = partial(metric, average="macro")
    found, expected = (
        bootstrap_interval(each, y_true, y_pred, **OPTIONS)
        for each in (macro, without_weights(macro))
    )
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(found.distribution, expected.distribution)


@pytest.mark.parametrize("kind", [str, object])
@pytest.mark.parametrize(
    ("metric", "takes_labels"),
    [
        (roc_auc_score, False),
        (average_precision_score, False),
        (accuracy_score, True),
        (f1_score, True),
    ],
)
def test_labels_of_text_have_the_scores_of_numbers_without_calls_of_the_metric(
    metric, takes_labels, kind
):
    def measure(labels):
        has_positive = metric in (average_precision_score, f1_score)
        options = {"pos_label": labels[0]} if has_positive else {}
        y_pred = labels[(SCORE > 0.5).astype(int)] if takes_labels else SCORE
        data = labels[Y.astype(int)], y_pred
        assert make_fast_score(metric, options, *data) is not None
        return bootstrap_interval(partial(metric, **options), *data, **OPTIONS)

    found = measure(np.array(["melanoma", "nevus"], dtype=kind))
    expected = measure(np.array([3, 7]))
    np.testing.assert_array_equal(found.distribution, expected.distribution)
    assert tuple(found) == tuple(expected)


def test_a_class_with_the_weight_0_is_not_in_samples_without_it():
    y_true = np.r_[2, 2, np.arange(58) % 2]
    y_pred = np.where(np.arange(60) % 7 == 0, 1 - y_true % 2, y_true % 2)
    macro = partial(f1_score, average="macro", zero_division=0)

    def of_repeated(y_true, y_pred, sample_weight):
        return macro(y_true, y_pred, sample_weight=sample_weight > 0)

    weights = np.where(y_true == 2, 0.0, 1.0)
    found, expected = (
        bootstrap_interval(metric, y_true, y_pred, sample_weight=weights, **OPTIONS)
        for metric in (macro, of_repeated)
    )
    np.testing.assert_allclose(found.distribution, expected.distribution)


def test_a_metric_of_the_worst_image_gets_repeated_images():
    def worst(y_true, y_score, sample_weight=None):
        return np.max(np.abs(y_true - y_score))

    for y_true in (Y.astype(int), SCORE**2):
        found, expected = (
            bootstrap_interval(metric, y_true, SCORE, **OPTIONS)
            for metric in (worst, without_weights(worst))
        )
        assert found == expected and found.low < found.high


def test_images_are_repeated_few_times_if_weights_have_the_same_result():
    n_repeated = []

    def accuracy(y_true, y_pred, sample_weight=None):
        n_repeated.append(sample_weight is None)
        return accuracy_score(y_true, y_pred, sample_weight=sample_weight)

    y_pred = np.where(np.arange(60) % 5 == 0, np.arange(60), Y)  # 11 other labels
    bootstrap_interval(accuracy, Y.astype(int), y_pred, **OPTIONS)
    # Two with all images, and five without some of them.
    assert sum(n_repeated) <= 7 and len(n_repeated) >= 80


def test_a_metric_with_options_that_refuse_weights_gets_repeated_images():
    y_true = np.arange(18) % 3
    proba = np.random.default_rng(0).dirichlet(np.ones(3), 18) + np.eye(3)[y_true]
    proba /= 2
    area = partial(roc_auc_score, multi_class="ovo")
    expected = bootstrap_interval(lambda y, p: area(y, p), y_true, proba, **OPTIONS)
    for metric in (area, "roc_auc_ovo"):
        found = bootstrap_interval(metric, y_true, proba, **OPTIONS)
        assert tuple(found) == tuple(expected)


def test_a_metric_may_need_a_label_that_few_images_have():
    """Without image 0, nothing is predicted as 2, and the metric raises IndexError."""

    def rate(y_true, y_pred, sample_weight=None):
        table = confusion_matrix(y_true, y_pred, sample_weight=sample_weight)
        return table[0, 2] / table.sum()

    y = np.arange(30) % 2
    result = bootstrap_interval(rate, y, np.where(np.arange(30), y, 2), **OPTIONS)
    assert result.estimate == 1 / 30


def test_a_median_has_the_result_of_repeated_images():
    fast, slow = (
        bootstrap_interval(metric, SCORE, SCORE**2, **OPTIONS)
        for metric in (median_absolute_error, without_weights(median_absolute_error))
    )
    assert fast == slow and fast.low < fast.high


@pytest.mark.parametrize(
    "metric",
    [
        hausdorff_distance,
        threshold_jaccard_score,
        partial(blob_f1_score, average="imagewise", zero_division=1.0),
        partial(blob_f1_score, average="pooled", zero_division=1.0),
        partial(dice_score, zero_division=1.0),
    ],
    ids=["Hausdorff", "threshold Jaccard", "blobs", "pooled blobs", "Dice"],
)
def test_metrics_of_masks_in_files_have_the_result_of_repeated_masks(metric, tmp_path):
    paths = [str(tmp_path / f"{number}.png") for number in range(12)]
    for path, mask in zip(paths, MASKS, strict=True):
        cv2.imwrite(path, mask)
    expected = bootstrap_interval(
        without_weights(metric), list(MASKS), list(PREDICTED), **OPTIONS
    )
    for y_true in (paths, pd.Series(paths), MASKS):
        result = bootstrap_interval(metric, y_true, PREDICTED, **OPTIONS)
        np.testing.assert_allclose(result.distribution, expected.distribution)


@pytest.mark.parametrize("metric", [hausdorff_distance, threshold_jaccard_score])
def test_images_may_share_the_file_of_a_mask(metric, tmp_path):
    masks = MASKS.copy()
    masks[1:4] = masks[0]
    paths = [str(tmp_path / f"{number}.png") for number in (0, 0, 0, 0, *range(4, 12))]
    for path, mask in zip(paths, masks, strict=True):
        cv2.imwrite(path, mask)
    found, expected = (
        bootstrap_interval(metric, y_true, PREDICTED, **OPTIONS)
        for y_true in (paths, masks)
    )
    np.testing.assert_allclose(found.distribution, expected.distribution)


def test_a_mean_over_masks_is_computed_once_for_each_mask():
    n_masks = []

    def mean_agreement(y_true, y_pred):
        n_masks.append(len(y_true))
        return np.mean([np.mean(t == p) for t, p in zip(y_true, y_pred, strict=True)])

    bootstrap_interval(mean_agreement, MASKS, list(PREDICTED), **OPTIONS)
    # Each one, and two comparisons with repeated masks.
    assert n_masks[:12] == [1] * 12 and len(n_masks) == 14


def test_scores_that_are_undefined_in_some_samples_leave_the_others():
    def mean_of_high(y_true, y_score):
        chosen = y_score > 2
        return np.mean(y_true[chosen]) if chosen.any() else np.nan

    y_true = np.r_[Y[:-2], True, False]
    arguments = (mean_of_high, y_true, np.r_[SCORE[:-2].clip(max=1), 3.0, 3.0])
    with pytest.warns(UserWarning, match=r"NaN or infinite in \d+ of 50 bootstrap"):
        result = bootstrap_interval(*arguments, n_resamples=50, random_state=0)
    assert np.isnan(result.distribution).any()
    assert np.isfinite([*result, result.standard_error]).all()
    y_score, other = arguments[2], np.r_[SCORE[:-2].clip(max=1), 1.0, 3.0]
    with pytest.warns(UserWarning, match="NaN or infinite"):
        result = compare(
            *(mean_of_high, y_true, y_score, other), n_resamples=50, random_state=0
        )
    known = result.distribution[np.isfinite(result.distribution)]
    assert result.share_below_zero == np.mean(known < 0)


@pytest.mark.parametrize(
    ("of_all", "of_samples", "message"),
    [
        (np.nan, 0.5, "of all images is NaN"),
        (np.inf, 0.5, "of all images is infinite"),
        (0.5, np.nan, "NaN or infinite in all bootstrap samples"),
    ],
)
def test_scores_without_an_interval(of_all, of_samples, message):
    def metric(y_true, y_score):
        return of_all if len(np.unique(y_score)) == 60 else of_samples

    with pytest.raises(ValueError, match=message):
        bootstrap_interval(metric, Y, SCORE, **OPTIONS)


# Labels


def test_few_images_have_limits_or_an_error():
    for y_true in ([0, 1], ["benign", "malignant"]):
        with pytest.warns(UserWarning, match="is in 1 of 2 groups"):
            result = bootstrap_interval(accuracy_score, y_true, y_true, **OPTIONS)
        # Each of 2 groups is right with the probability .025 ** (1 / 2).
        np.testing.assert_allclose(result, [1, 0.025**0.5, 1])
    with pytest.raises(ValueError, match="All images are of one group"):
        bootstrap_interval(accuracy_score, [1], [1], **OPTIONS)
    with pytest.raises(ValueError, match="y_true is empty"):
        bootstrap_interval(accuracy_score, [], [], **OPTIONS)


def test_one_class_has_an_accuracy_but_no_area():
    result = bootstrap_interval(accuracy_score, np.ones(60), Y, **OPTIONS)
    assert result.low < result.estimate < result.high
    with (
        pytest.warns(match="Only one class"),
        pytest.raises(ValueError, match="of all images is NaN"),
    ):
        bootstrap_interval(roc_auc_score, np.ones(60), SCORE, **OPTIONS)


def test_one_class_does_not_say_which_column_is_of_the_positive_class():
    mel = np.random.default_rng(0).random(20)
    proba = np.column_stack([mel, 1 - mel])
    for y_true, pos_label in ((["mel"] * 20, "mel"), ([0] * 20, 0)):
        brier = make_scorer(
            brier_score_loss,
            pos_label=pos_label,
            response_method="predict_proba",
            greater_is_better=False,
        )
        with pytest.raises(ValueError, match="Pass only the column of the"):
            bootstrap_interval(brier, y_true, proba, **OPTIONS)
        result = bootstrap_interval(brier, y_true, mel, **OPTIONS)
        np.testing.assert_allclose(result.estimate, -np.mean((1 - mel) ** 2))
    # Without pos_label it is the second one, as for classifiers of 0 and 1.
    brier = make_scorer(brier_score_loss, response_method="predict_proba")
    result = bootstrap_interval(brier, [1] * 20, proba, **OPTIONS)
    np.testing.assert_allclose(result.estimate, np.mean(mel**2))


@pytest.mark.filterwarnings("ignore:Label 1 present is in")
def test_a_label_that_no_image_has_is_not_required_in_samples():
    y_true = np.column_stack([Y, np.zeros(60, dtype=int)])
    metric = partial(f1_score, average="samples", zero_division=1)
    result = bootstrap_interval(metric, y_true, y_true, **OPTIONS)
    assert result.estimate == 1


def test_a_missing_label_is_named():
    numbers = np.where(np.arange(60) == 7, np.nan, Y)
    texts = ["benign", *["malignant"] * 6, None, *["benign"] * 52]
    for y_true in (numbers, texts, pd.Series(texts)):
        with pytest.raises(ValueError, match="y_true has no value at position 7"):
            bootstrap_interval(roc_auc_score, y_true, SCORE, **OPTIONS)


def test_a_wrong_prediction_is_named():
    wrong = np.where(Y, np.nan, SCORE)
    for metric in (roc_auc_score, log_loss):
        with pytest.raises(ValueError, match=r"of y_true and score_b: .*NaN"):
            compare(metric, Y, np.clip(SCORE, 0, 1), wrong, **OPTIONS)


# Weights


@pytest.mark.filterwarnings("ignore:No positive samples in y_true")
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("metric", [roc_auc_score, without_weights(roc_auc_score)])
def test_two_columns_are_named_with_the_shape_that_was_passed(metric):
    pair = np.column_stack([1 - SCORE, SCORE])
    advice = r"class, as in {}\[:, 1\]\.$"
    with pytest.raises(ValueError, match=advice.format("y_score")) as raised:
        bootstrap_interval(metric, Y, pair, **OPTIONS)
    assert "(60, 2)" in str(raised.value)
    with pytest.raises(ValueError, match=advice.format("score_b")):
        compare(metric, Y, SCORE, pair, **OPTIONS)


def test_advice_on_columns_is_for_metrics_that_take_one():
    pair = np.column_stack([1 - SCORE, SCORE])
    with pytest.raises(ValueError, match="of y_true and y_score") as raised:
        bootstrap_interval(accuracy_score, Y, pair, **OPTIONS)
    assert "column" not in str(raised.value)
    p = 1 / (1 + np.exp(-SCORE))
    both = bootstrap_interval(log_loss, Y, np.column_stack([1 - p, p]), **OPTIONS)
    np.testing.assert_allclose(both, bootstrap_interval(log_loss, Y, p, **OPTIONS))


def test_images_with_the_weight_0_do_not_stand_for_their_class():
    weights = np.where(np.arange(60) < 48, 0.0, 1.0)  # four images are positive
    for metric in (roc_auc_score, balanced_accuracy_score):
        with pytest.warns(UserWarning, match="is in 4 of 60 groups"):
            result = bootstrap_interval(
                *(metric, Y, SCORE > 0.5), sample_weight=weights, **OPTIONS
            )
        assert result.estimate == metric(Y[48:], SCORE[48:] > 0.5)
        assert np.isfinite(result.distribution).all()
    weights = np.where(Y, 0.0, 1.0)
    with pytest.raises(ValueError, match="of all images is NaN"):
        bootstrap_interval(roc_auc_score, Y, SCORE, sample_weight=weights, **OPTIONS)
    result = bootstrap_interval(
        *(balanced_accuracy_score, Y, SCORE > 0.5), sample_weight=weights, **OPTIONS
    )
    assert result.estimate == np.mean(SCORE[~Y] <= 0.5)


@pytest.mark.parametrize("kind", [list, np.array, pd.Index, pd.Series])
def test_labels_of_a_metric_have_any_form(kind):
    rng = np.random.default_rng(0)
    y, probabilities = np.arange(15) % 3, rng.dirichlet(np.ones(3), 15)
    area = partial(roc_auc_score, multi_class="ovr", labels=kind([0, 1, 2]))
    expected = partial(roc_auc_score, multi_class="ovr")
    assert bootstrap_interval(area, y, probabilities, **OPTIONS) == bootstrap_interval(
        expected, y, probabilities, **OPTIONS
    )
    macro = partial(f1_score, labels=kind([0, 1]), average="macro")
    result = bootstrap_interval(macro, y % 2, (y + 1) % 2, **OPTIONS)
    assert result.estimate == f1_score(y % 2, (y + 1) % 2, average="macro")


def test_texts_that_all_differ_are_labels_unless_they_are_files():
    texts = ["a", "b", "c"]
    result = bootstrap_interval(accuracy_score, texts, texts, **OPTIONS)
    np.testing.assert_allclose(result, [1, 0.025 ** (1 / 3), 1])
