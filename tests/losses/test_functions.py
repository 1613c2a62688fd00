"""Losses of masks: numbers, shapes, weights, gradients."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import functools

import keras
import numpy as np
import pytest
from keras import ops
from scipy.spatial import distance
from sklearn.metrics import log_loss

from skinest import losses
from skinest.losses import WeightedCrossentropy

from .tensors import (
    FUNCTIONS,
    REGIONS,
    call,
    gradients,
    masks,
    probabilities_of_truth,
    weights,
)

# One image of 2 x 2 pixels. True positives .8 + .6, false positives .4 + .1, false
# negatives .2 + .4.
TRUE = np.array([[1, 1], [0, 0]], dtype=np.float32).reshape(1, 2, 2, 1)
PRED = np.array([[0.8, 0.6], [0.4, 0.1]], dtype=np.float32).reshape(1, 2, 2, 1)
WEIGHT = np.array([[1, 2], [3, 0]], dtype=np.float32).reshape(1, 2, 2)


class TestNumbers:
    def test_dice(self):
        # 1 - (2 * 1.4 + s) / (2 + 1.9 + s)
        assert call(losses.dice, TRUE, PRED) == pytest.approx(1 - 3.8 / 4.9)
        loss = call(losses.dice, TRUE, PRED, smooth=0.0)
        assert loss == pytest.approx(1 - 2.8 / 3.9)
        # Weighted: tp .8 + 1.2, sum of t 3, of p .8 + 1.2 + 1.2
        loss = call(losses.dice, TRUE, PRED, pixel_weight=WEIGHT)
        assert loss == pytest.approx(1 - 5 / 7.2)

    def test_jaccard(self):
        # 1 - (1.4 + s) / (2 + 1.9 - 1.4 + s)
        assert call(losses.jaccard, TRUE, PRED) == pytest.approx(1 - 2.4 / 3.5)
        loss = call(losses.jaccard, TRUE, PRED, pixel_weight=WEIGHT, smooth=0.5)
        assert loss == pytest.approx(1 - 2.5 / (3 + 3.2 - 2 + 0.5))

    def test_tversky(self):
        # 1 - (1.4 + s) / (1.4 + .3 * .5 + .7 * .6 + s)
        assert call(losses.tversky, TRUE, PRED) == pytest.approx(1 - 2.4 / 2.97)
        # Weighted: tp 2, fp 3 * .4, fn .2 + 2 * .4
        loss = call(
            losses.tversky, TRUE, PRED, pixel_weight=WEIGHT, alpha=0.2, beta=2.0
        )
        assert loss == pytest.approx(1 - 3 / (2 + 0.2 * 1.2 + 2 * 1.0 + 1))

    def test_alpha_is_of_false_positives(self):
        """As in the paper, unlike some versions of Keras."""
        added = np.ones_like(TRUE)
        missed = TRUE * [[[[1.0], [0.0]]]]
        only_alpha = {"alpha": 1.0, "beta": 0.0, "smooth": 0.0}
        assert call(losses.tversky, TRUE, missed, **only_alpha) == pytest.approx(0)
        assert call(losses.tversky, TRUE, added, **only_alpha) == pytest.approx(0.5)

    def test_crossentropy(self):
        # -(log .8 + log .6 + log .6 + log .9) / 4
        expected = -np.log([0.8, 0.6, 0.6, 0.9])
        loss = call(losses.crossentropy, TRUE, PRED)
        assert loss == pytest.approx(expected.mean())
        loss = call(losses.crossentropy, TRUE, PRED, pixel_weight=WEIGHT)
        assert loss == pytest.approx(expected @ [1, 2, 3, 0] / 3)

    def test_focal(self):
        # (1 - p_t) ** 2 * -log p_t
        expected = [0.2**2, 0.4**2, 0.4**2, 0.1**2] * -np.log([0.8, 0.6, 0.6, 0.9])
        assert call(losses.focal, TRUE, PRED) == pytest.approx(expected.mean())
        loss = call(losses.focal, TRUE, PRED, pixel_weight=WEIGHT, alpha=0.75)
        weighted = expected * [0.75, 0.75, 0.25, 0.25] * [1, 2, 3, 0]
        assert loss == pytest.approx(weighted.sum() / 3)

    def test_dice_crossentropy(self):
        expected = (1 - 5 / 7.2) - np.log([0.8, 0.6, 0.6, 0.9]) @ [1, 2, 3, 0] / 3
        loss = call(losses.dice_crossentropy, TRUE, PRED, pixel_weight=WEIGHT)
        assert loss == pytest.approx(expected)

    def test_weighted_crossentropy(self):
        expected = -np.log([0.8, 0.6, 0.6, 0.9]) * [20, 20, 2, 2]
        loss = WeightedCrossentropy([2, 20])
        assert call(loss.per_image, TRUE, PRED) == pytest.approx(expected.mean())
        weighted = (expected @ [1, 2, 3, 0]) / 3
        assert call(loss.per_image, TRUE, PRED, WEIGHT) == pytest.approx(weighted)

    def test_weighted_crossentropy_of_channels(self):
        y_true, y_pred = masks(3)
        of_class = np.array([1.0, 5.0, 0.5])
        expected = -np.log(probabilities_of_truth(y_true, y_pred))
        expected *= of_class[y_true.argmax(axis=-1)]
        loss = call(WeightedCrossentropy(of_class).per_image, y_true, y_pred)
        np.testing.assert_allclose(loss, expected.mean(axis=(1, 2)), rtol=1e-5)


class TestAgainstOtherLibraries:
    @pytest.mark.parametrize("smooth", [0.0, 1e-6])
    def test_regions_of_hard_predictions_as_in_scipy(self, smooth):
        y_true, y_pred = masks(1)
        y_pred, pixel_weight = (y_pred > 0.5).astype(np.float32), weights()
        for function in (losses.dice, losses.jaccard):
            expected = [
                getattr(distance, function.__name__)(t.ravel() > 0, p.ravel() > 0, w)
                for t, p, w in zip(
                    y_true, y_pred, pixel_weight.reshape(3, -1), strict=True
                )
            ]
            loss = call(
                function, y_true, y_pred, pixel_weight=pixel_weight, smooth=smooth
            )
            np.testing.assert_allclose(loss, expected, rtol=1e-5)

    @pytest.mark.parametrize("n_channels", [1, 2, 4])
    def test_crossentropy_as_in_sklearn(self, n_channels):
        y_true, y_pred = masks(n_channels)
        of_classes = y_pred.astype(float)
        if n_channels == 1:
            labels = y_true[..., 0]
            of_classes = np.concatenate([1 - of_classes, of_classes], axis=-1)
        else:
            labels = y_true.argmax(axis=-1)
            of_classes /= of_classes.sum(axis=-1, keepdims=True)
        for pixel_weight in (np.ones((3, 4, 5)), weights()):
            expected = [
                log_loss(
                    labels[i].ravel(),
                    of_classes[i].reshape(20, -1),
                    normalize=False,
                    sample_weight=pixel_weight[i].ravel(),
                    labels=range(max(2, n_channels)),
                )
                / 20
                for i in range(3)
            ]
            loss = call(losses.crossentropy, y_true, y_pred, pixel_weight=pixel_weight)
            np.testing.assert_allclose(loss, expected, rtol=1e-5)

    @pytest.mark.parametrize("alpha", [None, [0.2, 1.0, 3.0]])
    def test_focal_as_in_its_paper(self, alpha):
        y_true, y_pred = masks(3)
        p_t = probabilities_of_truth(y_true, y_pred)
        alpha_t = 1 if alpha is None else np.array(alpha)[y_true.argmax(axis=-1)]
        expected = -alpha_t * (1 - p_t) ** 1.5 * np.log(p_t)
        loss = call(losses.focal, y_true, y_pred, gamma=1.5, alpha=alpha)
        np.testing.assert_allclose(loss, expected.mean(axis=(1, 2)), rtol=1e-5)

    @pytest.mark.parametrize("n_channels", [1, 3])
    def test_focal_without_gamma_is_crossentropy(self, n_channels):
        y_true, y_pred = masks(n_channels)
        expected = call(losses.crossentropy, y_true, y_pred)
        loss = call(losses.focal, y_true, y_pred, gamma=0.0)
        np.testing.assert_allclose(loss, expected, rtol=1e-5)

    def test_tversky_becomes_dice_and_jaccard(self):
        y_true, y_pred = masks(3)
        half = call(losses.tversky, y_true, y_pred, alpha=0.5, beta=0.5, smooth=0.5)
        np.testing.assert_allclose(half, call(losses.dice, y_true, y_pred), rtol=1e-5)
        one = call(losses.tversky, y_true, y_pred, alpha=1.0, beta=1.0)
        np.testing.assert_allclose(one, call(losses.jaccard, y_true, y_pred), rtol=1e-5)


class TestShapes:
    @pytest.mark.parametrize("n_channels", [1, 2, 3])
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_one_value_for_each_image_alone(self, function, weighted, n_channels):
        y_true, y_pred = masks(n_channels)
        pixel_weight = weights() if weighted else None
        loss = call(function, y_true, y_pred, pixel_weight=pixel_weight)
        assert loss.shape == (3,) and loss.dtype == np.float32
        for i in range(3):
            one = slice(i, i + 1)
            alone = call(
                function,
                y_true[one],
                y_pred[one],
                pixel_weight=pixel_weight[one] if weighted else None,
            )
            np.testing.assert_allclose(alone, loss[one], rtol=1e-5)

    @pytest.mark.parametrize("function", REGIONS)
    def test_regions_of_channels_are_the_mean_without_background(self, function):
        y_true, y_pred = masks(3)
        channels = [
            call(function, y_true[..., [c]], y_pred[..., [c]], pixel_weight=weights())
            for c in (1, 2)
        ]
        loss = call(function, y_true, y_pred, pixel_weight=weights())
        np.testing.assert_allclose(loss, np.mean(channels, axis=0), rtol=1e-5)

    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_half_precision_is_computed_in_single(self, function):
        """Sums over 64 x 64 pixels in bfloat16 would be off by far more."""
        y_true, y_pred = np.ones((1, 64, 64, 1)), np.full((1, 64, 64, 1), 0.75)
        expected = call(function, y_true, y_pred)
        for dtype in ("bfloat16", "float16"):
            low = call(function, ops.cast(y_true, dtype), ops.cast(y_pred, dtype))
            assert low.dtype == np.float32
            np.testing.assert_allclose(low, expected, rtol=1e-5)

    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_masks_of_integers(self, function):
        y_true, y_pred = masks(1)
        expected = call(function, y_true, y_pred)
        np.testing.assert_array_equal(
            call(function, y_true.astype(np.uint8), y_pred), expected
        )

    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_wrong_shapes_are_refused(self, function):
        y_true, y_pred = masks(1)
        for true, pred in (
            (y_true[..., 0], y_pred),
            (y_true, y_pred[..., 0]),
            (masks(2)[0], y_pred),
        ):
            with pytest.raises(ValueError, match=r"y_true has shape .*n_channels"):
                function(true, pred)
        with pytest.raises(ValueError, match=r"pixel_weight has shape \(3, 4, 5, 1\)"):
            function(y_true, y_pred, pixel_weight=y_true)


class TestWeights:
    @pytest.mark.parametrize("n_channels", [1, 3])
    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_one_is_no_weight_and_zero_is_no_pixel(self, function, n_channels):
        y_true, y_pred = masks(n_channels)
        ones = np.ones((3, 4, 5))
        plain = call(function, y_true, y_pred)
        loss = call(function, y_true, y_pred, pixel_weight=ones)
        np.testing.assert_allclose(loss, plain, rtol=1e-6)
        ones[:, :2] = 0
        changed = y_pred.copy()
        changed[:, :2] = changed[:, 1::-1]
        np.testing.assert_array_equal(
            call(function, y_true, changed, pixel_weight=ones),
            call(function, y_true, y_pred, pixel_weight=ones),
        )

    @pytest.mark.parametrize("function", [losses.crossentropy, losses.focal])
    def test_means_divide_by_the_number_of_pixels_that_count(self, function):
        y_true, y_pred = masks(1)
        plain = call(function, y_true, y_pred)
        twice = call(function, y_true, y_pred, pixel_weight=np.full((3, 4, 5), 2.0))
        np.testing.assert_allclose(twice, 2 * plain, rtol=1e-6)
        of_some = np.zeros((3, 4, 5))
        of_some[:, 1:] = 2.0
        np.testing.assert_allclose(
            call(function, y_true, y_pred, pixel_weight=of_some),
            2 * call(function, y_true[:, 1:], y_pred[:, 1:]),
            rtol=1e-6,
        )

    @pytest.mark.parametrize("function", REGIONS)
    def test_a_weight_of_a_region_is_a_repeated_pixel(self, function):
        y_true, y_pred = masks(1)
        weight = np.ones((3, 4, 5))
        weight[:, 0] = 2
        repeated = [np.concatenate([y[:, :1], y], axis=1) for y in (y_true, y_pred)]
        np.testing.assert_allclose(
            call(function, y_true, y_pred, pixel_weight=weight),
            call(function, *repeated),
            rtol=1e-5,
        )


EXTREMES = {
    "empty, predicted empty": (0.0, 0.0),
    "empty, predicted full": (0.0, 1.0),
    "full, predicted empty": (1.0, 0.0),
    "full, predicted full": (1.0, 1.0),
    "empty": (0.0, 0.3),
    "full": (1.0, 0.3),
}
HARD = [
    *FUNCTIONS,
    *(functools.partial(function, smooth=0.0) for function in REGIONS),
    *(functools.partial(losses.focal, gamma=gamma) for gamma in (0.0, 0.5, 1.0)),
    functools.partial(losses.focal, alpha=0.25),
]


class TestGradients:
    @pytest.mark.parametrize("n_channels", [1, 2])
    @pytest.mark.parametrize("extreme", EXTREMES)
    @pytest.mark.parametrize("function", HARD)
    def test_finite_everywhere(self, function, extreme, n_channels):
        y_true, y_pred = (np.full((2, 4, 4, 1), value) for value in EXTREMES[extreme])
        if n_channels == 2:
            y_true, y_pred = (
                np.concatenate([1 - y, y], axis=-1) for y in (y_true, y_pred)
            )
        assert np.isfinite(call(function, y_true, y_pred)).all()
        assert np.isfinite(gradients(function, y_true, y_pred)).all()

    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_finite_where_no_pixel_counts(self, function):
        weighted = functools.partial(function, pixel_weight=np.zeros((3, 4, 5)))
        y_true, y_pred = masks(1)
        assert np.isfinite(call(weighted, y_true, y_pred)).all()
        np.testing.assert_array_equal(gradients(weighted, y_true, y_pred), 0)

    @pytest.mark.parametrize("smooth", [0.0, 1.0])
    @pytest.mark.parametrize("n_channels", [1, 3])
    @pytest.mark.parametrize("function", REGIONS)
    def test_an_empty_mask_predicted_empty_costs_nothing(
        self, function, n_channels, smooth
    ):
        y_true = np.zeros((2, 64, 64, n_channels))
        if n_channels == 3:
            y_true[..., 0] = 1
        assert call(function, y_true, y_true, smooth=smooth) == pytest.approx(0)

    @pytest.mark.parametrize("function", REGIONS)
    def test_an_empty_mask_is_learned(self, function):
        """Less foreground costs less, unlike with Keras' own Dice loss."""
        y_true = np.zeros((1, 4, 4, 1))
        for predicted in (0.0, 0.001, 0.5):
            y_pred = np.full((1, 4, 4, 1), predicted)
            assert (gradients(function, y_true, y_pred) > 1e-3).all()
        own = functools.partial(keras.losses.dice, axis=(1, 2, 3))
        np.testing.assert_array_equal(gradients(own, y_true, y_pred), 0)

    @pytest.mark.parametrize("n_channels", [1, 3])
    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_they_are_slopes(self, function, n_channels):
        y_true, y_pred = masks(n_channels, n_images=1)
        slopes = gradients(function, y_true, y_pred)
        step = np.zeros_like(y_pred)
        step[0, 1, 2] = 0.01
        if n_channels > 1:
            step[0, 1, 2] -= 0.01 * y_pred[0, 1, 2] * n_channels  # keep the sum
        rise = call(function, y_true, y_pred + step)
        rise = rise - call(function, y_true, y_pred - step)
        expected = 2 * (slopes * step).sum()
        np.testing.assert_allclose(rise, expected, rtol=0.01, atol=1e-6)
