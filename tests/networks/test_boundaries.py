"""Networks that are divided into a lower and an upper part."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from functools import cache

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skinest.networks._backbone_stages import find_first_layer, list_stages
from skinest.networks._boundaries import (
    Boundary,
    build_lower,
    build_upper,
    find_boundary,
    find_crossing,
    list_tensors,
)
from skinest.networks._transfer_network import (
    BackboneSpec,
    HeadSpec,
    build_network,
    build_pooled_backbone,
)

from .conftest import random_weights

IMAGES = np.random.default_rng(0).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)


def make_spec(backbone, compute_dtype="float32"):
    return BackboneSpec(backbone, (96, 96), "avg", compute_dtype)


@cache
def make_network(backbone):
    """Build a whole network, and compute its outputs for the images."""
    head = HeadSpec((3,), 0.0, 0.0, 2)
    network = build_network(make_spec(backbone), head, "all", trains_norms=True)
    network.set_weights(random_weights(network, 0))
    return network, apply(network, IMAGES)


def apply(model, inputs):
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def name_crossing(network, first):
    """Name the layers whose outputs cross."""
    tensors = list_tensors(network.output)
    crossing = {id(tensors[index]) for index in find_crossing(network, first)}
    return [layer.name for layer in network.layers if id(layer.output) in crossing]


def check_division(network, first, images, expected):
    """Divide a network, and return the length of the vector between both parts."""
    crossing = find_crossing(network, first)
    lower = build_lower(network, crossing)
    upper = build_upper(network, crossing, "float32")
    vectors = apply(lower, images)
    assert_allclose(apply(upper, vectors), expected, rtol=1e-5, atol=1e-6)
    # The weights below come first, as they do in the network.
    layers = network.layers
    position = [layer.name for layer in layers].index(first)
    below = [weight for layer in layers[:position] for weight in layer.weights]
    assert below + upper.weights == network.weights
    return vectors.shape[1]


MOBILENETV2 = {
    "block_1_expand": 48 * 48 * 16,
    "block_13_expand": 6 * 6 * 96,
    "Conv_1": 3 * 3 * 320,
    # After a layer without weights that makes its input larger.
    "block_13_depthwise": 6 * 6 * 576,
    # Within a residual block, whose input crosses too.
    "block_15_depthwise": 3 * 3 * (960 + 160),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "first", "n_values"),
    [
        ("vgg16", "block3_conv1", 24 * 24 * 128),
        ("vgg16", "block5_conv2", 6 * 6 * 512),
        *(
            pytest.param(
                *("mobilenetv2", first, n_values),
                marks=[pytest.mark.slow] * (first in ("block_1_expand", "Conv_1")),
            )
            for first, n_values in MOBILENETV2.items()
        ),
    ],
)
def test_both_parts_together_compute_the_same(backbone, first, n_values):
    network, expected = make_network(backbone)
    assert check_division(network, first, IMAGES, expected) == n_values


FAMILIES = [
    "vgg19",
    "resnet50",
    "resnet50v2",
    "densenet121",
    "inceptionv3",
    "inceptionresnetv2",
    "xception",
    "mobilenet",
    "mobilenetv2",
    "mobilenetv3small",
    "efficientnetb0",
    "efficientnetv2b0",
    "convnexttiny",
    "nasnetmobile",
]


@pytest.mark.slow
@pytest.mark.parametrize("backbone", FAMILIES)
def test_each_family_can_be_divided_below_any_stage(backbone):
    network, expected = make_network(backbone)
    for stage in list_stages(backbone)[1:-1]:
        first = find_first_layer(backbone, stage)
        if find_crossing(network, first):
            check_division(network, first, IMAGES, expected)
        else:
            assert stage == "stage1"


@pytest.mark.parametrize(
    ("backbone", "first", "crossing"),
    [
        ("vgg16", "block5_conv1", ["block4_pool"]),
        ("mobilenetv2", "block_16_expand", ["block_15_add"]),
        ("mobilenetv2", "block_13_depthwise", ["block_13_expand_relu"]),
        ("mobilenetv2", "block_15_depthwise", ["block_14_add", "block_15_expand_relu"]),
    ],
)
def test_layers_without_weights_are_below_unless_tensors_become_smaller(
    backbone, first, crossing
):
    assert name_crossing(make_network(backbone)[0], first) == crossing


def conv(name, filters=4, **settings):
    return keras.layers.Conv2D(filters, 3, padding="same", name=name, **settings)


def build_branches():
    """Build a network in which all branches pool or activate one tensor."""
    images = keras.Input((8, 8, 3))
    x = conv("below")(images)
    branches = [
        conv("first")(keras.layers.ReLU()(x)),
        conv("second")(keras.layers.AveragePooling2D(3, 1, padding="same")(x)),
        conv("third")(x),
        x,
    ]
    return keras.Model(images, keras.layers.Add()(branches))


def test_a_tensor_of_many_branches_crosses_once():
    network = build_branches()
    first = min(
        ("first", "second", "third"),
        key=[layer.name for layer in network.layers].index,
    )
    images = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype(np.float32)
    n_values = check_division(network, first, images, apply(network, images))
    assert n_values == 8 * 8 * 4


def test_layers_between_can_be_operations_and_have_several_outputs():
    images = keras.Input((8, 8, 3))
    x = conv("below")(images) * 2.0
    left, right = keras.ops.split(x, 2, axis=-1)
    x = conv("above", 2)(left) + right
    network = keras.Model(images, x)
    images = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype(np.float32)
    n_values = check_division(network, "above", images, apply(network, images))
    assert n_values == 8 * 8 * 4


def test_layers_can_have_the_names_that_keras_gives_to_operations():
    images = keras.Input((8, 8, 3))
    x = conv("below")(images)
    left, right = conv("reshape")(x), x
    for name in ("concatenate", "cast", "get_item", "multiply"):
        left = keras.layers.ReLU(name=name)(left)
    network = keras.Model(images, keras.layers.Add()([left, right]))
    images = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype(np.float32)
    assert check_division(network, "reshape", images, apply(network, images)) == 256


def test_random_layers_stay_where_they_are():
    images = keras.Input((8, 8, 3))
    x = keras.layers.Dropout(0.5, name="lower")(conv("below")(images))
    x = conv("above")(x)
    network = keras.Model(images, keras.layers.Dropout(0.5, name="upper")(x))
    crossing = find_crossing(network, "above")
    upper = [layer.name for layer in build_upper(network, crossing, "float32").layers]
    assert "upper" in upper and "lower" not in upper


def test_nothing_is_kept_if_nothing_below_has_weights_or_a_layer_is_on_both_sides():
    assert find_boundary(make_spec("vgg16"), "block1") is None
    assert find_boundary(make_spec("vgg16"), "all") is None
    images = keras.Input((8, 8, 4))
    shared = conv("shared")
    x = shared(conv("above")(shared(images)))
    assert find_crossing(keras.Model(images, x), "above") is None


# What is kept.


@pytest.mark.parametrize("compute_dtype", ["float32", "bfloat16"])
def test_vectors_have_half_precision(compute_dtype):
    spec = make_spec("tiny", compute_dtype)
    boundary = find_boundary(spec, "block_16")
    n_values = 24 * 24 * 8
    if compute_dtype == "bfloat16":
        assert (boundary.dtype, boundary.n_features) == ("bfloat16", n_values)
    else:
        assert (boundary.dtype, boundary.n_features) == ("float16", 1 + n_values)
    assert boundary.n_weights == 5  # a convolution and batch normalisation
    network = build_pooled_backbone(spec)
    network.set_weights(random_weights(network, 0))
    lower = boundary.describe_lower()["build"](compute_dtype)
    lower.set_weights(network.get_weights()[:5])
    packed = boundary.pack(apply(lower, IMAGES))
    assert packed.shape == (2, boundary.n_features)
    upper = boundary.build_upper(lambda settings: network)
    expected = apply(network, IMAGES)
    tolerance = 0 if compute_dtype == "bfloat16" else 1e-3
    assert_allclose(apply(upper, packed), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("largest", [0.0, 1e-3, 1.0, 6e4, 7e4, 1e9])
def test_no_value_is_too_large_for_half_precision(largest):
    boundary = Boundary(make_spec("tiny"), 101, (1,), 5, "float16")
    values = np.random.default_rng(0).normal(size=(3, 100)).astype(np.float32)
    values *= largest / np.abs(values).max()
    packed = boundary.pack(values)
    assert packed.dtype == np.float16
    unpacked = packed[:, 1:].astype(np.float32) * packed[:, :1].astype(np.float32)
    assert_allclose(unpacked, values, rtol=2**-11, atol=largest * 2**-24)
    assert_array_equal(boundary.pack(values[1:2]), packed[1:2])


def test_features_of_a_head_are_kept_as_they_are():
    boundary = find_boundary(make_spec("tiny"), "head")
    values = np.random.default_rng(0).normal(size=(3, 1280)).astype(np.float32)
    assert boundary.pack(values) is values
    assert boundary.n_features == 1280
