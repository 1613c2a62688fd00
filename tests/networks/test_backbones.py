# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import functools
import re
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skinest.networks import build_transfer_network
from skinest.networks._backbone_stages import list_blocks

from .conftest import BACKBONES, SIZE

PREPROCESS = {
    "vgg16": keras.applications.vgg16.preprocess_input,
    "vgg19": keras.applications.vgg19.preprocess_input,
    "mobilenetv2": keras.applications.mobilenet_v2.preprocess_input,
}


def build_backbone(backbone, size, weights=None, **options):
    """Build a transfer network, and take its layers up to the feature maps."""
    network = build_transfer_network(
        backbone,
        weights=weights,
        image_size=size,
        hidden_units=(),
        random_state=0,
        **options,
    )
    return keras.Model(network.input, network.get_layer("features").input)


@pytest.fixture(scope="module")
def backbone_model(weights_file):
    """Build our backbone with the weights of `application`; not to be changed."""

    @functools.cache
    def build(backbone, compute_dtype="float32"):
        path = weights_file(backbone)
        return build_backbone(backbone, SIZE, path, compute_dtype=compute_dtype)

    return build


def outputs(model, images, layer=None):
    if layer is not None:
        model = keras.Model(model.input, model.get_layer(layer).output)
    return keras.ops.convert_to_numpy(model(images, training=False))


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


def test_preprocessing_inside_is_in_float32_under_another_policy():
    size = 40, 36  # not built by another test
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        models = [build_backbone("mobilenetv3small", size)]
    finally:
        keras.config.set_dtype_policy(policy)
    models.append(build_backbone("mobilenetv3small", size))
    for model in models:
        layers = model.layers[1:]  # the first computes nothing
        assert {layer.compute_dtype for layer in layers} == {"float32"}


# In a process in which nothing has been built before.
UNDER_ANOTHER_DTYPE = """
import sys
import keras
import numpy as np

name, path, folder = sys.argv[1:]
if name == "policy":
    keras.config.set_dtype_policy("mixed_bfloat16")
else:
    keras.config.set_floatx("float64")
from skinest.networks import build_transfer_network

images = np.load(f"{folder}/images.npy")
network = build_transfer_network(
    "vgg16", weights=path, image_size=images.shape[1:3], hidden_units=()
)
assert network.input.dtype == "float32"
# The first holds the images' place, and computes nothing.
assert {layer.compute_dtype for layer in network.layers[1:]} == {"float32"}
model = keras.Model(network.input, network.get_layer("features").input)
np.save(f"{folder}/maps.npy", keras.ops.convert_to_numpy(model(images)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["policy", "floatx"])
def test_dtypes_of_the_whole_of_keras_change_nothing(
    name, backbone_model, weights_file, images, tmp_path
):
    np.save(tmp_path / "images.npy", images)
    arguments = [name, weights_file("vgg16"), tmp_path]
    subprocess.run(
        [sys.executable, "-c", UNDER_ANOTHER_DTYPE, *map(str, arguments)], check=True
    )
    expected = outputs(backbone_model("vgg16"), images)
    assert_array_equal(np.load(tmp_path / "maps.npy"), expected)


@pytest.mark.parametrize("backbone", ["vgg16", "mobilenetv2"])
def test_a_backbone_has_layers_only(backbone):
    """Keras cannot load a .h5 file of a model with another operation, such as flip."""
    network = build_backbone(backbone, (32, 32))
    assert all(isinstance(part, keras.layers.Layer) for part in network.operations)


def blocks_of_the_guide():
    """Yield the first backbone of each line of the guide, and the names of blocks."""
    guide = Path(__file__).parents[2] / "docs" / "guide" / "transfer.rst"
    table = guide.read_text().partition(".. list-table:: Backbones with")[2]
    table = table.partition("\nBlocks are those of the first network")[0]
    blocks = None
    for row in table.split("   * - ")[2:]:  # the first row has the titles
        networks, _, _, cell = row.split("\n     - ")
        backbone = re.findall("``(.+?)``", networks)[0]
        if cell.strip() != "as above":
            blocks = re.findall("``(.+?)``", cell)
        quick = backbone in {"vgg16", "mobilenet", "efficientnetv2b0"}
        marks = () if quick else pytest.mark.slow
        yield pytest.param(backbone, blocks, marks=marks, id=backbone)


@pytest.mark.parametrize(("backbone", "named"), list(blocks_of_the_guide()))
def test_blocks_in_the_guide_are_those_of_the_backbone(backbone, named):
    blocks = list(list_blocks(backbone))[::-1]
    assert set(named) <= set(blocks)
    # From the top down.
    assert (named[0], named[-1]) == (blocks[0], blocks[-1])
