"""Fused and folded batch normalisation computes what Keras computes."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from skinest.networks import build_unet
from skinest.networks._norms import fold_norms, fuse_norms

from .conftest import random_weights

SIZE = (32, 32)
NORM = keras.layers.BatchNormalization
IMAGES = np.random.default_rng(1).integers(0, 256, (4, *SIZE, 3)).astype(np.float32)
MASKS = (IMAGES[..., :1] > 128).astype(np.float32)
UNETS = {
    "study": {"depth": 2, "base_filters": 4},
    "tiny": {"encoder": "tiny", "base_filters": 4},
}
layers = keras.layers


def build(name, **more):
    settings = {"weights": None} if "encoder" in UNETS[name] else {}
    return build_unet(image_size=SIZE, **UNETS[name], **settings, **more)


def randomise(model):
    model.set_weights(random_weights(model, 0))
    return model


def build_rows(*rows):
    images = keras.Input((8, 8, 3))
    x = images
    for row in rows:
        x = row(x)
    return randomise(keras.Model(images, x))


def count_norms(model):
    return sum(isinstance(layer, NORM) for layer in model.layers)


def assert_folded(model, images, n_left=0):
    expected = model.predict_on_batch(images)
    folded, fold = fold_norms(model)
    folded.set_weights(fold([np.array(array) for array in model.get_weights()]))
    assert count_norms(folded) == n_left
    assert_allclose(folded.predict_on_batch(images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", UNETS)
def test_folded_network_predicts_the_same(name):
    assert_folded(randomise(build(name)), IMAGES)


CONVOLUTIONS = {
    "bias": layers.Conv2D(4, 3, name="bias"),
    "no bias": layers.Conv2D(4, 3, use_bias=False, name="none"),
    "groups": layers.Conv2D(6, 3, groups=3, name="groups"),
    "transposed": layers.Conv2DTranspose(5, 3, strides=2, name="transposed"),
    "depthwise": layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise"),
}


@pytest.mark.parametrize("kind", CONVOLUTIONS)
@pytest.mark.parametrize("settings", [{}, {"scale": False, "center": False}])
def test_each_kind_of_convolution_is_folded(kind, settings):
    convolution = CONVOLUTIONS[kind]
    copy = type(convolution).from_config(convolution.get_config())
    assert_folded(build_rows(copy, NORM(**settings)), IMAGES[:, :8, :8] / 255)


NOT_FOLDED = {
    "first": [NORM(), layers.Conv2D(4, 3)],
    "activation": [layers.Conv2D(4, 3, activation="relu"), NORM()],
    "dense": [layers.Dense(4), NORM()],
    "rows": [layers.Conv2D(4, 3), NORM(axis=1)],
    "dtypes": [layers.Conv2D(4, 3), NORM(dtype="mixed_bfloat16")],
}


@pytest.mark.parametrize("kind", NOT_FOLDED)
def test_other_layers_stay_as_they_are(kind):
    rows = [type(row).from_config(row.get_config()) for row in NOT_FOLDED[kind]]
    assert_folded(build_rows(*rows), IMAGES[:, :8, :8] / 255, n_left=1)


def test_convolution_whose_maps_are_used_twice_is_not_folded():
    images = keras.Input((8, 8, 3))
    maps = layers.Conv2D(4, 3)(images)
    model = keras.Model(images, layers.Add()([maps, NORM()(maps)]))
    assert_folded(randomise(model), IMAGES[:, :8, :8] / 255, n_left=1)


def train(model, frozen, steps=2):
    for layer in model.layers:
        if isinstance(layer, NORM):
            layer.trainable = not frozen
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", jit_compile=False)
    losses = [float(model.train_on_batch(IMAGES, MASKS)) for _ in range(steps)]
    return losses, model


@pytest.mark.parametrize(
    "frozen",
    [
        pytest.param(False, id="trained"),
        pytest.param(True, id="frozen", marks=pytest.mark.slow),
    ],
)
def test_fused_training_is_that_of_keras(frozen):
    losses, model = train(build("study", random_state=0), frozen)
    fused_losses, fused = train(fuse_norms(build("study", random_state=0)), frozen)
    assert_allclose(fused_losses, losses, rtol=1e-5)
    for ours, theirs in zip(fused.weights, model.weights, strict=True):
        assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4, err_msg=ours.path)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_in_float32_only_layers_that_train_are_fused(dtype):
    model = build("study", compute_dtype=dtype)
    first, *others = (layer for layer in model.layers if isinstance(layer, NORM))
    first.trainable = False
    fuse_norms(model)
    assert ("call" in vars(first)) == (dtype == "bfloat16")
    assert all("call" in vars(norm) for norm in others)


def test_files_of_a_fused_network_have_layers_of_keras_only(tmp_path):
    model = fuse_norms(build("study", random_state=0))
    model.save(tmp_path / "unet.keras")
    loaded = keras.models.load_model(tmp_path / "unet.keras")
    norms = [layer for layer in loaded.layers if isinstance(layer, NORM)]
    assert {type(norm) for norm in norms} == {NORM}
    assert all("call" not in vars(norm) for norm in norms)
    assert_allclose(
        model.predict_on_batch(IMAGES), loaded.predict_on_batch(IMAGES), atol=1e-6
    )


@pytest.mark.parametrize("settings", [{"scale": False}, {"center": False}, {"axis": 1}])
def test_fused_normalisation_has_the_options_of_keras(settings):
    images = IMAGES[:, :8, :8] / 255

    def normalise(change):
        model = change(build_rows(NORM(epsilon=0.01, **settings)))
        outputs = model(images, training=True)
        return [outputs, model.predict_on_batch(images), *model.get_weights()]

    for ours, theirs in zip(normalise(fuse_norms), normalise(lambda x: x), strict=True):
        assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_small_epsilon_is_that_of_keras():
    dark = np.full((2, 8, 8, 3), 0.5, np.float32)
    norm = NORM(epsilon=1e-9)
    model = fuse_norms(build_rows(norm))
    norm.moving_mean.assign([0.0] * 3)
    norm.moving_variance.assign([1e-6] * 3)
    norm.gamma.assign([1.0] * 3)
    norm.beta.assign([0.0] * 3)
    assert_allclose(model.predict_on_batch(dark), 500, rtol=1e-3)
