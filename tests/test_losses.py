"""Losses for masks: numbers, gradients, weights, Keras' conventions."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import functools
import pickle

import joblib
import keras
import numpy as np
import pytest
from keras import ops
from scipy.spatial import distance
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import log_loss

from skinest import losses
from skinest._training._gradients import score_gradients
from skinest.losses import (
    Crossentropy,
    Dice,
    DiceCrossentropy,
    Focal,
    Jaccard,
    Tversky,
    WeightedCrossentropy,
)
from skinest.losses._resolve import LOSSES, resolve_loss

FUNCTIONS = [
    losses.crossentropy,
    losses.dice,
    losses.dice_crossentropy,
    losses.focal,
    losses.jaccard,
    losses.tversky,
]
REGIONS = [losses.dice, losses.jaccard, losses.tversky]
INSTANCES = [
    Crossentropy(),
    Dice(smooth=0.5),
    DiceCrossentropy(smooth=2),
    Focal(gamma=1.5, alpha=0.25),
    Jaccard(smooth=0.1),
    Tversky(alpha=0.1, beta=0.9, smooth=3.0),
    WeightedCrossentropy((1.0, 20.0)),
]
by_class = functools.partial(
    pytest.mark.parametrize, ids=lambda value: type(value).__name__
)

# One image of 2 x 2 pixels. True positives .8 + .6, false positives .4 + .1, false
# negatives .2 + .4.
TRUE = np.array([[1, 1], [0, 0]], dtype=np.float32).reshape(1, 2, 2, 1)
PRED = np.array([[0.8, 0.6], [0.4, 0.1]], dtype=np.float32).reshape(1, 2, 2, 1)
WEIGHT = np.array([[1, 2], [3, 0]], dtype=np.float32).reshape(1, 2, 2)


def masks(n_channels, seed=0, n_images=3):
    """Targets and probabilities of images of 4 x 5 pixels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(max(2, n_channels), size=(n_images, 4, 5))
    y_pred = generator.uniform(0.05, 0.95, size=(n_images, 4, 5, n_channels))
    if n_channels == 1:
        return labels[..., np.newaxis].astype(np.float32), y_pred.astype(np.float32)
    y_pred /= y_pred.sum(axis=-1, keepdims=True)
    return np.eye(n_channels, dtype=np.float32)[labels], y_pred.astype(np.float32)


def weights(seed=1, n_images=3):
    generator = np.random.default_rng(seed)
    return generator.uniform(0, 3, size=(n_images, 4, 5)).astype(np.float32)


def call(loss, *arguments, **options):
    return ops.convert_to_numpy(loss(*arguments, **options))


def gradients(loss, y_true, y_pred):
    def score(y_pred):
        return ops.expand_dims(loss(y_true, y_pred), -1)

    return score_gradients(score, y_pred, np.ones((len(y_pred), 1)))


def probabilities_of_truth(y_true, y_pred):
    if y_true.shape[-1] == 1:
        return np.where(y_true == 1, y_pred, 1 - y_pred)[..., 0].astype(float)
    return (y_true * y_pred).sum(axis=-1).astype(float)


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


