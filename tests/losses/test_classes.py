"""Losses of masks as objects, and Keras' conventions."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import pickle

import joblib
import keras
import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from skinest import losses
from skinest.losses import (
    Crossentropy,
    Dice,
    DiceCrossentropy,
    Focal,
    Jaccard,
    Tversky,
    WeightedCrossentropy,
)

from .tensors import INSTANCES, by_class, call, masks, resolve_loss, weights


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

    @pytest.mark.parametrize("n_channels", [1, 3])
    @pytest.mark.parametrize(
        ("kind", "numbers"),
        [(Dice, [2]), (Jaccard, [2]), (Tversky, [0.2, 0.9, 3]), (Focal, [1.5, 0.25])],
    )
    def test_numbers_may_be_of_numpy(self, kind, numbers, n_channels):
        """A search over `np.linspace` passes such numbers."""
        y_true, y_pred = masks(n_channels)
        values = call(kind(*map(np.float64, numbers)), y_true, y_pred)
        np.testing.assert_array_equal(values, call(kind(*numbers), y_true, y_pred))

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


# Of sums over pixels, of each pixel, and with weights of classes.
FAST = Dice, WeightedCrossentropy


def network(bias=0.0):
    """Return a convolution and a sigmoid for images of 8 x 8 pixels."""
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
    @by_class(
        "loss",
        [
            pytest.param(loss, marks=[pytest.mark.slow] * (not isinstance(loss, FAST)))
            for loss in INSTANCES
        ],
    )
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

    @pytest.mark.slow
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
