"""What the tests of networks share: Keras' own networks, and files of their weights."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import functools
import random

import h5py
import keras
import numpy as np
import pytest

from skinest import BottleneckFeatureExtractor
from skinest.networks import build_transfer_network
from skinest.networks._backbones import build_application
from tests.private_names import get_keras_generator_state

APPLICATIONS = {
    "vgg16": keras.applications.VGG16,
    "vgg19": keras.applications.VGG19,
    "mobilenetv2": keras.applications.MobileNetV2,
}
# VGG19 has the layers of VGG16, and more of them.
BACKBONES = ["vgg16", pytest.param("vgg19", marks=pytest.mark.slow), "mobilenetv2"]
SMALL = {"image_size": (32, 32), "pooling": "avg"}
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
SIZE = (33, 47)  # odd, so that padding and the order of the sides matter


def random_weights(model, seed):
    """Make weights, none of them 0, that keep the scale of each layer's inputs."""
    generator = np.random.default_rng(seed)
    arrays = []
    for weight in model.weights:
        shape = tuple(weight.shape)
        if len(shape) > 1:
            is_depthwise = "depthwise" in weight.path
            fan_in = np.prod(shape[:2] if is_depthwise else shape[:-1])
            array = generator.standard_normal(shape, dtype=np.float32)
            array *= np.float32(np.sqrt(2 / fan_in))
        else:
            array = generator.uniform(-0.2, 0.2, shape).astype(np.float32)
            array += weight.name in ("gamma", "moving_variance", "variance")
        arrays.append(array)
    return arrays


def list_stages(backbone):
    """List the stages, as the error of another name does."""
    with pytest.raises(ValueError, match="Choose one of") as caught:
        build_transfer_network(
            backbone, weights=None, image_size=(32, 32), trainable="none of them"
        )
    return str(caught.value).split("Choose one of ")[1].split(";")[0].split(", ")


@pytest.fixture(scope="session")
def application():
    """Build the network of `keras.applications` without top, by the backbone's name.

    "tiny" is the one of few layers.
    """

    @functools.cache
    def build(backbone):
        options = {"weights": None, "input_shape": (*SIZE, 3)}
        if backbone == "tiny":
            model = build_application(backbone, **options)
        else:
            model = APPLICATIONS[backbone](include_top=False, **options)
        model.set_weights(random_weights(model, 0))
        return model

    return build


@pytest.fixture(scope="session")
def weights_file(application, tmp_path_factory):
    """Write a file of an application's weights, as Keras 3 does."""

    @functools.cache
    def write(backbone):
        path = tmp_path_factory.mktemp("weights") / f"{backbone}.weights.h5"
        application(backbone).save_weights(path)
        return path

    return write


@pytest.fixture(scope="session")
def images():
    """Make noise, so that no pixel equals another."""
    generator = np.random.default_rng(0)
    return generator.uniform(0, 255, (2, *SIZE, 3)).astype(np.float32)


@pytest.fixture
def unchanged_random_state():
    """Check that the generators of Python, NumPy and Keras stand where they stood."""

    def states():
        of_numpy = np.random.get_state()  # noqa: NPY002
        of_keras = get_keras_generator_state()
        return random.getstate(), str(of_numpy), of_numpy[1].tolist(), of_keras

    before = states()
    yield
    assert states() == before


def write_keras2(path, layers):
    """Write the layout of Keras 2.

    Parameters
    ----------
    path : path
        The file.

    layers : list of (str, list of (str, ndarray))
        Each layer's name and its weights'.
    """
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name, _ in layers]
        file.attrs["backend"] = b"tensorflow"
        file.attrs["keras_version"] = b"2.2.0"
        for name, weights in layers:
            group = file.create_group(name)
            paths = [f"{name}/{weight}:0" for weight, _ in weights]
            group.attrs["weight_names"] = [path.encode() for path in paths]
            for place, (_, array) in zip(paths, weights, strict=True):
                group[place] = array


def error_of(backbone, path, error=ValueError):
    """Return the message of the error that refuses a file, which it names."""
    extractor = BottleneckFeatureExtractor(backbone, weights=path, **SMALL)
    with pytest.raises(error) as caught:
        extractor.fit(IMAGES)
    message = str(caught.value)
    assert type(caught.value) is error
    assert str(path) in message
    return message