class TestClasses:
    @by_class("loss", INSTANCES)
    def test_parameters_survive_copies(self, loss):
        parameters = loss.get_params()
        for copied in (
            clone(loss),
            copy.copy(loss),
            copy.deepcopy(loss),
            pickle.loads(pickle.dumps(loss)),
        ):
            assert copied is not loss and type(copied) is type(loss)
            assert copied.get_params() == parameters
            assert joblib.hash(copied) == joblib.hash(loss)
        assert type(loss)(**parameters).get_params() == parameters

    @by_class("loss", INSTANCES)
    def test_keras_serialization(self, loss):
        saved = keras.losses.serialize(loss)
        assert saved["registered_name"] == f"skinest>{type(loss).__name__}"
        restored = keras.losses.deserialize(saved)
        assert type(restored) is type(loss)
        assert restored.get_config() == loss.get_config()
        y_true, y_pred = masks(1)
        np.testing.assert_array_equal(
            call(restored, y_true, y_pred), call(loss, y_true, y_pred)
        )

    @by_class("loss", INSTANCES)
    def test_repr_shows_the_parameters(self, loss):
        rebuilt = eval(repr(loss), {type(loss).__name__: type(loss)})
        assert rebuilt.get_params() == loss.get_params()

    def test_repr(self):
        assert repr(Dice()) == "Dice(smooth=1.0)"
        assert repr(Focal()) == "Focal(alpha=None, gamma=2.0)"

    @by_class("loss", INSTANCES)
    def test_keras_takes_the_mean_of_the_images(self, loss):
        y_true, y_pred = masks(1)
        per_image = call(loss.per_image, y_true, y_pred)
        assert per_image.shape == (3,)
        assert call(loss, y_true, y_pred) == pytest.approx(per_image.mean())
        weighted = call(loss, y_true, y_pred, sample_weight=np.array([1, 0, 3]))
        assert weighted == pytest.approx((per_image * [1, 0, 3]).mean())

    @by_class("loss", INSTANCES[:-1])  # the last one has no function
    def test_parameters_reach_the_function(self, loss):
        y_true, y_pred = masks(1)
        name = repr(loss).split("(")[0]
        name = "dice_crossentropy" if name == "DiceCrossentropy" else name.lower()
        expected = call(
            getattr(losses, name),
            y_true,
            y_pred,
            pixel_weight=weights(),
            **loss.get_params(),
        )
        np.testing.assert_array_equal(
            call(loss.per_image, y_true, y_pred, weights()), expected
        )

    def test_parameters_can_be_searched(self):
        class Segmenter(BaseEstimator):
            def __init__(self, loss=None):
                self.loss = loss

        given = Segmenter(loss=Tversky())
        changed = clone(given).set_params(loss__beta=0.9)
        assert changed.loss.beta == 0.9 and given.loss.beta == 0.7

    @pytest.mark.parametrize(
        "make, message",
        [
            (lambda: Dice(smooth=-1), "'smooth' parameter of Dice"),
            (lambda: Jaccard(smooth=np.inf), "'smooth' parameter of Jaccard"),
            (lambda: DiceCrossentropy("1"), "'smooth' parameter of DiceCross"),
            (lambda: Tversky(alpha=-0.1), "'alpha' parameter of Tversky"),
            (lambda: Tversky(beta=-0.1), "'beta' parameter of Tversky"),
            (lambda: Tversky(smooth=np.nan), "'smooth' parameter of Tversky"),
            (lambda: Focal(gamma=-2), "'gamma' parameter of Focal"),
            (lambda: Focal(alpha=1.5), "'alpha' parameter of Focal"),
            (lambda: Focal(alpha=[-1, 2]), r"alpha=\[-1, 2\] must be a finite"),
            (lambda: WeightedCrossentropy(2.0), "weights=2.0 must be a finite"),
            (lambda: WeightedCrossentropy([1.0]), "two or more classes"),
            (lambda: WeightedCrossentropy([1, 0]), "above 0"),
            (lambda: WeightedCrossentropy([1, np.inf]), "finite"),
            (lambda: WeightedCrossentropy([[1, 2]]), "for each of"),
            (lambda: WeightedCrossentropy(["a", "b"]), "number"),
            (lambda: WeightedCrossentropy({1: 1, 2: 2}), "number"),
        ],
    )
    def test_wrong_parameters_are_refused(self, make, message):
        with pytest.raises(ValueError, match=message):
            make()

    def test_wrong_numbers_of_classes_are_refused(self):
        with pytest.raises(ValueError, match="must be 2, one per class"):
            WeightedCrossentropy([1, 2, 3]).per_image(*masks(1))
        with pytest.raises(ValueError, match="must be 4, one per class"):
            WeightedCrossentropy([1, 2, 3]).per_image(*masks(4))
        for n_channels in (1, 2):
            with pytest.raises(ValueError, match=f"there are {n_channels}"):
                Focal(alpha=[1, 2, 3]).per_image(*masks(n_channels))


def network(bias=0.0):
    """A convolution and a sigmoid for images of 8 x 8 pixels."""
    start = keras.initializers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(
                1,
                3,
                padding="same",
                activation="sigmoid",
                kernel_initializer=start.RandomNormal(seed=0, stddev=0.1),
                bias_initializer=start.Constant(bias),
            ),
        ]
    )


def images(n_images=6):
    generator = np.random.default_rng(0)
    X = generator.random((n_images, 8, 8, 3), dtype=np.float32)
    return X, (X[..., :1] > 0.5).astype(np.float32)


