"""Backbones as encoders of a U-Net."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json

import keras
import numpy as np
import pytest
from keras import layers
from numpy.testing import assert_allclose, assert_array_equal

from skinest.networks import KerasBackbone, build_transfer_network, build_unet
from skinest.networks._backbone_table import BACKBONES

from .conftest import write_keras2
from .own_networks import fill, make_embedding, make_functional

# Channels of the feature maps at 1 / 2 ** level of the image size. Those of ResNet,
# Xception, InceptionResNetV2 and MobileNetV2 are also in segmentation_models_pytorch.
CHANNELS = {
    "vgg16": {0: 64, 1: 128, 2: 256, 3: 512, 4: 512},
    "resnet50": {1: 64, 2: 256, 3: 512, 4: 1024, 5: 2048},
    "resnet50v2": {1: 64, 2: 256, 3: 512, 4: 1024, 5: 2048},
    "densenet121": {1: 64, 2: 128, 3: 256, 4: 512, 5: 1024},
    "inceptionv3": {1: 64, 2: 192, 3: 288, 4: 768, 5: 2048},
    "inceptionresnetv2": {1: 64, 2: 192, 3: 320, 4: 1088, 5: 1536},
    "xception": {1: 64, 2: 128, 3: 256, 4: 728, 5: 2048},
    "mobilenet": {1: 64, 2: 128, 3: 256, 4: 512, 5: 1024},
    "mobilenetv2": {1: 16, 2: 24, 3: 32, 4: 96, 5: 1280},
    "mobilenetv3small": {1: 16, 2: 16, 3: 24, 4: 48, 5: 576},
    "efficientnetb0": {1: 16, 2: 24, 3: 40, 4: 112, 5: 1280},
    "efficientnetv2b0": {1: 16, 2: 32, 3: 48, 4: 112, 5: 1280},
    "convnexttiny": {2: 96, 3: 192, 4: 384, 5: 768},
    "nasnetmobile": {1: 32, 2: 44, 3: 264, 4: 528, 5: 1056},
}
QUICK = {"vgg16"}
# (height, width): multiples of 32, less than some backbones need.
SIZE = (32, 64)


def build(encoder="tiny", **settings):
    defaults = {"weights": None, "base_filters": 1, "image_size": SIZE}
    return build_unet(encoder=encoder, **{**defaults, **settings})


def list_rows():
    for name in BACKBONES:
        if name != "tiny":
            yield pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow)


@pytest.mark.parametrize("name", list_rows())
def test_skips_come_from_the_end_of_each_resolution(name):
    model = build(name)
    names = [layer.name for layer in model.layers]
    depth = sum(name.endswith("_transposed") for name in names)
    maps = {depth: model.get_layer(f"up_{depth}_transposed").input}
    for level in range(depth):
        if f"up_{level + 1}_concatenate" in names:
            maps[level] = model.get_layer(f"up_{level + 1}_concatenate").input[0]
    for level, each in maps.items():
        assert each.shape[1:3] == (SIZE[0] >> level, SIZE[1] >> level)
    found = {level: each.shape[-1] for level, each in maps.items()}
    assert model.output_shape == (None, *SIZE, 1)
    if name in CHANNELS:
        assert found == CHANNELS[name]
    assert max(found) == (4 if name.startswith("vgg") else 5)
    assert len(found) >= 4


def test_filters_of_the_decoder_double_at_each_level():
    model = build(base_filters="auto", n_outputs=3, depth=2)
    filters = [
        layer.filters
        for layer in model.layers
        if layer.name.startswith("up_") and hasattr(layer, "filters")
    ]
    assert filters == [32] * 3 + [16] * 3
    assert model.output_shape == (None, *SIZE, 3)
    # At the image size and at a half of it, the encoder has no feature maps.
    assert not [each for each in model.layers if each.name.endswith("concatenate")]


def test_encoder_is_the_backbone_with_its_preprocessing_and_weights(weights_file):
    path = weights_file("tiny")
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)
    transfer = build_transfer_network("tiny", weights=path, image_size=SIZE)
    transfer = keras.Model(transfer.input, transfer.get_layer("features").output)
    expected = np.asarray(transfer(images))
    unet = build(weights=path)
    bottom = keras.Model(unet.input, unet.get_layer("up_5_transposed").input)
    found = np.asarray(bottom(images)).mean(axis=(1, 2))
    assert expected.std() > 0.01
    assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def make_unpadded():
    """Make a network whose maps are smaller than a half, because nothing is padded."""
    images = x = keras.Input((None, None, 3))
    for number in (1, 2):
        x = layers.Conv2D(4, 3, strides=2, activation="relu", name=f"conv_{number}")(x)
    return fill(keras.Model(images, x, name="unpadded"))


def test_padding_changes_the_feature_maps_at_the_border_alone():
    model = make_unpadded()
    images = np.random.default_rng(0).uniform(0, 255, (1, 16, 16, 3)).astype("float32")
    expected = np.asarray(model(images))
    unet = build(KerasBackbone(model), weights="imagenet", image_size=(16, 16))
    bottom = keras.Model(unet.input, unet.get_layer("up_2_transposed").input)
    found = np.asarray(bottom(images))
    assert (expected.shape[1], found.shape[1]) == (3, 4)
    assert_allclose(found[:, :3, :3], expected, rtol=1e-5)


@pytest.mark.parametrize("make", [make_functional, make_embedding])
def test_own_network_has_skips_where_its_maps_end(make):
    backbone = KerasBackbone(make())
    unet = build(backbone, weights="imagenet", image_size=(16, 16))
    assert unet.get_layer("up_2_transposed").input.shape == (None, 4, 4, 6)
    assert unet.get_layer("up_2_concatenate").input[0].shape == (None, 8, 8, 4)
    assert unet.output_shape == (None, 16, 16, 1)


def test_names_of_the_decoder_are_free_for_it():
    images = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="up_1_conv_1")(images)
    backbone = KerasBackbone(keras.Model(images, x, name="mine"))
    unet = build(backbone, weights=None, image_size=(16, 16))
    assert unet.get_layer("mine_up_1_conv_1").filters == 4
    assert unet.get_layer("up_1_conv_1").filters == 1


def list_trained(model):
    return {weight.path.split("/")[-2] for weight in model.trainable_weights}


DECODER = {
    f"up_{level}_{layer}"
    for level in range(1, 6)
    for layer in ("transposed", "conv_1", "norm_1", "conv_2", "norm_2")
} | {"logits"}
UPPER = {"block_16_expand", "block_16_depthwise", "Conv_1"}
NORMS = {f"{name}_BN" for name in (*UPPER, "Conv1")}


@pytest.mark.parametrize(
    ("trainable", "weights", "expected"),
    [
        ("decoder", "file", set()),
        ("stage5", "file", UPPER),
        ("Conv_1", "file", {"Conv_1"}),
        ("all", "file", {"Conv1"} | UPPER),
        ("stage5", None, UPPER),
        ("all", None, {"Conv1"} | UPPER | NORMS),
    ],
)
def test_part_that_trains(trainable, weights, expected, weights_file):
    weights = weights and weights_file("tiny")
    model = build(trainable=trainable, weights=weights)
    assert list_trained(model) == DECODER | expected


def test_batch_normalisation_of_a_pretrained_encoder_keeps_its_statistics(weights_file):
    model = build(trainable="all", weights=weights_file("tiny"))
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
    norms = [layer for layer in model.layers if layer.name in NORMS]
    before = [layer.get_weights() for layer in norms]
    model(images, training=True)
    for layer, arrays in zip(norms, before, strict=True):
        for found, array in zip(layer.get_weights(), arrays, strict=True):
            assert_array_equal(found, array)
    norm = model.get_layer("up_1_norm_1")
    assert norm.get_weights()[2].any()  # the decoder's are trained


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 3}, "depth=3: tiny has no feature maps at 1 / 8 of the image size"),
        ({"image_size": (48, 64)}, "depth=5 halves images 5 times.*multiples of 32"),
        ({"depth": 2, "trainable": "stage5"}, "trainable='stage5' is above the part"),
        ({"trainable": "head"}, "Choose one of decoder, stage5, stage1, all"),
        ({"encoder": "vgg16", "depth": 5}, "Choose one of 1, 2, 3, 4, or 'auto'"),
        ({"encoder": "unet"}, "'encoder' parameter.*'unet'"),
    ],
    ids=str,
)
def test_wrong_argument_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        build(**settings)


def test_network_that_never_halves_its_maps_is_refused():
    images = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same")(images)
    backbone = KerasBackbone(keras.Model(images, x, name="flat"))
    with pytest.raises(ValueError, match="encoder: flat never halves"):
        build(backbone, image_size=(16, 16))


def test_network_that_resizes_images_is_refused_if_its_maps_do_not_follow():
    rows = layers.Resizing(16, 16), layers.Conv2D(2, 3, strides=2, padding="same")
    network = keras.Sequential([keras.Input((None, None, 3)), *rows], name="resizes")
    message = r"maps of resizes have \(8, 8\) pixels for images of \(32, 64\) pixels"
    with pytest.raises(ValueError, match=message):
        build(KerasBackbone(network))


def test_size_that_an_own_network_does_not_take_is_refused():
    backbone = KerasBackbone(make_functional())
    with pytest.raises(ValueError, match=r"takes images of \(16, 16\) pixels"):
        build(backbone, image_size=(32, 32))


def test_error_says_whose_weights_a_file_seems_to_have(tmp_path):
    # The number of parameters tells.
    array = np.zeros(BACKBONES["mobilenetv3small"].n_parameters, np.float32)
    write_keras2(tmp_path / "file.h5", [("conv", [("kernel", array)])])
    message = "seem to be weights of MobileNetV3Small: pass encoder='mobilenetv3small',"
    with pytest.raises(ValueError, match=message):
        build(weights=tmp_path / "file.h5")


def test_network_can_be_built_from_its_configuration():
    model = build(dropout=0.5, n_outputs=3, random_state=0)
    copy = keras.Model.from_config(json.loads(json.dumps(model.get_config())))
    copy.set_weights(model.get_weights())
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
    assert_array_equal(np.asarray(copy(images)), np.asarray(model(images)))
    assert model.get_layer("dropout_1").rate == 0.5


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_bfloat16_is_near_float32(n_outputs):
    images = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3)).astype("float32")
    low, full = (
        build(n_outputs=n_outputs, compute_dtype=dtype, random_state=0)
        for dtype in ("bfloat16", "float32")
    )
    found, expected = np.asarray(low(images)), np.asarray(full(images))
    assert found.dtype == np.float32
    assert not np.array_equal(found, expected)
    assert_allclose(found, expected, atol=0.05)
    assert low.get_layer("Conv1").compute_dtype == "bfloat16"
    assert low.get_layer("logits").compute_dtype == "float32"
