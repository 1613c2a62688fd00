"""Batch normalisation that trains, from weights that lack its statistics."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import threading

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skinest.networks import KerasBackbone

from ..eager import without_graphs
from ..tiny_backbone import write_bare
from .conftest import small

pytestmark = pytest.mark.usefixtures("no_graphs")

# One step, which changes nothing, with all images.
FEW = {"optimizer": "sgd", "learning_rate": 1e-12, "epochs": 1, "batch_size": 12}
TRAINS = {"train_batch_norm": True, **FEW}


@pytest.fixture(scope="module")
def untrained(images, y, tmp_path_factory):
    """Random weights in a file, whose batch normalisation has learned nothing."""
    file = tmp_path_factory.mktemp("untrained") / "untrained.weights.h5"
    with without_graphs():
        clf = small(epochs=1).fit(images, y)
    clf.save_backbone(file)
    return file


@pytest.fixture(scope="module")
def bare(untrained):
    """Weights whose batch normalisation has offsets, but no statistics."""
    return write_bare(untrained, untrained.with_name("bare.weights.h5"))


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


def test_known_statistics_stay(bare, images, y, X_val, tmp_path):
    first = small(weights=bare, trainable="all", **TRAINS).fit(images, y)
    first.save_backbone(tmp_path / "known.weights.h5")
    again = small(weights=tmp_path / "known.weights.h5", trainable="all", **TRAINS).fit(
        X_val, y
    )
    for norm, known in zip(list_norms(again), list_norms(first), strict=True):
        assert_allclose(norm.gamma, known.gamma, atol=1e-9)
        assert_allclose(norm.beta, known.beta, atol=1e-9)


@pytest.mark.parametrize(
    "settings",
    [{}, {"weights": None}, {"train_batch_norm": False}],
    ids=["untrained", "random", "not trained"],
)
def test_other_trainings_start_as_before(settings, untrained, images, y):
    settings = {"weights": untrained, "trainable": "all", **TRAINS} | settings
    for norm in list_norms(small(**settings).fit(images, y)):
        assert_allclose(norm.gamma, 1)
        assert_allclose(norm.beta, 0, atol=1e-9)


def test_each_stage_restores_what_it_trains(bare, images, y, capsys):
    small(
        weights=bare,
        trainable="stage5",
        fine_tune="all",
        fine_tune_epochs=1,
        verbose=1,
        **TRAINS,
    ).fit(images, y)
    lines = capsys.readouterr().out.splitlines()
    restored = [line.split()[2] for line in lines if "Restoring" in line]
    assert len(restored) == 2
    assert restored[0] == "3"


@pytest.mark.parametrize("scale", [True, False])
def test_vectors_and_large_means_are_measured(scale, images, y):
    layers = keras.layers
    norm = layers.BatchNormalization(scale=scale)
    network = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255, offset=300.0),
            norm,
            layers.Conv2D(4, 3),
            layers.GlobalAveragePooling2D(),
            layers.BatchNormalization(beta_initializer="ones"),
        ]
    )
    norm.beta.assign([1.0, 2.0, 3.0])
    clf = small(KerasBackbone(network), weights="imagenet", trainable="all", **TRAINS)
    if not scale:
        with pytest.warns(UserWarning, match="1 layers of batch normalisation"):
            clf.fit(images, y)
        return
    clf.fit(images, y)
    first, _ = list_norms(clf)
    scaled = images / 255
    assert_allclose(first.moving_mean, 300 + scaled.mean(axis=(0, 1, 2)), rtol=1e-5)
    assert_allclose(first.moving_variance, scaled.var(axis=(0, 1, 2)), rtol=0.02)


def test_an_error_while_images_are_measured_leaves_no_thread(bare, images, y):
    def fail(image, rng):
        raise RuntimeError("no image")

    settings = {"weights": bare, "trainable": "all", "augmentation": fail, **TRAINS}
    with pytest.raises(RuntimeError, match="no image"):
        small(**settings).fit(images, y)
    names = [thread.name for thread in threading.enumerate()]
    assert not any(name.startswith("skinest-prefetch") for name in names)


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
    assert np.ptp(list_norms(whole)[-1].moving_variance) > 0
    for ours, theirs in zip(resumed.model_.weights, whole.model_.weights, strict=True):
        assert_array_equal(ours, theirs, err_msg=ours.path)


def test_it_is_announced(bare, images, y, capsys):
    small(weights=bare, trainable="stage5", verbose=1, **TRAINS).fit(images, y)
    assert "Restoring 3 layers of batch normalisation" in capsys.readouterr().out