class TestTraining:
    @by_class("loss", INSTANCES)
    def test_keras_trains_saves_and_loads(self, loss, tmp_path):
        X, y = images()
        model = network()
        model.compile(optimizer=keras.optimizers.SGD(0.5), loss=loss)
        before = model.evaluate(X, y, verbose=0)
        expected = call(loss.per_image, y, model.predict(X, verbose=0)).mean()
        assert before == pytest.approx(expected, rel=1e-5)
        model.fit(X, y, batch_size=4, epochs=1, verbose=0)
        after = model.evaluate(X, y, verbose=0)
        assert after < before
        model.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert loaded.loss.get_config() == loss.get_config()
        assert loaded.evaluate(X, y, verbose=0) == pytest.approx(after, rel=1e-5)

    def test_weights_of_images(self):
        """One for each, which Keras' own cross entropy refuses for masks."""
        X, y = images()
        sample_weight = np.array([1, 0, 2, 0.5, 1, 1])
        model = network()
        model.compile(optimizer="sgd", loss=DiceCrossentropy())
        loss = model.evaluate(X, y, sample_weight=sample_weight, verbose=0)
        y_pred = model.predict(X, verbose=0)
        expected = call(losses.dice_crossentropy, y, y_pred) * sample_weight
        assert loss == pytest.approx(expected.mean(), rel=1e-5)
        model.fit(X, y, sample_weight=sample_weight, epochs=1, verbose=0)

    @pytest.mark.parametrize("bias", [0.0, -300.0])
    def test_crossentropy_trains_as_keras_own(self, bias):
        """Also from predictions of 0, if that goes back to what gave them."""
        X, y = images()
        trained = []
        for loss in ("binary_crossentropy", Crossentropy()):
            model = network(bias)
            model.compile(optimizer=keras.optimizers.SGD(0.5), loss=loss)
            model.fit(X, y, batch_size=3, epochs=1, shuffle=False, verbose=0)
            trained.append(model.get_weights())
        for own, ours in zip(*trained, strict=True):
            np.testing.assert_allclose(ours, own, rtol=1e-4, atol=1e-6)
        if keras.backend.backend() == "tensorflow":
            assert trained[1][1] != bias

    def test_foreign_losses_train(self):
        X, y = images()
        for loss in (keras.losses.Dice(), keras.losses.BinaryCrossentropy()):
            resolved = resolve_loss(loss)
            model = network()
            model.compile(
                optimizer=keras.optimizers.SGD(0.5),
                loss=lambda t, p, f=resolved.per_image: f(t, p),
            )
            before = model.evaluate(X, y, verbose=0)
            expected = [float(loss(y[[i]], model(X[[i]]))) for i in range(6)]
            assert before == pytest.approx(np.mean(expected), rel=1e-5)
            model.fit(X, y, batch_size=4, epochs=1, verbose=0)
            assert model.evaluate(X, y, verbose=0) < before


def squares(y_true, y_pred):
    """A loss with a value for each pixel and channel."""
    return ops.square(y_true - y_pred)


def columns(y_true, y_pred):
    """A loss with a value for each row of pixels."""
    return ops.mean(ops.square(y_true - y_pred), axis=(2, 3))


