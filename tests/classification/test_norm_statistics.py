"""Batch normalisation that trains, from weights that lack its statistics.

The weights that the tests save are random, so means are 0 and variances are 1.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from .conftest import small

# One step, which changes nothing, with all images.
FEW = {"optimizer": "sgd", "learning_rate": 1e-12, "epochs": 1, "batch_size": 12}
TRAINS = {"train_batch_norm": True, **FEW}


@pytest.fixture(scope="module")
def bare(images, y, tmp_path_factory):
    """Weights whose batch normalisation has no statistics."""
    file = tmp_path_factory.mktemp("bare") / "bare.weights.h5"
    small(epochs=1).fit(images, y).save_backbone(file)
    return file


def list_norms(clf):
    kind = keras.layers.BatchNormalization
    return [layer for layer in clf.model_.layers if isinstance(layer, kind)]


@pytest.mark.slow
@pytest.mark.parametrize("trainable", ["stage5", "all"])
def test_outputs_stay_in_bfloat16(trainable, bare, images, y):
    settings = {"weights": bare, "compute_dtype": "bfloat16"}
    plain = small(**settings, **FEW).fit(images, y)
    clf = small(**settings, trainable=trainable, **TRAINS).fit(images, y)
    assert_allclose(clf.predict_proba(images), plain.predict_proba(images), atol=0.02)


@pytest.mark.parametrize("trainable", ["stage5", "all"])
def test_layers_get_statistics_and_outputs_stay(trainable, bare, images, y):
    plain = small(weights=bare, **FEW).fit(images, y)
    clf = small(weights=bare, trainable=trainable, **TRAINS).fit(images, y)
    assert_allclose(clf.predict_proba(images), plain.predict_proba(images), atol=1e-3)
    pairs = list(zip(list_norms(clf), list_norms(plain), strict=True))
    network = plain.model_
    inputs = keras.Model(network.input, [norm.input for _, norm in pairs])
    outputs = inputs.predict_on_batch(images.astype(np.float32))
    n_trained = 0
    for (norm, _), maps in zip(pairs, outputs, strict=True):
        if norm.trainable:
            maps = np.asarray(maps, dtype=np.float64)
            mean, variance = maps.mean(axis=(0, 1, 2)), maps.var(axis=(0, 1, 2))
            assert_allclose(norm.moving_mean, mean, rtol=2e-3, atol=2e-3)
            assert_allclose(norm.moving_variance, variance, rtol=2e-3, atol=1e-5)
            n_trained += 1
        else:
            assert_array_equal(norm.moving_mean, 0)
    assert n_trained == {"stage5": 3, "all": len(pairs)}[trainable]


def test_known_statistics_stay(bare, images, y, tmp_path):
    first = small(weights=bare, trainable="all", **TRAINS).fit(images, y)
    first.save_backbone(tmp_path / "known.weights.h5")
    again = small(weights=tmp_path / "known.weights.h5", trainable="all", **TRAINS).fit(
        images[::-1], y
    )
    for norm, known in zip(list_norms(again), list_norms(first), strict=True):
        assert_allclose(norm.gamma, known.gamma, atol=1e-9)
        assert_allclose(norm.beta, known.beta, atol=1e-9)


@pytest.mark.parametrize(
    "settings",
    [{"weights": None, "trainable": "all"}, {"train_batch_norm": False}],
    ids=["from scratch", "not trained"],
)
def test_other_trainings_start_as_before(settings, bare, images, y):
    settings = {"weights": bare, "trainable": "stage5", **TRAINS} | settings
    for norm in list_norms(small(**settings).fit(images, y)):
        assert_allclose(norm.gamma, 1)
        assert_allclose(norm.beta, 0, atol=1e-9)


class Stopping(keras.callbacks.Callback):
    is_on = True

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and Stopping.is_on:
            raise KeyboardInterrupt


def test_a_fit_that_stops_goes_on_to_the_same_bits(
    bare, images, y, tmp_path, monkeypatch
):
    settings = {"weights": bare, "trainable": "stage5", "train_batch_norm": True}
    settings |= {"epochs": 3, "keras_callbacks": [Stopping()]}
    with pytest.raises(KeyboardInterrupt):
        small(checkpoint=tmp_path, **settings).fit(images, y)
    monkeypatch.setattr(Stopping, "is_on", False)
    resumed = small(checkpoint=tmp_path, **settings).fit(images, y)
    whole = small(**settings).fit(images, y)
    for ours, theirs in zip(resumed.model_.weights, whole.model_.weights, strict=True):
        assert_array_equal(ours, theirs, err_msg=ours.path)


def test_it_is_announced(bare, images, y, capsys):
    small(weights=bare, trainable="stage5", verbose=1, **TRAINS).fit(images, y)
    assert "Restoring 3 layers of batch normalisation" in capsys.readouterr().out
