"""Views of images: exact turns, and means that do not depend on their order."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import weakref

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skinest._training._views import (
    ImageViews,
    average,
    average_masks,
    split_views,
    turn,
    turn_back,
)
from skinest.images import check_images

IMAGE = np.arange(2 * 3 * 2, dtype=np.uint8).reshape(2, 3, 2)
MIRRORED = np.fliplr(IMAGE)


def as_set(images):
    return {(image.shape, image.tobytes()) for image in images}


def list_views(image, n_views=8):
    return [turn(image, view) for view in range(n_views)]


@pytest.mark.parametrize(
    ("n_views", "expected"),
    [
        (1, [IMAGE]),
        (2, [IMAGE, MIRRORED]),
        (4, [IMAGE, MIRRORED, np.flipud(IMAGE), np.flipud(MIRRORED)]),
        (8, [np.rot90(each, k) for each in (IMAGE, MIRRORED) for k in range(4)]),
    ],
)
def test_views_are_flips_and_quarter_turns(n_views, expected):
    views = list_views(IMAGE, n_views)
    assert_array_equal(views[0], IMAGE)
    assert as_set(views) == as_set(expected)
    assert len(as_set(views)) == n_views
    for view, turned in enumerate(views):
        assert_array_equal(turn_back(turned, view), IMAGE)


@pytest.mark.parametrize("n_views", [2, 4, 8])
def test_mean_is_exact_in_the_order_of_each_view(n_views):
    """Numbers of very different sizes, whose sum depends on their order."""
    generator = np.random.default_rng(0)
    exponents = generator.integers(-20, 0, (n_views, 500))
    numbers = (generator.random((n_views, 500)) * 2.0**exponents).astype(np.float32)
    expected = average(iter(numbers), n_views)
    assert expected.dtype == np.float32
    np.testing.assert_allclose(expected, numbers.mean(axis=0), rtol=1e-6)
    # A view of each view of an image is one of the views of the image.
    views = [turned.tobytes() for turned in list_views(IMAGE, n_views)]
    for turned in list_views(IMAGE, n_views):
        order = [views.index(each.tobytes()) for each in list_views(turned, n_views)]
        assert sorted(order) == list(range(n_views))
        assert_array_equal(average(iter(numbers[order]), n_views), expected)
    if n_views > 2:
        other = numbers[np.roll(np.arange(n_views), 1)]
        assert (average(iter(other), n_views) != expected).any()


def test_masks_are_turned_back_and_few_are_in_memory():
    image = np.random.default_rng(0).random((4, 5, 1)).astype(np.float32)
    references, most = [], 0

    class Outputs(np.ndarray):
        pass

    def predict():
        nonlocal most
        for position in range(2):
            for view in range(8):
                outputs = (turn(image, view) + position).view(Outputs)
                references.append(weakref.ref(outputs))
                most = max(most, sum(each() is not None for each in references))
                yield view, outputs
                del outputs

    means = list(average_masks(predict(), 8))
    assert [first for first, _ in means] == [0, 0]
    for position, (_, mean) in enumerate(means):
        np.testing.assert_allclose(mean, image + position, rtol=1e-6)
    assert most <= 6


def test_one_view_is_what_is_predicted():
    predicted = [(IMAGE, IMAGE / np.float32(7))]
    ((_, outputs),) = average_masks(iter(predicted), 1)
    assert outputs is predicted[0][1]


@pytest.mark.parametrize("batch_size", [1, 3, 8, 12, 32])
@pytest.mark.parametrize("n_views", [1, 2, 4, 8])
def test_batches_do_not_divide_the_views_of_an_image(batch_size, n_views):
    positions = np.arange(10 * n_views)
    batches = split_views(positions, batch_size, n_views)
    assert_array_equal(np.concatenate(batches), positions)
    assert {len(batch) % n_views for batch in batches} == {0}
    assert max(map(len, batches)) <= max(batch_size, n_views)


def test_views_are_in_order_and_have_keys_and_names():
    images = check_images(np.stack([IMAGE[..., :1]] * 3).repeat(3, axis=-1) // 2)
    views = ImageViews(images, 4)
    assert len(views) == 12
    for index in range(12):
        assert_array_equal(views[index], turn(images[index // 4], index % 4))
        assert views.where(index) == f"X[{index // 4}]"
    keys = [views.key(index) for index in range(4)]
    assert keys[0] == images.key(0)
    assert len(set(keys)) == 4
