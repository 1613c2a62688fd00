"""Random layers of a user's network: in layers that train, and in frozen ones."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno

import keras
import numpy as np
import pytest
from keras import layers

from skinest import TransferClassifier, UNetSegmenter
from skinest.networks import KerasBackbone, build_transfer_network

from ..segmentation.conftest import make_pairs
from .own_networks import fill

SIDE = 32
STILL = {"epochs": 1, "learning_rate": 1e-12, "compute_dtype": "float32"}


def make_backbone(*random):
    """Return a network with layers before its upper convolution."""
    return KerasBackbone(
        fill(
            keras.Sequential(
                [
                    keras.Input((SIDE, SIDE, 3)),
                    layers.Rescaling(1 / 255),
                    layers.Conv2D(4, 3, strides=2, padding="same"),
                    *random,
                    layers.Conv2D(6, 3, strides=2, padding="same", name="top"),
                ]
            )
        )
    )


def measure_change(random, **settings):
    """Return how much the loss of a U-Net in training differs from that afterwards."""
    X, y = make_pairs(6, (SIDE, SIDE))
    segmenter = UNetSegmenter(
        encoder=make_backbone(*random),
        base_filters=2,
        batch_norm=False,
        image_size=(SIDE, SIDE),
        random_state=0,
        **STILL,
        **settings,
    ).fit(X, y, X_val=X, y_val=y)
    history = segmenter.history_
    return abs(history["loss"][0] - history["val_loss"][0])


@pytest.mark.usefixtures("no_graphs")
@pytest.mark.parametrize("trainable", ["decoder", "top", "all"])
def test_dropout_is_active_only_in_layers_that_train(trainable):
    change = measure_change([layers.Dropout(0.5)], trainable=trainable)
    assert (change > 1e-5) == (trainable == "all")


class Block(layers.Layer):
    """A layer of a user whose `call` does not tell training from predictions."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.drop = layers.Dropout(0.5)

    def call(self, x):
        return self.drop(x)

    def get_config(self):
        return super().get_config()


@pytest.mark.usefixtures("no_graphs")
@pytest.mark.parametrize("trainable", ["decoder", "all"])
def test_dropout_inside_a_layer_of_a_user(trainable):
    change = measure_change([Block()], trainable=trainable)
    assert (change > 1e-5) == (trainable == "all")


def test_dropout_of_a_built_network_follows_trainable():
    network = build_transfer_network(
        make_backbone(layers.Dropout(0.5, name="drop")),
        image_size=(SIDE, SIDE),
        n_outputs=1,
        dropout=0.0,
        trainable="top",
    )
    X = make_pairs(2, (SIDE, SIDE))[0].astype(np.float32)
    still = np.asarray(network(X, training=True))
    np.testing.assert_array_equal(still, network(X, training=False))
    network.get_layer("drop").trainable = True
    assert np.abs(np.asarray(network(X, training=True)) - still).max() > 1e-6


class Flip(layers.RandomFlip):
    """A layer of a user that is one of Keras' layers."""


@pytest.mark.usefixtures("no_graphs")
@pytest.mark.parametrize(
    "trainable", [pytest.param("decoder", marks=pytest.mark.slow), "all"]
)
@pytest.mark.parametrize(
    "layer",
    [
        Flip(seed=0),
        layers.RandomTranslation(0.5, 0.5, seed=0),
        layers.RandAugment(value_range=(0, 1), seed=0),
        layers.MixUp(seed=0),
    ],
    ids=["flip", "shift", "RandAugment", "MixUp"],
)
def test_no_layer_moves_images_away_from_their_masks(layer, trainable):
    assert measure_change([layer], trainable=trainable) < 1e-6


def test_dropout_in_frozen_layers_is_the_same_whether_outputs_are_kept(
    monkeypatch, no_graphs
):
    from skinest.classification._stage_inputs import StageInputs

    def refuse(*args):
        raise OSError(errno.ENOSPC, "no space")

    def fit():
        return TransferClassifier(
            make_backbone(layers.Dropout(0.5)),
            image_size=(SIDE, SIDE),
            trainable="top",
            epochs=2,
            dropout=0.0,
            compute_dtype="float32",
            random_state=0,
        ).fit(X, y)

    X, y = make_pairs(8, (SIDE, SIDE))[0], np.array([0, 1] * 4)
    kept = fit()
    monkeypatch.setattr(StageInputs, "_allocate", refuse)
    with pytest.warns(UserWarning, match="frozen part of the network"):
        whole = fit()
    np.testing.assert_allclose(kept.history_["loss"], whole.history_["loss"], rtol=1e-4)
