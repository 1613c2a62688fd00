"""What trains in each stage, and where it starts."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skinest.networks import build_transfer_network

from .conftest import (
    bits,
    changed,
    is_same,
    layers_of,
    make_images,
    small,
    stage_recorder,
)


def trained_layers(clf, lowest):
    """List layers that a stage has to change, by the names that Keras gives them.

    Batch normalisation is only trained with all other layers, from random weights.
    """
    import keras

    beginnings = {
        "head": ("hidden_", "logits"),
        "block5": ("block5_", "hidden_", "logits"),
        "block_16": ("block_16_", "Conv_1", "hidden_", "logits"),
        "all": ("",),
    }
    return {
        layer.name
        for layer in clf.model_.layers
        if layer.get_weights()
        and layer.name.startswith(beginnings[lowest])
        and (lowest == "all" or not isinstance(layer, keras.layers.BatchNormalization))
    }


@pytest.mark.parametrize(
    "backbone, lowest",
    [
        ("tiny", "head"),  # the next test has the others, as second stages
        pytest.param("vgg16", "head", marks=pytest.mark.slow),
        pytest.param("vgg16", "block5", marks=pytest.mark.slow),
        pytest.param("vgg16", "all", marks=pytest.mark.slow),
        pytest.param("mobilenetv2", "head", marks=pytest.mark.slow),
        pytest.param("mobilenetv2", "block_16", marks=pytest.mark.slow),
        pytest.param("mobilenetv2", "all", marks=pytest.mark.slow),
    ],
)
def test_exactly_the_named_part_changes(backbone, lowest, images, y):
    hidden_units = (8,) if backbone == "vgg16" else ()
    clf = small(backbone, hidden_units=hidden_units, epochs=1, warm_start=True)
    clf.fit(images, y)
    before = layers_of(clf.model_)
    clf.set_params(trainable=lowest).fit(images, y)
    every, none = changed(before, layers_of(clf.model_))
    assert every == trained_layers(clf, lowest)
    assert every | none == before.keys()
    if backbone == "mobilenetv2" and lowest == "all":
        # 52 convolutions, 52 batch normalisations and a dense layer.
        assert (len(every), len(none)) == (105, 0)


@pytest.mark.parametrize(
    "first, second",
    [
        ("block_16", "all"),
        ("block_16", "head"),
        pytest.param("head", "block_16", marks=pytest.mark.slow),
    ],
)
def test_second_stage_starts_from_the_result_of_the_first(first, second, images, y):
    settings = {"epochs": 1, "trainable": first}
    alone = small(**settings).fit(images, y)
    recorded = []
    clf = small(
        **settings,
        fine_tune=second,
        fine_tune_epochs=1,
        fine_tune_learning_rate=0.01,
        keras_callbacks=[stage_recorder(recorded.append)],
    ).fit(images, y)
    assert clf.n_iter_per_stage_ == [1, 1]
    _, first_end, second_begin, second_end = recorded
    result = layers_of(alone.model_)
    for name, arrays in second_begin.items():
        assert is_same(arrays, result[name]), name
    for name, arrays in first_end.items():
        assert is_same(arrays, result[name]), name
    fitted = layers_of(clf.model_)
    for name, arrays in second_end.items():
        assert is_same(arrays, fitted[name]), name
    every, none = changed(result, fitted)
    assert every == trained_layers(clf, second)
    assert every | none == result.keys()


@pytest.mark.parametrize("second", ["head", "block_16"])
def test_second_stage_is_a_fit_that_goes_on_with_its_own_rate_and_epochs(
    second, images, y
):
    two = small(
        epochs=2, fine_tune=second, fine_tune_epochs=3, fine_tune_learning_rate=1e-3
    ).fit(images, y)
    one = small(epochs=2, warm_start=True).fit(images, y)
    assert bits(one) != bits(two)
    one.set_params(trainable=second, epochs=3, learning_rate=1e-3).fit(images, y)
    assert bits(one) == bits(two)
    assert one.history_ == two.history_
    assert one.n_iter_per_stage_ == two.n_iter_per_stage_ == [2, 3]


def test_settings_of_the_second_stage_count_only_when_it_is_named(images, y):
    plain = small().fit(images, y)
    idle = small(fine_tune_epochs=7, fine_tune_learning_rate=0.5).fit(images, y)
    assert bits(idle) == bits(plain)
    assert idle.n_iter_ == 2


# One step of gradient descent on all images.
STEP = {"optimizer": "sgd", "epochs": 1, "batch_size": 64, "dropout": 0.0}


def find_penalised(images, y, l2, **settings):
    """Return how each trained kernel is moved by a penalty: start, and difference."""
    fits = [
        small(**STEP, **settings, learning_rate=rate, l2=penalty).fit(images, y)
        for rate, penalty in ((1e-12, 0.0), (0.01, 0.0), (0.01, l2))
    ]
    kernels = []
    for weights in zip(*(clf.model_.trainable_weights for clf in fits), strict=True):
        if "kernel" in weights[0].name:  # also of depthwise convolutions
            start, plain, penalised = (weight.numpy() for weight in weights)
            kernels.append((start, penalised - plain))
    return kernels


@pytest.mark.parametrize("l2", [0.1, "auto"])
def test_l2_is_a_penalty_on_kernels_of_the_head(images, y, l2):
    ((start, difference),) = find_penalised(images, y, l2)
    assert_allclose(difference, -0.01 * 2 * 0.1 * start, rtol=1e-2, atol=1e-6)


def test_l2_is_a_penalty_on_kernels_of_the_backbone_that_train(images, y):
    kernels = find_penalised(images, y, 1.0, trainable="block_16")
    assert len(kernels) == 4
    for start, difference in kernels:
        assert_allclose(difference, -0.01 * 2 * start, rtol=1e-2, atol=1e-5)


def test_l2_is_a_penalty_on_no_layer_that_stays():
    network = build_transfer_network(
        weights=None,
        image_size=(32, 32),
        hidden_units=(8,),
        pooling="avg",
        trainable="block5",
        l2=0.1,
    )
    for weight in network.weights:
        weight.assign(np.ones(weight.shape))
    n_kernels = 3 * 9 * 512 * 512 + 512 * 8 + 8
    assert_allclose(sum(map(float, network.losses)), 0.1 * n_kernels, rtol=1e-5)


def test_images_of_any_size_train_the_network(y):
    sides = np.random.default_rng(0).integers(20, 60, (12, 2))
    X = [make_images(1)[0][:height, :width] for height, width in sides]
    clf = small(trainable="block_16", epochs=1).fit(X, y)
    assert clf.predict(X).shape == (12,)


@pytest.mark.slow
@pytest.mark.parametrize("first", ["all", "head"])
def test_a_network_with_batch_normalisation_is_trained_from_scratch(first):
    """The learning rate is one at which nothing is learned without it."""
    y = np.arange(48) % 2
    X = np.random.default_rng(0).integers(0, 160, (48, 32, 32, 3))
    X[y == 0, ::4] += 95  # stripes in two directions
    X[y == 1, :, ::4] += 95
    clf = small(
        trainable=first,
        epochs=12 if first == "all" else 1,
        fine_tune=None if first == "all" else "all",
        fine_tune_epochs=12,
        fine_tune_learning_rate=3e-3,
        learning_rate=3e-3,
        dropout=0.0,
        batch_size=16,
    )
    clf.fit(X.astype(np.uint8), y)
    assert clf.score(X.astype(np.uint8), y) > 0.9
