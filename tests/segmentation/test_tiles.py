"""Large images in tiles: each pixel is covered, and borders fade."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

# In predictions only some of all sizes, overlaps and outputs could be seen.
from skinest.segmentation._tiles import blend, find_corners

from .conftest import fit_brightness, make_pairs, small

OVERLAPS = [0.0, 0.1, 0.25, 0.5, 0.75, 0.99]


def draws(n_draws=60):
    """Draw sizes of images and of tiles that fit in them."""
    generator = np.random.default_rng(0)
    for _ in range(n_draws):
        shape = tuple(generator.integers(1, 60, 2).tolist())
        tile = tuple(int(generator.integers(1, side + 1)) for side in shape)
        yield shape, tile


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_tiles_cover_each_pixel_within_the_image_and_overlap(overlap):
    for shape, tile in [
        *draws(),
        ((7, 7), (7, 7)),
        ((13, 5), (4, 5)),
        ((1, 9), (1, 2)),
    ]:
        corners = find_corners(shape, tile, overlap)
        assert len(set(corners)) == len(corners)
        covered = np.zeros(shape, dtype=int)
        for top, left in corners:
            assert 0 <= top <= shape[0] - tile[0]
            assert 0 <= left <= shape[1] - tile[1]
            covered[top : top + tile[0], left : left + tile[1]] += 1
        assert covered.all(), (shape, tile)
        for axis in (0, 1):
            starts = sorted({corner[axis] for corner in corners})
            steps = np.diff(starts)
            # To a pixel, as corners are whole ones.
            most = max(1, np.ceil(tile[axis] * (1 - overlap)))
            assert (steps <= most).all(), (shape, tile, steps)
            if len(steps):  # as evenly as whole pixels allow, and no more than needed
                assert np.ptp(steps) <= 1
                room = shape[axis] - tile[axis]
                assert (len(steps) - 1) * tile[axis] * (1 - overlap) < room
        rows, columns = ({corner[axis] for corner in corners} for axis in (0, 1))
        assert set(corners) == {(top, left) for top in rows for left in columns}


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_blend_of_one_picture_is_that_picture(overlap):
    generator = np.random.default_rng(1)
    for shape, tile in draws(30):
        picture = generator.random((*shape, 2), dtype=np.float32)
        picture[..., 1] = 0.25  # a constant stays one
        corners = find_corners(shape, tile, overlap)
        tiles = [
            picture[top : top + tile[0], left : left + tile[1]] for top, left in corners
        ]
        blended = blend(tiles, corners, shape)
        assert (blended.shape, blended.dtype) == ((*shape, 2), np.float32)
        assert_allclose(blended, picture, rtol=1e-5)


def test_blend_goes_over_from_tile_to_tile_step_by_step():
    tiles = [np.full((10, 12, 1), value, np.float32) for value in (0, 1)]
    blended = blend(tiles, [(0, 0), (0, 6)], (10, 18))[..., 0]
    assert_array_equal(blended[:, :6], 0)
    assert_array_equal(blended[:, 12:], 1)
    between = blended[:, 6:12]
    assert (np.diff(between, axis=1) > 0).all()
    assert_allclose(between, 1 - between[:, ::-1], atol=1e-6)  # half in the middle
    assert np.abs(np.diff(blended, axis=1)).max() < 0.25
    assert_allclose(between, np.broadcast_to(between[:1], between.shape), atol=1e-6)


# In predictions ---------------------------------------------------------------------

SIDES = (16, 16)  # of the training images: a tile is as the network sees it


@pytest.fixture(scope="module")
def tiling():
    return small(**{"epochs": 10, "learning_rate": 0.05}).fit(*make_pairs(sides=SIDES))


def in_tiles(segmenter, overlap):
    return copy.copy(segmenter).set_params(tile_overlap=overlap)


@pytest.mark.parametrize("n_pairs", [9, 10])
def test_a_tile_is_as_large_as_the_median_training_image(n_pairs, no_training):
    X, y = [], []
    for i in range(n_pairs):
        (image,), (mask,) = make_pairs(1, (20 + 2 * i, 30 - i), seed=i)
        X.append(image)
        y.append(mask)
    segmenter = small(epochs=1).fit(X, y)
    shapes = [mask.shape for mask in y]
    expected = np.rint(np.median(shapes, axis=0)).astype(int)
    assert segmenter.tile_shape_ == tuple(expected.tolist())


def test_images_that_are_held_out_do_not_count_for_the_tile(no_training):
    X, y = make_pairs(4, (18, 18))
    X_val, y_val = make_pairs(4, (50, 50))
    segmenter = small(epochs=1).fit(X, y, X_val=X_val, y_val=y_val)
    assert segmenter.tile_shape_ == (18, 18)


def test_tiles_without_overlap_are_predictions_of_the_parts(tiling):
    (large,) = make_pairs(1, (48, 32), seed=7)[0]
    found = in_tiles(tiling, 0.0).predict_proba([large])[0]
    for top in (0, 16, 32):
        for left in (0, 16):
            place = slice(top, top + 16), slice(left, left + 16)
            part = tiling.predict_proba([large[place]])[0]
            assert_allclose(found[place], part, atol=1e-6)
    whole = tiling.predict_proba([large])[0]
    assert not np.allclose(found, whole, atol=0.05)


@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_what_one_tile_alone_covers_is_its_prediction(tiling, overlap):
    shape = (37, 29)
    (large,) = make_pairs(1, shape, seed=7)[0]
    found = in_tiles(tiling, overlap).predict_proba([large])[0]
    assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)
    corners = find_corners(shape, SIDES, overlap)
    counts, parts = np.zeros(shape, int), []
    for top, left in corners:
        place = slice(top, top + 16), slice(left, left + 16)
        counts[place] += 1
        parts.append((place, tiling.predict_proba([large[place]])[0]))
    assert (counts == 1).any() and (counts > 1).any()
    low, high = np.full((*shape, 2), np.inf), np.full((*shape, 2), -np.inf)
    for place, part in parts:
        low[place], high[place] = (
            np.minimum(low[place], part),
            np.maximum(high[place], part),
        )
        alone = counts[place] == 1
        assert_allclose(found[place][alone], part[alone], atol=1e-6)
    # Elsewhere it lies between those of the tiles.
    assert (found > low - 1e-6).all() and (found < high + 1e-6).all()


@pytest.mark.parametrize("sides", [(16, 16), (16, 9), (7, 16), (5, 6)], ids=str)
def test_images_not_larger_than_a_tile_are_taken_as_a_whole(tiling, sides):
    images = make_pairs(3, sides)[0]
    expected = tiling.predict_proba(images)
    for overlap in (0.0, 0.5):
        found = in_tiles(tiling, overlap).predict_proba(images)
        assert_array_equal(found, expected)


def test_tiles_and_whole_images_may_stand_side_by_side(tiling):
    """In whatever batches they go through the network."""
    sides = [(40, 17), (16, 16), (33, 33), (8, 20), (16, 50), (12, 12)]
    X = [make_pairs(1, each, seed=i)[0][0] for i, each in enumerate(sides)]
    segmenter = in_tiles(tiling, 0.3)
    together = segmenter.predict_proba(X)
    for image, found in zip(X, together, strict=True):
        assert found.shape == (*image.shape[:2], 2)
        assert_allclose(found, segmenter.predict_proba([image])[0], atol=1e-6)
    assert [mask.shape for mask in segmenter.predict(X)] == sides


@pytest.mark.parametrize("pad", [False, True])
def test_structures_are_found_where_they_are_in_odd_sizes(pad, no_training):
    """Show that a network of brightness sees the same in tiles as in the whole."""
    X, y = make_pairs(6, (20, 24))
    settings = {"epochs": 1, "tile_overlap": 0.25, "pad_to_aspect_ratio": pad}
    segmenter = fit_brightness(small(**settings), X, y)
    for sides in [(41, 77), (20, 99), (63, 11), (61, 24)]:
        images, masks = make_pairs(1, sides, seed=3)
        assert segmenter.predict(images).shape == masks.shape
        assert segmenter.score(images, masks) > 0.9


def test_small_structures_are_found_in_tiles_alone(no_training):
    """Show that a tile has the scale of training images; a large image has not."""
    segmenter = fit_brightness(small(epochs=1), *make_pairs(sides=SIDES))
    image, mask = np.zeros((96, 96, 3), np.uint8), np.zeros((96, 96), np.uint8)
    for top, left in [(5, 7), (40, 60), (81, 30)]:
        place = slice(top, top + 3), slice(left, left + 3)
        image[place], mask[place] = 255, 1
    assert not segmenter.predict([image])[0].any()
    found = in_tiles(segmenter, 0.5).predict([image])[0]
    assert_array_equal(found, mask)


def test_three_labels_in_tiles(no_training):
    X, y = make_pairs(sides=SIDES, n_classes=3)
    segmenter = small(epochs=1, tile_overlap=0.5).fit(X, y)
    (large,) = make_pairs(1, (30, 20))[0]
    probabilities = segmenter.predict_proba([large])[0]
    assert probabilities.shape == (30, 20, 3)
    assert_allclose(probabilities.sum(axis=-1), 1, rtol=1e-5)
    mask = segmenter.predict([large])[0]
    assert_array_equal(mask, segmenter.classes_[probabilities.argmax(axis=-1)])