class Scaled(keras.losses.Loss):
    """A loss whose configuration does not say its scale."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def call(self, y_true, y_pred):
        return self.scale * ops.mean(ops.square(y_true - y_pred), axis=-1)


class TestResolve:
    @pytest.mark.parametrize("n_channels", [1, 3])
    @pytest.mark.parametrize("name", LOSSES)
    def test_names(self, name, n_channels):
        resolved = resolve_loss(name, has_class_weight=True, n_channels=n_channels)
        assert resolved.weighs_pixels and isinstance(resolved.key, str)
        y_true, y_pred = masks(n_channels)
        np.testing.assert_array_equal(
            call(resolved.per_image, y_true, y_pred, pixel_weight=weights()),
            call(LOSSES[name]().per_image, y_true, y_pred, weights()),
        )

    def test_weighted_crossentropy_is_weighted_by_the_segmenter(self):
        keys = {
            resolve_loss(f"{kind}_crossentropy").key for kind in ("binary", "weighted")
        }
        assert len(keys) == 1

    @by_class("loss", INSTANCES)
    def test_instances(self, loss):
        resolved = resolve_loss(loss)
        y_true, y_pred = masks(1)
        np.testing.assert_array_equal(
            call(resolved.per_image, y_true, y_pred),
            call(loss.per_image, y_true, y_pred),
        )
        assert resolved.key == resolve_loss(copy.deepcopy(loss)).key
        assert resolved.weighs_pixels

    def test_later_changes_of_an_instance_do_not_matter(self):
        loss = Dice()
        resolved = resolve_loss(loss)
        before = call(resolved.per_image, *masks(1))
        loss.set_params(smooth=50.0)
        np.testing.assert_array_equal(call(resolved.per_image, *masks(1)), before)
        assert resolve_loss(loss).key != resolved.key

    def test_parameters_set_later_are_checked(self):
        with pytest.raises(ValueError, match="'smooth' parameter of Dice"):
            resolve_loss(Dice().set_params(smooth=-1.0))

    @pytest.mark.parametrize("n_channels", [1, 3])
    @pytest.mark.parametrize(
        "loss", ["mse", "MeanAbsoluteError", keras.losses.mean_squared_error, squares]
    )
    def test_a_value_for_each_pixel_is_weighted(self, loss, n_channels):
        resolved = resolve_loss(loss, has_class_weight=True, n_channels=n_channels)
        assert resolved.weighs_pixels
        y_true, y_pred = masks(n_channels)
        power = 1 if loss == "MeanAbsoluteError" else 2
        expected = (abs(y_true - y_pred) ** power).mean(axis=-1)
        np.testing.assert_allclose(
            call(resolved.per_image, y_true, y_pred), expected.mean((1, 2)), rtol=1e-5
        )
        np.testing.assert_allclose(
            call(resolved.per_image, y_true, y_pred, pixel_weight=weights()),
            (expected * weights()).mean((1, 2)),
            rtol=1e-5,
        )

    @pytest.mark.parametrize(
        "loss",
        [
            keras.losses.BinaryCrossentropy(),
            keras.losses.BinaryCrossentropy(reduction="sum", name="other"),
        ],
    )
    def test_the_reduction_of_an_instance_is_left_out(self, loss):
        resolved = resolve_loss(loss)
        np.testing.assert_allclose(
            call(resolved.per_image, *masks(1)),
            call(losses.crossentropy, *masks(1)),
            rtol=1e-6,
        )

    @pytest.mark.parametrize("n_channels", [1, 2, 3, 6])
    @pytest.mark.parametrize(
        "loss",
        [
            keras.losses.Dice(),
            keras.losses.Dice(axis=(1, 2, 3)),
            keras.losses.Dice(axis=(1, 2)),
            keras.losses.Dice(axis=(0, 1, 2)),
            keras.losses.Tversky(0.3, 0.7),
            keras.losses.dice,
            columns,
        ],
    )
    def test_sums_over_pixels(self, loss, n_channels):
        """Each image is on its own, whatever axes the loss sums over."""
        resolved = resolve_loss(loss, n_channels=n_channels)
        assert not resolved.weighs_pixels
        y_true, y_pred = masks(n_channels)
        expected = [
            call(loss, y_true[[i]], y_pred[[i]]).mean() for i in range(len(y_true))
        ]
        np.testing.assert_allclose(
            call(resolved.per_image, y_true, y_pred), expected, rtol=1e-5
        )
        slopes = gradients(resolved.per_image, y_true, y_pred)
        assert np.isfinite(slopes).all() and np.abs(slopes).max() > 0
        with pytest.raises(ValueError, match="takes no weights"):
            resolved.per_image(y_true, y_pred, pixel_weight=weights())
        with pytest.raises(ValueError, match=r"class_weight has no meaning.*dice_cr"):
            resolve_loss(loss, has_class_weight=True, n_channels=n_channels)

    def test_half_precision_reaches_no_loss(self):
        resolved = resolve_loss(keras.losses.Dice())
        y_true, y_pred = np.ones((2, 64, 64, 1)), np.full((2, 64, 64, 1), 0.75)
        loss = call(resolved.per_image, y_true, ops.cast(y_pred, "bfloat16"))
        np.testing.assert_allclose(loss, 1 - 1.5 / 1.75, rtol=1e-5)

    def test_keys_tell_losses_apart(self):
        def local(scale):
            def loss(y_true, y_pred):
                return scale * ops.square(y_true - y_pred)

            return loss

        class Pair:
            def __init__(self, scale):
                self.scale = scale

            def loss(self, y_true, y_pred):
                return self.scale * ops.square(y_true - y_pred)

            __call__ = loss

        pairs = [Pair(1), Pair(2)]
        different = [
            *LOSSES.keys() - {"weighted_crossentropy"},
            *INSTANCES[1:],
            "mse",
            "mae",
            keras.losses.Dice(),
            keras.losses.Dice(axis=(1, 2, 3)),
            keras.losses.Tversky(alpha=0.3, beta=0.7),
            keras.losses.Tversky(alpha=0.7, beta=0.3),
            squares,
            columns,
            local(1),
            local(2),
            Scaled(1.0),
            Scaled(2.0),
            *pairs,
            pairs[0].loss,
            pairs[1].loss,
            functools.partial(keras.losses.dice, axis=(1, 2)),
            functools.partial(keras.losses.dice, axis=(1, 2, 3)),
        ]
        resolved = [resolve_loss(loss) for loss in different]
        assert len({loss.key for loss in resolved}) == len(different)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: Tversky(alpha=1, beta=2.0),
            lambda: WeightedCrossentropy([1, np.float32(2)]),
            lambda: keras.losses.Dice(axis=(1, 2, 3)),
            lambda: keras.losses.Tversky(alpha=0.3, beta=0.7),
            lambda: "mse",
            lambda: squares,
            lambda: Scaled(2.0),
            lambda: Scaled(np.float32(2)),
        ],
    )
    def test_equal_losses_have_equal_keys(self, make):
        assert resolve_loss(make()).key == resolve_loss(make()).key

    def test_numbers_of_different_types_have_equal_keys(self):
        assert resolve_loss(Dice(1)).key == resolve_loss(Dice(np.float32(1))).key
        pair = [WeightedCrossentropy((1, 2)), WeightedCrossentropy(np.array([1.0, 2]))]
        assert len({resolve_loss(loss).key for loss in pair}) == 1

    def test_a_copied_loss_of_keras_has_the_same_key(self):
        """Keras makes lists of its tuples, where a search clones an estimator."""
        loss = keras.losses.Dice(axis=(1, 2, 3))
        assert resolve_loss(copy.deepcopy(loss)).key == resolve_loss(loss).key

    def test_arguments_stay_as_they_are(self):
        for loss in (*INSTANCES, keras.losses.Dice(axis=(1, 2, 3)), Scaled(2.0)):
            before = dict(vars(loss))
            resolve_loss(loss).per_image(*masks(1))
            assert vars(loss) == before

    @pytest.mark.parametrize(
        "loss, error, message",
        [
            ("dise", ValueError, "loss='dise' is none of .*'dice', 'dice_cross"),
            (Dice, TypeError, r"loss=Dice is a class; pass an object: Dice\(...\)"),
            (keras.losses.Dice, TypeError, "is a class"),
            (3, TypeError, "loss=3 is of type int"),
            (None, TypeError, "loss=None is of type NoneType"),
            (
                keras.losses.BinaryCrossentropy(from_logits=True),
                ValueError,
                "takes logits, but predictions are probabilities",
            ),
            (
                WeightedCrossentropy([1, 2, 3]),
                ValueError,
                "cannot be computed for masks .* must be 2, one per class",
            ),
            (lambda y_true: y_true, ValueError, "cannot be computed for masks"),
            (lambda t, p: ops.log(-p), ValueError, "is not finite"),
            (lambda t, p: ops.mean(t), ValueError, "the same for all predictions"),
            (Tversky(alpha=0, beta=0), ValueError, "nothing can be learned"),
        ],
    )
    def test_errors(self, loss, error, message):
        with pytest.raises(error, match=message):
            resolve_loss(loss)

    @pytest.mark.filterwarnings("ignore::SyntaxWarning")
    def test_categorical_losses_of_one_channel_are_refused(self):
        """They are 0 for whatever is predicted."""
        with pytest.raises(ValueError, match=r"all predictions of 1 channel"):
            resolve_loss("categorical_crossentropy")
        assert resolve_loss("categorical_crossentropy", n_channels=2).weighs_pixels

    def test_classes_are_weighted_once(self):
        with pytest.raises(ValueError, match="class_weight would do so again"):
            resolve_loss(WeightedCrossentropy([1, 2]), has_class_weight=True)
