"""Keras' setting of the axis of channels."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest

from skinest.networks import _backbones, build_transfer_network, build_unet

from ..classification.conftest import apply, make_images, small
from ..segmentation.conftest import make_small

BUILDERS = {
    "unet": lambda: build_unet(
        depth=2, base_filters=2, image_size=(32, 64), random_state=0
    ),
    "flatten": lambda: build_transfer_network(
        weights=None, image_size=(64, 32), pooling="flatten", random_state=0
    ),
    "max": lambda: build_transfer_network(
        "tiny", weights=None, image_size=(32, 32), pooling="max", random_state=0
    ),
}


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    assert keras.config.image_data_format() == "channels_first"
    keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("name", BUILDERS)
def test_networks_do_not_rely_on_it(name, request):
    expected = BUILDERS[name]()
    _backbones.make_config.cache_clear()
    request.getfixturevalue("channels_first")
    found = BUILDERS[name]()
    images = make_images(8).reshape(-1, *expected.input_shape[1:])
    assert found.input_shape == expected.input_shape
    np.testing.assert_allclose(
        apply(found, images), apply(expected, images), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("estimator", [small(), make_small()], ids=repr)
def test_an_augmentation_that_relies_on_it_is_refused(estimator):
    layer = keras.layers.RandomFlip(data_format="channels_first")
    estimator.set_params(augmentation=layer)
    with pytest.raises(ValueError, match=r"set_image_data_format\('channels_last'\)"):
        estimator.fit(make_images(8), np.arange(8) % 2)
