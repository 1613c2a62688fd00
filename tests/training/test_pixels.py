"""Losses and metrics of pixels, against scikit-learn's and against formulas."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    jaccard_score,
    precision_score,
    recall_score,
)

from skinest._training._batches import OUTSIDE
from skinest._training._gradients import score_gradients
from skinest._training._pixels import METRICS, PixelLoss, PixelMetric, objective
from skinest.losses._resolve import LOSSES, resolve_loss

SHAPE = (5, 6, 7)
SCORES = {
    "precision": precision_score,
    "recall": recall_score,
    "iou": jaccard_score,
    "dice": f1_score,
}


def probabilities(n_outputs, seed=0, shape=SHAPE):
    generator = np.random.default_rng(seed)
    values = generator.uniform(0.02, 0.98, (*shape, n_outputs))
    if n_outputs > 1:
        values /= values.sum(axis=-1, keepdims=True)
    return values.astype(np.float32)


def codes_of(n_outputs, seed=1, shape=SHAPE):
    generator = np.random.default_rng(seed)
    return generator.integers(0, max(2, n_outputs), shape, dtype=np.uint8)


def targets(codes, weights=None):
    """What batches hold: codes, and weights that are 0 outside of images."""
    weights = np.ones(codes.shape) if weights is None else weights
    pixels = [codes, np.where(codes == OUTSIDE, 0, weights)]
    return np.stack(pixels, axis=-1).astype(np.float32)


def decided(outputs, threshold=0.5):
    if outputs.shape[-1] == 1:
        return (outputs[..., 0] > threshold).astype(int)
    return outputs.argmax(axis=-1)


def measured(name, n_outputs, batches, threshold=0.5):
    metric = PixelMetric(name, n_outputs, threshold)
    for codes, outputs in batches:
        metric.update_state(targets(codes), outputs)
    return float(metric.result())


def by_scikit_learn(name, n_outputs, batches, threshold=0.5):
    """Over the pixels of all images that are in an image."""
    true = np.concatenate([codes.ravel() for codes, _ in batches])
    predicted = np.concatenate([decided(o, threshold).ravel() for _, o in batches])
    true, predicted = (each[true != OUTSIDE] for each in (true, predicted))
    if name == "accuracy":
        return accuracy_score(true, predicted)
    labels = list(range(1, max(2, n_outputs)))
    options = {"average": "macro", "labels": labels, "zero_division": 1}
    return SCORES[name](true, predicted, **options)


@pytest.mark.parametrize("n_outputs", [1, 3, 5])
@pytest.mark.parametrize("name", METRICS[1:])
def test_metrics_are_those_of_scikit_learn_over_all_pixels(name, n_outputs):
    batches = []
    for seed, n_images in enumerate((4, 4, 1)):
        shape = (n_images, *SHAPE[1:])
        codes = codes_of(n_outputs, seed, shape)
        codes[:, :, -2:] = OUTSIDE
        batches.append((codes, probabilities(n_outputs, seed, shape)))
    expected = by_scikit_learn(name, n_outputs, batches)
    assert 0.05 < expected < 0.95
    assert measured(name, n_outputs, batches) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("threshold", [0.2, 0.8])
def test_foreground_is_what_is_above_the_threshold(threshold):
    batches = [(codes_of(1), probabilities(1))]
    found = measured("dice", 1, batches, threshold)
    expected = by_scikit_learn("dice", 1, batches, threshold)
    assert found == pytest.approx(expected, rel=1e-5)
    assert found != pytest.approx(measured("dice", 1, batches), rel=1e-3)
    at_it = np.full((1, 2, 2, 1), np.float32(threshold))
    found = measured("recall", 1, [(np.ones((1, 2, 2), np.uint8), at_it)], threshold)
    assert found == 0


@pytest.mark.parametrize("name", METRICS[1:])
def test_ratios_of_nothing_are_one(name):
    nothing = [(np.zeros(SHAPE, np.uint8), np.zeros((*SHAPE, 1), np.float32))]
    assert measured(name, 1, nothing) == 1
    outside = [(np.full(SHAPE, OUTSIDE), probabilities(1))]
    assert measured(name, 1, outside) == 1
    # One of two labels of the foreground is nowhere, the other is not found.
    three = np.zeros((*SHAPE, 3), np.float32)
    three[..., 0] = 1
    codes = np.zeros(SHAPE, np.uint8)
    codes[0, 0, 0] = 1
    expected = (codes == 0).mean() if name == "accuracy" else (1 + 0) / 2
    assert measured(name, 3, [(codes, three)]) == pytest.approx(expected)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("name", METRICS[1:])
def test_metrics_do_not_see_padding(name, n_outputs):
    codes = codes_of(n_outputs)
    codes[:, :2] = OUTSIDE
    one, other = probabilities(n_outputs), probabilities(n_outputs, seed=9)
    other[:, 2:] = one[:, 2:]
    assert not np.array_equal(decided(one), decided(other))
    assert measured(name, n_outputs, [(codes, one)]) == measured(
        name, n_outputs, [(codes, other)]
    )


def test_metrics_start_anew_with_each_epoch():
    metric = PixelMetric("iou", 3, 0.5)
    for seed in (1, 2):
        metric.reset_state()
        batch = codes_of(3, seed), probabilities(3, seed)
        metric.update_state(targets(batch[0]), batch[1])
        expected = by_scikit_learn("iou", 3, [batch])
        assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_objective_names_what_the_history_holds():
    compiled = objective(resolve_loss("dice"), 1, 0.5)
    assert compiled["loss"].name == "loss"
    names = [metric.name for metric in compiled["metrics"]]
    assert ("loss", *names) == METRICS


# Losses -----------------------------------------------------------------------------

OTHERS = ["mean_squared_error", "binary_focal_crossentropy", keras.losses.Dice()]


def named(loss):
    return loss if isinstance(loss, str) else f"keras {type(loss).__name__}"


def losses_of(loss, codes, outputs, weights=None):
    """The loss of each image."""
    n_outputs = outputs.shape[-1]
    pixel_loss = PixelLoss(resolve_loss(loss, n_channels=n_outputs), n_outputs)
    values = pixel_loss.call(
        keras.ops.convert_to_tensor(targets(codes, weights)), outputs
    )
    return keras.ops.convert_to_numpy(values)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_cross_entropy_is_its_formula_with_weights_of_pixels(n_outputs):
    codes, outputs = codes_of(n_outputs), probabilities(n_outputs)
    weights = np.random.default_rng(2).uniform(0.5, 3, SHAPE)
    of_labels = outputs
    if n_outputs == 1:
        of_labels = np.concatenate([1 - outputs, outputs], axis=-1)
    of_truth = np.take_along_axis(of_labels, codes[..., np.newaxis].astype(int), -1)
    expected = (weights * -np.log(of_truth[..., 0])).mean(axis=(1, 2))
    found = losses_of("binary_crossentropy", codes, outputs, weights)
    assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_dice_is_its_formula_over_the_foreground_with_weights_of_pixels(n_outputs):
    codes, outputs = codes_of(n_outputs), probabilities(n_outputs)
    weights = np.random.default_rng(2).uniform(0.5, 3, SHAPE)

    def total(values):
        return (weights * values).sum(axis=(1, 2))

    expected = []
    for label in range(1, max(2, n_outputs)):
        true = codes == label
        found = outputs[..., 0 if n_outputs == 1 else label]
        ratio = (2 * total(true * found) + 1) / (total(true) + total(found) + 1)
        expected.append(1 - ratio)
    found = losses_of("dice", codes, outputs, weights)
    assert_allclose(found, np.mean(expected, axis=0), rtol=1e-5)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("loss", [*LOSSES, *OTHERS], ids=named)
def test_losses_do_not_see_what_is_predicted_in_padding(loss, n_outputs):
    if n_outputs == 3 and loss == "binary_focal_crossentropy":
        loss = "categorical_focal_crossentropy"
    codes = codes_of(n_outputs)
    codes[:, :, :2] = OUTSIDE
    one, other = probabilities(n_outputs), probabilities(n_outputs, seed=9)
    inside = codes != OUTSIDE
    other[inside] = one[inside]
    assert not np.array_equal(one, other)
    resolved = resolve_loss(loss, n_channels=n_outputs)
    pixel_loss = PixelLoss(resolved, n_outputs)
    truth = keras.ops.convert_to_tensor(targets(codes))
    values = [
        keras.ops.convert_to_numpy(
            pixel_loss.call(truth, keras.ops.convert_to_tensor(p))
        )
        for p in (one, other)
    ]
    assert values[0].shape == (len(codes),)
    assert_array_equal(*values)
    gradients = score_gradients(
        lambda outputs: pixel_loss.call(truth, outputs)[:, None],
        one,
        np.ones((len(codes), 1)),
    )
    assert not gradients[~inside].any()
    assert gradients[inside].any()


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("loss", [*LOSSES, *OTHERS], ids=named)
def test_padded_images_cost_what_they_cost_without_padding(loss, n_outputs):
    if n_outputs == 3 and loss == "binary_focal_crossentropy":
        loss = "categorical_focal_crossentropy"
    codes, outputs = codes_of(n_outputs), probabilities(n_outputs)
    padded = codes.copy()
    padded[:, :, 4:] = OUTSIDE
    expected = losses_of(loss, codes[:, :, :4], outputs[:, :, :4])
    assert_allclose(losses_of(loss, padded, outputs), expected, rtol=1e-5)


@pytest.mark.parametrize("loss", [*LOSSES, *OTHERS], ids=named)
def test_each_image_has_a_loss_of_its_own(loss):
    codes, outputs = codes_of(1), probabilities(1)
    together = losses_of(loss, codes, outputs)
    alone = [losses_of(loss, codes[[i]], outputs[[i]])[0] for i in range(len(codes))]
    assert together.dtype == np.float32
    assert_allclose(together, alone, rtol=1e-5)
