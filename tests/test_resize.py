"""Sizes of images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from skinest.images import limit_side, resize


def test_limit_side_keeps_the_aspect_and_never_enlarges():
    image = np.zeros((300, 400, 3), dtype=np.uint8)
    assert limit_side(image, 100).shape == (75, 100, 3)
    assert limit_side(image, 400) is image
    assert limit_side(image, None) is image
    assert limit_side(np.zeros((1, 1000, 3), dtype=np.uint8), 10).shape == (1, 10, 3)


def test_resize_takes_the_mean_where_an_image_shrinks():
    image = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    blocks = image.reshape(4, 2, 6, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(resize(image, (4, 6)), blocks, atol=0.5)


def test_resize_interpolates_where_a_side_grows():
    image = np.zeros((1, 2, 3), dtype=np.uint8)
    image[:, 1] = 100
    # Pixels are squares: their centres lie at -1/4, 1/4, 3/4 and 5/4.
    np.testing.assert_array_equal(resize(image, (1, 4))[0, :, 0], [0, 25, 75, 100])
    assert resize(image, (5, 1)).shape == (5, 1, 3)


def test_resize_leaves_an_image_of_that_size():
    image = np.full((3, 4, 3), 7, dtype=np.uint8)
    np.testing.assert_array_equal(resize(image, (3, 4)), image)
