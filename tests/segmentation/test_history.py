"""Losses and metrics of the history, against scikit-learn's and against formulas.

All are of pixels of images alone: the images are padded to the size of the network.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)
from sklearn.utils.class_weight import compute_class_weight

from skinest import losses

from .conftest import fit_known, make_noise, make_nothing, make_pairs, make_small

pytestmark = pytest.mark.usefixtures("no_graphs")
SIDES = (8, 16)  # of the network's own width, and half as high
SCORES = {
    "precision": precision_score,
    "recall": recall_score,
    "iou": jaccard_score,
    "dice": f1_score,
}


def count_labels(n_outputs):
    return max(2, n_outputs)


def validate(n_outputs, make=make_noise, y_val=None, **settings):
    """Fit a network of known weights, and validate it on nine images.

    Returns
    -------
    segmenter : UNetSegmenter
    true : ndarray of shape (9, 8, 16)
        Masks of the images.
    found : ndarray of shape (9, 8, 16, n_labels)
        Probabilities, at the size at which the network has seen the images.
    """
    n_classes = count_labels(n_outputs)
    X, y = make_pairs(5, SIDES, n_classes)
    X_val, given = make_pairs(9, SIDES, n_classes, seed=1)
    y_val = given if y_val is None else y_val
    segmenter = make_small(**{"epochs": 1, "pad_to_aspect_ratio": True, **settings})
    fit_known(make, segmenter, X, y, X_val=X_val, y_val=y_val)
    return segmenter, y_val, segmenter.predict_proba(X_val)


# Metrics ------------------------------------------------------------------------------


def check_metrics(segmenter, true, predicted):
    """Compare all metrics with scikit-learn's over all pixels of images."""
    true, predicted = true.ravel(), predicted.ravel()
    history = segmenter.history_
    accuracy = accuracy_score(true, predicted)
    assert history["val_accuracy"][-1] == pytest.approx(accuracy, rel=1e-5)
    labels = segmenter.classes_[1:]
    assert set(labels.tolist()) <= set(true.tolist())
    for name, score in SCORES.items():
        # Of what is there and not found even the precision is 0.
        expected = score(
            true, predicted, average="macro", labels=labels, zero_division=0
        )
        assert 0.02 < expected < 0.98
        found = history[f"val_{name}"][-1]
        assert found == pytest.approx(expected, rel=1e-5), name


@pytest.mark.parametrize(
    "n_outputs", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 5))]
)
def test_metrics_are_those_of_scikit_learn_over_all_pixels(n_outputs):
    segmenter, true, found = validate(n_outputs)
    predicted = segmenter.classes_[found.argmax(axis=-1)]
    assert len(np.unique(predicted)) > n_outputs / 2
    check_metrics(segmenter, true, predicted)


@pytest.mark.parametrize("threshold", [0.3, pytest.param(0.7, marks=pytest.mark.slow)])
def test_foreground_is_what_is_above_the_threshold(threshold):
    segmenter, true, found = validate(1, threshold=threshold)
    above = found[..., 1] > threshold
    check_metrics(segmenter, true, above.astype(int))
    assert (above != (found[..., 1] > 0.5)).mean() > 0.02


def test_what_is_at_the_threshold_is_background():
    segmenter, true, found = validate(1, lambda layer, name, shape: np.zeros(shape))
    assert (found == 0.5).all()
    assert true.any()
    assert segmenter.history_["val_recall"] == [0.0]
    assert segmenter.history_["val_accuracy"] == [pytest.approx(1 - true.mean())]


