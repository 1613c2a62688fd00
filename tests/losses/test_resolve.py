"""Losses as users may pass them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import functools

import keras
import numpy as np
import pytest
from keras import ops

from skinest import UNetSegmenter, losses
from skinest.losses import (
    Dice,
    Tversky,
    WeightedCrossentropy,
)

from .tensors import (
    INSTANCES,
    LOSSES,
    by_class,
    call,
    gradients,
    masks,
    resolve_loss,
    weights,
)


def squares(y_true, y_pred):
    """Compute a value for each pixel and channel."""
    return ops.square(y_true - y_pred)


def columns(y_true, y_pred):
    """Compute a value for each row of pixels."""
    return ops.mean(ops.square(y_true - y_pred), axis=(2, 3))


class Scaled(keras.losses.Loss):
    """A loss whose configuration does not say its scale."""

    def __init__(self, scale):
        super().__init__()
        self.scale = scale

    def call(self, y_true, y_pred):
        return self.scale * ops.mean(ops.square(y_true - y_pred), axis=-1)


def fit(loss, n_labels=2, **params):
    """Begin to train a segmenter by a loss, which is refused before any work."""
    masks = np.arange(2 * 8 * 8).reshape(2, 8, 8) % n_labels
    images = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    UNetSegmenter(depth=1, image_size=(8, 8), loss=loss, **params).fit(images, masks)


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
        assert resolve_loss(loss).parameters != resolved.parameters

    def test_parameters_set_later_are_checked(self):
        with pytest.raises(ValueError, match="'smooth' parameter of Dice"):
            fit(Dice().set_params(smooth=-1.0))

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

    @pytest.mark.parametrize(
        "n_channels", [1, 3, *(pytest.param(k, marks=pytest.mark.slow) for k in (2, 6))]
    )
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
        with pytest.raises(ValueError, match="accepts no pixel weights"):
            resolved.per_image(y_true, y_pred, pixel_weight=weights())

    @pytest.mark.parametrize("n_labels", [2, 3])
    @pytest.mark.parametrize("loss", [keras.losses.Dice(), columns])
    def test_sums_over_pixels_take_no_class_weight(self, loss, n_labels):
        with pytest.raises(ValueError, match=r"class_weight cannot be used.*dice_cr"):
            fit(loss, n_labels=n_labels, class_weight="balanced")

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
        # Numbers of our losses are not in the key.
        keys = {f"{loss.key} {loss.parameters}" for loss in resolved}
        assert len(keys) == len(different)

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
            ("dise", ValueError, "loss='dise' is neither one of .*'dice', 'dice_cross"),
            (Dice, TypeError, r"loss=Dice is a class; pass an object: Dice\(...\)"),
            (keras.losses.Dice, TypeError, "is a class"),
            (3, TypeError, "instance of 'str' or a callable. Got 3"),
            (None, TypeError, "instance of 'str' or a callable. Got None"),
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
            (Tversky(alpha=0, beta=0), ValueError, "cannot learn"),
        ],
    )
    def test_errors(self, loss, error, message):
        with pytest.raises(error, match=message):
            fit(loss)

    @pytest.mark.filterwarnings("ignore::SyntaxWarning")
    def test_categorical_losses_of_one_channel_are_refused(self):
        """They are 0 for whatever is predicted."""
        with pytest.raises(ValueError, match=r"all predictions of 1 channel"):
            fit("categorical_crossentropy")
        assert resolve_loss("categorical_crossentropy", n_channels=2).weighs_pixels

    def test_classes_are_weighted_once(self):
        with pytest.raises(ValueError, match="already weights the classes"):
            fit(WeightedCrossentropy([1, 2]), class_weight="balanced")
