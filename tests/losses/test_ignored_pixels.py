"""Pixels that do not count in losses, and targets that are out of range."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest

from skinest import losses

from .tensors import FUNCTIONS, INSTANCES, by_class, call, gradients, masks, weights

IGNORED = [255, -1]
CHANNELS = [1, 3]


def set_ignore_label(loss, ignore_label):
    return type(loss)(**{**loss.get_params(), "ignore_label": ignore_label})


def ignore_some(y_true, ignore_label):
    """Return targets of which two rows of each image are not labelled, and which."""
    y_true, is_ignored = y_true.copy(), np.zeros(y_true.shape[:3], dtype=bool)
    is_ignored[:, 1:3] = True
    y_true[is_ignored] = ignore_label
    return y_true, is_ignored


def make_losses(n_channels):
    """Return each function and object that computes losses for so many channels."""
    found = list(FUNCTIONS)
    for loss in INSTANCES:
        if n_channels > 1 and isinstance(loss, losses.WeightedCrossentropy):
            loss = losses.WeightedCrossentropy((1.0, 20.0, 3.0))
        found.append(loss)
    return found


def compute(loss, y_true, y_pred, ignore_label=None, pixel_weight=None):
    """Return one value for each image, of a function or an object."""
    if isinstance(loss, keras.losses.Loss):
        loss = set_ignore_label(loss, ignore_label).per_image
        return call(loss, y_true, y_pred, pixel_weight)
    options = {"ignore_label": ignore_label, "pixel_weight": pixel_weight}
    return call(loss, y_true, y_pred, **options)


def make_identity():
    """Return a model whose outputs are its inputs."""
    layer = keras.layers.Activation("linear")
    return keras.Sequential([keras.Input((4, 5, 1)), layer])


@pytest.mark.parametrize("n_channels", CHANNELS)
@pytest.mark.parametrize("ignore_label", IGNORED)
def test_a_loss_is_that_of_the_other_pixels(ignore_label, n_channels):
    y_true, y_pred = masks(n_channels)
    ignored, is_ignored = ignore_some(y_true, ignore_label)
    for loss in make_losses(n_channels):
        found = compute(loss, ignored, y_pred, ignore_label)
        # The rows that remain are images of their own.
        kept = ~is_ignored[0, :, 0]
        expected = compute(loss, y_true[:, kept], y_pred[:, kept])
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        both = compute(loss, ignored, y_pred, ignore_label, weights())
        expected = compute(
            loss, y_true[:, kept], y_pred[:, kept], None, weights()[:, kept]
        )
        np.testing.assert_allclose(both, expected, rtol=1e-5)


@pytest.mark.parametrize("n_channels", CHANNELS)
def test_what_is_predicted_there_changes_no_bit(n_channels):
    y_true, y_pred = masks(n_channels)
    other = y_pred.copy()
    ignored, is_ignored = ignore_some(y_true, 255)
    other[is_ignored] = masks(n_channels, seed=5)[1][is_ignored]
    for loss in make_losses(n_channels):
        expected = compute(loss, ignored, y_pred, 255)
        np.testing.assert_array_equal(compute(loss, ignored, other, 255), expected)
    for loss in FUNCTIONS:

        def ignoring(y_true, y_pred, loss=loss):
            return loss(y_true, y_pred, ignore_label=255)

        found = gradients(ignoring, ignored, y_pred)
        assert (found[is_ignored] == 0).all() and found[~is_ignored].any()


@by_class("loss", INSTANCES)
def test_an_image_of_such_pixels_only_costs_nothing(loss):
    y_true, y_pred = masks(1)
    y_true[1] = 255
    found = compute(loss, y_true, y_pred, 255)
    assert found[1] == 0 and (found[[0, 2]] > 0).all()


@by_class("loss", INSTANCES)
def test_the_label_is_saved_shown_and_trained_with(loss):
    loss = set_ignore_label(loss, -1)
    restored = keras.losses.deserialize(keras.losses.serialize(loss))
    assert restored.get_params()["ignore_label"] == -1
    assert "ignore_label=-1" in repr(loss)
    y_true, y_pred = masks(1)
    ignored, _ = ignore_some(y_true, -1)
    expected = call(loss.per_image, ignored, y_pred).mean()
    assert call(restored, ignored, y_pred) == pytest.approx(expected)
    model = keras.Sequential(
        [keras.Input((4, 5, 1)), keras.layers.Activation("linear")]
    )
    model.compile(loss=loss)
    found = model.evaluate(y_pred, ignored, verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("ignore_label", [0, 1, 0.5, "255", True])
def test_targets_are_not_labels_to_ignore(ignore_label):
    with pytest.raises(ValueError, match=r"ignore_label=.* other than 0 and 1"):
        losses.Dice(ignore_label=ignore_label)
    with pytest.raises(ValueError, match="ignore_label"):
        losses.dice(*masks(1), ignore_label=ignore_label)


# Values


@pytest.mark.parametrize("n_channels", CHANNELS)
@pytest.mark.parametrize(
    ("low", "high"), [(0, 255), (0, 2), (-1, 1), (0, 1.1), (0, np.nan), (0, np.inf)]
)
def test_targets_out_of_range_are_refused(low, high, n_channels):
    y_true, y_pred = masks(n_channels)
    y_true = np.where(y_true == 1, high, low)
    says = r"y_true has values from .* to .*in \[0, 1\].* use masks == 255"
    for loss in make_losses(n_channels):
        for targets in (y_true, keras.ops.convert_to_tensor(y_true, "float32")):
            with pytest.raises(ValueError, match=says):
                compute(loss, targets, y_pred)
        with pytest.raises(ValueError, match="ignore_label" if high == 255 else says):
            compute(loss, y_true, y_pred, ignore_label=77)


@pytest.mark.parametrize("loss", [losses.Dice(), losses.Crossentropy()])
def test_masks_of_zero_and_255_have_no_negative_loss_in_keras(loss):
    y_true, y_pred = masks(1)
    model = make_identity()
    model.compile(loss=loss)
    assert np.isnan(model.evaluate(y_pred, 255 * y_true, verbose=0))
    assert model.evaluate(y_pred, y_true, verbose=0) > 0
    model.compile(loss=loss, run_eagerly=True)
    with pytest.raises(ValueError, match="y_true has values from 0 to 255"):
        model.evaluate(y_pred, 255 * y_true, verbose=0)


@by_class("loss", INSTANCES)
def test_logits_and_negative_weights_are_refused(loss):
    y_true, y_pred = masks(1)
    with pytest.raises(ValueError, match=r"y_pred has values from .* sigmoid"):
        compute(loss, y_true, 10 * y_pred - 5)
    for wrong in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="pixel_weight has values from"):
            compute(loss, y_true, y_pred, pixel_weight=wrong * weights())


@by_class("loss", INSTANCES)
def test_values_within_the_rounding_of_resizing_are_accepted(loss):
    y_true, y_pred = masks(1)
    resized = np.where(y_true == 1, 1 + 1e-6, -1e-6)
    np.testing.assert_allclose(
        compute(loss, resized, y_pred), compute(loss, y_true, y_pred), rtol=1e-4
    )
