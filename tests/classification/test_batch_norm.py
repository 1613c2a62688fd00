"""Whether batch normalisation trains in the part that trains."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from skinest.networks import build_transfer_network

from .conftest import changed, layers_of, small

UPPER = {"block_16_expand_BN", "block_16_depthwise_BN", "Conv_1_BN"}
ALL = {*UPPER, "Conv1_BN"}


@pytest.mark.parametrize(
    ("train_batch_norm", "trainable", "expected"),
    [
        pytest.param("auto", "stage5", set(), marks=pytest.mark.slow),
        pytest.param("auto", "all", ALL, marks=pytest.mark.slow),
        pytest.param(True, "head", set(), marks=pytest.mark.slow),
        (True, "stage5", UPPER),
        pytest.param(True, "Conv_1", {"Conv_1_BN"}, marks=pytest.mark.slow),
        pytest.param(True, "all", ALL, marks=pytest.mark.slow),
        pytest.param(False, "stage5", set(), marks=pytest.mark.slow),
        (False, "all", set()),
    ],
)
def test_what_is_asked_for_trains(train_batch_norm, trainable, expected, images, y):
    clf = small(epochs=1, warm_start=True).fit(images, y)
    before = layers_of(clf.model_)
    clf.set_params(trainable=trainable, train_batch_norm=train_batch_norm)
    every, none = changed(before, layers_of(clf.fit(images, y).model_))
    assert every & ALL == expected
    assert (every | none) >= ALL
    trains = {
        layer.name
        for layer in clf.model_.layers
        if layer.name in ALL and layer.trainable
    }
    assert trains == expected


def test_step_is_that_of_keras(images, y):
    clf = small(epochs=1, dropout=0.0, l2=0.0, warm_start=True).fit(images, y)
    settings = {"trainable": "all", "train_batch_norm": True}
    plain = build_transfer_network(
        "tiny", weights=None, image_size=(32, 32), dropout=0.0, l2=0.0, **settings
    )
    plain.set_weights(clf.model_.get_weights())
    plain.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", jit_compile=False)
    plain.train_on_batch(images.astype(np.float32), y[:, None].astype(np.float32))
    clf.set_params(**settings, optimizer="sgd", learning_rate=0.1, batch_size=len(y))
    trained = clf.fit(images, y).model_.weights
    for ours, theirs in zip(trained, plain.weights, strict=True):
        assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5, err_msg=ours.path)


@pytest.mark.parametrize("train_batch_norm", ["auto", True, False])
def test_builder_has_the_parameter_too(train_batch_norm):
    model = build_transfer_network(
        "tiny",
        weights=None,
        image_size=(32, 32),
        trainable="stage5",
        train_batch_norm=train_batch_norm,
    )
    trains = {layer.name for layer in model.layers if layer.trainable_weights}
    assert trains & ALL == (UPPER if train_batch_norm is True else set())


@pytest.mark.parametrize("value", ["yes", None, 1.5])
def test_another_value_is_refused(value, images, y):
    with pytest.raises(ValueError, match="'train_batch_norm' parameter"):
        small(train_batch_norm=value).fit(images, y)
