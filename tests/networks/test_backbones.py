# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import functools
import itertools
import warnings

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skinest.networks import _backbones
from skinest.networks._backbones import build_backbone, first_layer_of, stage_names

from .conftest import BACKBONES, SIZE

PREPROCESS = {
    "vgg16": keras.applications.vgg16.preprocess_input,
    "vgg19": keras.applications.vgg19.preprocess_input,
    "mobilenetv2": keras.applications.mobilenet_v2.preprocess_input,
}


@pytest.fixture(scope="module")
def backbone_model(application):
    """Our backbone with the weights of `application`; not to be changed."""

    @functools.cache
    def build(backbone, compute_dtype="float32"):
        model = build_backbone(backbone, SIZE, compute_dtype=compute_dtype)
        model.set_weights(application(backbone).get_weights())
        return model

    return build


def outputs(model, images, layer=None):
    if layer is not None:
        model = keras.Model(model.input, model.get_layer(layer).output)
    return keras.ops.convert_to_numpy(model(images, training=False))


@pytest.fixture
def global_setting(request):
    """A dtype that the user has set for all of Keras, and nothing built before."""
    set_dtype, value = request.param
    policy, floatx = keras.config.dtype_policy(), keras.config.floatx()
    _backbones._config_of.cache_clear()
    set_dtype(value)
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)
    _backbones._config_of.cache_clear()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_layers_are_those_of_keras(backbone, backbone_model, application):
    def weighty(model):
        return [
            (layer.name, [(w.name, w.shape) for w in layer.weights])
            for layer in model.layers
            if layer.weights
        ]

    assert weighty(backbone_model(backbone)) == weighty(application(backbone))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_preprocessing_is_that_of_keras(backbone, backbone_model, images):
    expected = PREPROCESS[backbone](images.copy())
    found = outputs(backbone_model(backbone), images, "preprocessing")
    assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("backbone", BACKBONES)
def test_feature_maps_are_those_of_keras(backbone, backbone_model, application, images):
    expected = outputs(application(backbone), PREPROCESS[backbone](images.copy()))
    found = outputs(backbone_model(backbone), images)
    assert found.shape == expected.shape
    assert expected.std() > 0.1
    assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * expected.max())


@pytest.mark.parametrize("backbone", ["vgg16", "mobilenetv2"])
def test_integers_are_taken_as_the_same_floats(backbone, backbone_model, images):
    pixels = images.astype(np.uint8)
    model = backbone_model(backbone)
    assert_array_equal(outputs(model, pixels), outputs(model, np.float32(pixels)))


def test_model_takes_an_array_without_warning(backbone_model, images):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backbone_model("vgg16")(images)


def test_stage_names_stand_from_the_top_down():
    blocks = [f"block{number}" for number in (5, 4, 3, 2, 1)]
    assert stage_names("vgg16") == stage_names("vgg19") == ["head", *blocks, "all"]
    blocks = [f"block_{number}" for number in range(16, 0, -1)]
    blocks = ["Conv_1", *blocks, "expanded_conv"]
    assert stage_names("mobilenetv2") == ["head", *blocks, "all"]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_each_stage_starts_at_the_first_layer_of_its_block(backbone, application):
    layers = [layer.name for layer in application(backbone).layers if layer.weights]
    stages = stage_names(backbone)[1:-1]
    found = [first_layer_of(backbone, stage) for stage in stages]
    for stage, first in zip(stages, found, strict=True):
        block = [name for name in layers if f"{name}_".startswith(f"{stage}_")]
        assert first == block[0]
    places = [layers.index(name) for name in found]
    assert all(above > below for above, below in itertools.pairwise(places))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_ends_of_the_network_have_no_first_layer(backbone):
    assert first_layer_of(backbone, "head") is first_layer_of(backbone, "all") is None


@pytest.mark.parametrize("backbone", ["vgg16", "mobilenetv2"])
def test_weights_start_at_zero_and_normalisation_at_identity(backbone):
    for weight in build_backbone(backbone, (32, 32)).weights:
        is_one = weight.name in ("gamma", "moving_variance")
        assert (keras.ops.convert_to_numpy(weight.value) == is_one).all(), weight.path


@pytest.mark.parametrize("backbone", BACKBONES)
def test_bfloat16_computes_with_float32_weights(backbone, backbone_model, images):
    policy = keras.config.dtype_policy()
    model = backbone_model(backbone, "bfloat16")
    assert keras.config.dtype_policy() is policy
    assert {weight.dtype for weight in model.weights} == {"float32"}
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    convolutions = [layer for layer in model.layers if isinstance(layer, kinds)]
    assert {layer.compute_dtype for layer in convolutions} == {"bfloat16"}
    # Numbers of 8 bits, so the mean of a colour must go before they are rounded.
    assert model.get_layer("preprocessing").compute_dtype == "float32"
    exact = outputs(backbone_model(backbone), images)
    rounded = outputs(model, images).astype(np.float32)
    error = np.sqrt(np.mean((rounded - exact) ** 2) / np.mean(exact**2))
    assert 0 < error < 0.1


@pytest.mark.parametrize(
    "global_setting",
    [
        (keras.config.set_dtype_policy, "mixed_bfloat16"),
        (keras.config.set_floatx, "float64"),
    ],
    indirect=True,
    ids=["policy", "floatx"],
)
def test_dtypes_of_the_whole_of_keras_change_nothing(
    global_setting, backbone_model, application, images
):
    model = build_backbone("vgg16", SIZE)
    model.set_weights(application("vgg16").get_weights())
    assert model.input.dtype == "float32"
    # The first holds the images' place, and computes nothing.
    assert {layer.compute_dtype for layer in model.layers[1:]} == {"float32"}
    assert_array_equal(outputs(model, images), outputs(backbone_model("vgg16"), images))


@pytest.mark.usefixtures("unchanged_random_state")
@pytest.mark.parametrize("backbone", ["vgg16", "mobilenetv2"])
def test_building_draws_nothing(backbone):
    _backbones._config_of.cache_clear()
    build_backbone(backbone, (32, 32), compute_dtype="bfloat16", l2=0.1)
