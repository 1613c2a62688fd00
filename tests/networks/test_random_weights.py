"""Random weights of backbones: their scale and their seeds."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from skinest.images import resize
from skinest.networks import build_transfer_network

from .conftest import BACKBONES
from .test_weights import SMALL, assert_same_weights, is_same, load

PIXEL_DEVIATION = {"vgg16": 58, "vgg19": 58, "mobilenetv2": 58 / 127.5}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_random_kernels_deviate_as_he_et_al_say(backbone):
    model = build_transfer_network(
        backbone, weights=None, hidden_units=(), random_state=5, **SMALL
    )
    variables, arrays = model.weights[:-2], model.get_weights()[:-2]
    expected_scale = 1 / PIXEL_DEVIATION[backbone]
    for variable, array in zip(variables, arrays, strict=True):
        assert array.shape == tuple(variable.shape)
        if array.ndim == 1:
            is_one = variable.name in ("gamma", "moving_variance")
            assert (array == is_one).all(), variable.path
            continue
        height, width, n_inputs, n_outputs = array.shape
        is_depthwise = "depthwise" in variable.path
        assert is_depthwise == (n_outputs == 1)
        fan_in = height * width * (1 if is_depthwise else n_inputs)
        deviation = expected_scale * np.sqrt(2 / fan_in)
        # Five standard errors of a deviation and of a mean.
        tolerance = 5 / np.sqrt(2 * array.size)
        assert array.std() == pytest.approx(deviation, rel=tolerance)
        assert abs(array.mean()) < 5 * deviation / np.sqrt(array.size)
        expected_scale = 1


@pytest.mark.parametrize(
    "backbone",
    [
        "vgg16",
        *(pytest.param(k, marks=pytest.mark.slow) for k in ("vgg19", "mobilenetv2")),
    ],
)
def test_random_weights_give_logits_of_order_one(backbone):
    photographs = [load_sample_image(f"{name}.jpg") for name in ("china", "flower")]
    images = np.stack([resize(image, (64, 64)) for image in photographs])
    model = build_transfer_network(
        backbone,
        weights=None,
        image_size=(64, 64),
        hidden_units=(32,),
        pooling="avg",
        random_state=0,
    )
    logits = keras.Model(model.input, model.get_layer("logits").output)
    found = keras.ops.convert_to_numpy(logits(images))
    assert 0.1 < np.sqrt(np.mean(found**2)) < 10


def test_seed_gives_the_bits_of_random_weights():
    first, *others = (load("tiny", None, seed) for seed in (3, 4, 5, 6))
    for other in others:  # and the first is no longer kept
        assert not is_same(other, first)
    assert_same_weights(load("tiny", None, 3), first)
