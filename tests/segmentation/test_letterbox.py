"""Between the size of an image and that of the network, and back."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from skimage.measure import block_reduce

# In predictions only some of all sizes could be seen, and no mask as training sees it.
from skinest.segmentation._pairs import OUTSIDE, Letterbox

SHAPES = [(16, 16), (40, 48), (31, 17), (16, 5), (5, 16), (9, 64), (200, 12), (3, 3)]
LETTERBOXES = [Letterbox((16, 16), pad) for pad in (False, True)] + [
    Letterbox((8, 24), pad) for pad in (False, True)
]


def draw_blobs(shape, labels=(0, 255), seed=0):
    """Draw a mask of patches of some pixels, and the labels that it holds."""
    generator = np.random.default_rng(seed)
    coarse = generator.choice(labels, size=[-(-side // 3) for side in shape])
    mask = np.kron(coarse, np.ones((3, 3), int))[: shape[0], : shape[1]]
    mask = mask.astype(np.uint8)
    return mask, np.unique(mask)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("letterbox", LETTERBOXES, ids=str)
def test_masks_hold_positions_of_labels_and_outside_alone(letterbox, shape):
    mask, labels = draw_blobs(shape, (3, 7, 9))
    fitted = letterbox.resize_mask(mask, labels)
    assert (fitted.shape, fitted.dtype) == (letterbox.size, np.uint8)
    is_padding = fitted == OUTSIDE
    assert is_padding.any() == (
        letterbox.pad and fitted[~is_padding].size < fitted.size
    )
    assert set(fitted[~is_padding].tolist()) <= set(range(len(labels)))


@pytest.mark.parametrize("labels", [(0, 1), (3, 7, 9), tuple(range(0, 250, 8))])
def test_a_pixel_takes_the_label_that_covers_most_of_it(labels):
    generator = np.random.default_rng(1)
    factor = np.array([5, 7])
    mask = generator.choice(labels, size=factor * 16).astype(np.uint8)
    held = np.unique(mask)
    counts = np.stack(
        [block_reduce(mask == label, tuple(factor), np.sum) for label in held]
    )
    first, second = -np.sort(-counts, axis=0)[:2]
    clear = first > second  # else several cover the same
    assert clear.mean() > 0.5
    fitted = Letterbox((16, 16), False).resize_mask(mask, held)
    assert_array_equal(fitted[clear], counts.argmax(axis=0)[clear])


def test_what_covers_half_of_a_pixel_is_not_lost_to_the_nearest_one():
    """Show that a line of one pixel in three survives where it is most."""
    mask = np.zeros((48, 48), dtype=np.uint8)
    mask[:, ::3] = 1  # a third of each pixel
    letterbox = Letterbox((16, 16), False)
    assert not letterbox.resize_mask(mask, np.array([0, 1])).any()
    mask[:, 1::3] = 1  # two thirds
    assert letterbox.resize_mask(mask, np.array([0, 1])).all()


@pytest.mark.parametrize("factor", [2, 3])
def test_enlarged_masks_keep_their_shapes(factor):
    mask, labels = draw_blobs((8, 8), (0, 4, 5))
    fitted = Letterbox((8 * factor, 8 * factor), False).resize_mask(mask, labels)
    nearest = np.kron(np.searchsorted(labels, mask), np.ones((factor, factor), int))
    # Only corners may be rounded.
    assert np.mean(fitted == nearest) > 0.9
    centre = factor // 2
    if factor % 2:
        middle = fitted[centre::factor, centre::factor]
        assert_array_equal(middle, nearest[centre::factor, centre::factor])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("letterbox", LETTERBOXES, ids=str)
def test_image_and_mask_are_padded_alike_by_the_edges_of_the_image(letterbox, shape):
    image = np.full((*shape, 3), 90, dtype=np.uint8)
    image[: shape[0] // 2] = 200
    mask, labels = np.ones(shape, np.uint8), np.array([1], np.uint8)
    fitted, codes = letterbox.resize_image(image), letterbox.resize_mask(mask, labels)
    assert (fitted.shape, fitted.dtype) == ((*letterbox.size, 3), np.uint8)
    inside = codes != OUTSIDE
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    height, width = len(rows), len(columns)
    assert inside.sum() == height * width  # a rectangle
    if not letterbox.pad:
        assert (height, width) == letterbox.size
        return
    # One side is full; the other as long as the aspect ratio asks, to a pixel.
    scale = min(letterbox.size[0] / shape[0], letterbox.size[1] / shape[1])
    asked = np.maximum(1, np.multiply(shape, scale))
    assert (height, width) == pytest.approx(asked, abs=0.5 + 1e-9)
    # In the middle, to a pixel.
    for found, side in zip((rows, columns), letterbox.size, strict=True):
        assert abs(found[0] - (side - 1 - found[-1])) <= 1
    # Beyond the border there is what is at the border.
    nearest = np.clip(np.arange(letterbox.size[0]), rows[0], rows[-1])
    across = np.clip(np.arange(letterbox.size[1]), columns[0], columns[-1])
    assert_array_equal(fitted, fitted[nearest][:, across])


@pytest.mark.parametrize("shape", [s for s in SHAPES if min(s) > 3], ids=str)
@pytest.mark.parametrize("letterbox", LETTERBOXES, ids=str)
def test_outputs_come_back_to_where_they_were(letterbox, shape):
    """Show that a slope stays one, and nothing of the padding comes in."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    slope = (40 + 150 * rows / shape[0] + 50 * columns / shape[1]).astype(np.uint8)
    fitted = letterbox.resize_image(np.repeat(slope[..., np.newaxis], 3, axis=-1))
    outputs = fitted.astype(np.float32) / 255
    codes = letterbox.resize_mask(np.zeros(shape, np.uint8), np.array([0], np.uint8))
    outputs[codes == OUTSIDE] = np.nan
    restored = letterbox.restore(outputs, shape)
    assert (restored.shape, restored.dtype) == ((*shape, 3), np.float32)
    restored *= 255
    # A pixel of the network is as wide as some of the image.
    step = 1.5 * (
        150 / min(letterbox.size[0], shape[0]) + 50 / min(letterbox.size[1], shape[1])
    )
    scale = 1 if not letterbox.pad else max(shape[0] / 8, shape[1] / 16, 1)
    assert_allclose(restored[..., 0], slope, atol=step * scale + 2)
    assert np.corrcoef(restored[..., 0].ravel(), slope.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("n_outputs", [1, 2, 4, 5, 9, 32])
def test_each_output_comes_back_as_if_it_were_alone(n_outputs, shape):
    letterbox = Letterbox((16, 16), True)
    outputs = np.random.default_rng(0).random((16, 16, n_outputs), dtype=np.float32)
    restored = letterbox.restore(outputs, shape)
    alone = [letterbox.restore(outputs[..., [i]], shape) for i in range(n_outputs)]
    assert restored.shape == (*shape, n_outputs)
    assert_allclose(restored, np.concatenate(alone, axis=-1), atol=1e-6)


def test_images_of_the_size_of_the_network_are_left_alone():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    mask, labels = draw_blobs((16, 16))
    for pad in (False, True):
        letterbox = Letterbox((16, 16), pad)
        assert_array_equal(letterbox.resize_image(image), image)
        assert_array_equal(labels[letterbox.resize_mask(mask, labels)], mask)
        outputs = np.random.default_rng(0).random((16, 16, 2), dtype=np.float32)
        assert_array_equal(letterbox.restore(outputs, (16, 16)), outputs)