@pytest.mark.parametrize("n_outputs", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_ratios_of_nothing_are_one(n_outputs):
    empty = np.zeros((9, *SIDES), np.uint8)
    segmenter, _, found = validate(n_outputs, make_nothing, empty)
    assert (found[..., 0] > 0.99).all()
    for name in ("accuracy", *SCORES):
        assert segmenter.history_[f"val_{name}"] == [1.0], name


def test_what_is_not_found_counts_nothing_beside_what_is_nowhere():
    true = np.zeros((9, *SIDES), np.uint8)
    true[0, 0, 0] = 1  # is not found; and 2 is nowhere
    segmenter, _, _ = validate(3, make_nothing, true)
    for name in SCORES:
        assert segmenter.history_[f"val_{name}"] == [0.5], name
    accuracy = segmenter.history_["val_accuracy"]
    assert accuracy == [pytest.approx((true == 0).mean())]


@pytest.mark.slow
@pytest.mark.parametrize("n_outputs", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_metrics_start_anew_with_each_epoch(n_outputs):
    X, y = make_pairs(9, SIDES, count_labels(n_outputs))
    # Next to nothing is learned from epoch to epoch.
    segmenter = make_small(
        learning_rate=1e-12, batch_norm=False, pad_to_aspect_ratio=True
    )
    segmenter.fit(X, y, X_val=X, y_val=y)
    for name, values in segmenter.history_.items():
        assert values[0] == pytest.approx(values[1], rel=1e-4), name


# Losses -------------------------------------------------------------------------------


def encode(true, n_outputs):
    """Return targets as losses take them."""
    if n_outputs == 1:
        return (true == 1).astype(np.float32)[..., np.newaxis]
    return np.eye(n_outputs, dtype=np.float32)[true]


NAMED = {
    "binary_crossentropy": losses.crossentropy,
    "dice": losses.dice,
    "dice_crossentropy": losses.dice_crossentropy,
    "focal": losses.focal,
    "jaccard": losses.jaccard,
    "tversky": losses.tversky,
    "mean_squared_error": keras.losses.mean_squared_error,
    "categorical_focal_crossentropy": keras.losses.categorical_focal_crossentropy,
    "binary_focal_crossentropy": keras.losses.binary_focal_crossentropy,
    "keras Dice": keras.losses.Dice(),
}
OF_TWO, OF_MORE = "binary_focal_crossentropy", "categorical_focal_crossentropy"
FAST = {
    1: ("keras Dice",),
    3: ("dice",),
}
CASES = [
    pytest.param(name, n, marks=[pytest.mark.slow] * (name not in FAST[n]))
    for name in NAMED
    for n in (1, 3)
    if (name, n) not in ((OF_TWO, 3), (OF_MORE, 1))
]


@pytest.mark.parametrize(("name", "n_outputs"), CASES)
def test_losses_are_those_of_each_image_alone_without_padding(name, n_outputs):
    function = NAMED[name]
    loss = function if name == "keras Dice" else name
    segmenter, true, found = validate(n_outputs, loss=loss)
    truth = encode(true, n_outputs)
    outputs = found[..., 1:] if n_outputs == 1 else found
    expected = [
        np.mean(keras.ops.convert_to_numpy(function(truth[[i]], outputs[[i]])))
        for i in range(len(truth))
    ]
    assert np.std(expected) > 1e-3
    assert_allclose(segmenter.history_["val_loss"], [np.mean(expected)], rtol=1e-4)


def weigh(true, class_weight):
    return np.array([class_weight[label] for label in range(len(class_weight))])[true]


@pytest.mark.parametrize("n_outputs", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_cross_entropy_is_its_formula_with_weights_of_pixels(n_outputs):
    class_weight = {0: 0.7, 1: 2.5, 2: 4.0}
    for label in range(count_labels(n_outputs), 3):
        del class_weight[label]
    settings = {"loss": "binary_crossentropy", "class_weight": class_weight}
    segmenter, true, found = validate(n_outputs, **settings)
    of_truth = np.take_along_axis(found, true[..., np.newaxis].astype(int), -1)[..., 0]
    expected = np.mean(weigh(true, class_weight) * -np.log(of_truth))
    assert_allclose(segmenter.history_["val_loss"], [expected], rtol=1e-4)


@pytest.mark.parametrize("n_outputs", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_dice_is_its_formula_over_the_foreground_with_weights_of_pixels(n_outputs):
    class_weight = {0: 0.7, 1: 2.5, 2: 4.0}
    for label in range(count_labels(n_outputs), 3):
        del class_weight[label]
    segmenter, true, found = validate(n_outputs, class_weight=class_weight)
    weights = weigh(true, class_weight)

    def total(values):
        return (weights * values).sum(axis=(1, 2))

    expected = []
    for label in range(1, count_labels(n_outputs)):
        is_true, share = true == label, found[..., label]
        above = 2 * total(is_true * share) + 1
        expected.append(1 - above / (total(is_true) + total(share) + 1))
    assert_allclose(segmenter.history_["val_loss"], [np.mean(expected)], rtol=1e-4)


@pytest.mark.parametrize("n_outputs", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_weighted_cross_entropy_is_balanced_over_pixels_that_are_trained_on(n_outputs):
    _, y = make_pairs(5, SIDES, count_labels(n_outputs))
    balanced = compute_class_weight("balanced", classes=np.unique(y), y=y.ravel())
    segmenter, true, found = validate(n_outputs, loss="weighted_crossentropy")
    of_truth = np.take_along_axis(found, true[..., np.newaxis].astype(int), -1)[..., 0]
    expected = np.mean(balanced[true] * -np.log(of_truth))
    assert_allclose(segmenter.history_["val_loss"], [expected], rtol=1e-4)
