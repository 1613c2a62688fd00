"""What is done to predicted masks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from .conftest import fit_brightness, make_small

# Two spots: one with a hole, of which one pixel touches the others at a corner alone,
# and one of two pixels.
DRAWN = [
    "..........",
    ".###......",
    ".#.#...#..",
    ".###...#..",
    "....#.....",
    "..........",
]


def read(rows):
    """Return a mask of 0 and 255, of 16 x 16 pixels."""
    mask = np.array([[255 * (sign == "#") for sign in row] for row in rows], np.uint8)
    return np.pad(mask, [(0, 16 - side) for side in mask.shape])


MASK = read(DRAWN)
IMAGE = np.repeat(MASK[..., np.newaxis], 3, axis=-1)


@pytest.fixture(scope="module")
def exact():
    """Fit a segmenter that finds what is white, in images of its size."""
    return fit_brightness(make_small(epochs=1), IMAGE[np.newaxis], MASK[np.newaxis])


def predict(segmenter, postprocess):
    segmenter.set_params(postprocess=postprocess)
    return segmenter.predict(IMAGE[np.newaxis])[0]


def test_without_it_masks_are_what_was_found(exact):
    assert_array_equal(predict(exact, None), MASK)
    assert_array_equal(predict(exact, []), MASK)


def test_largest_component_is_kept_with_pixels_that_touch_at_a_corner(exact):
    expected = MASK.copy()
    expected[:, 7] = 0
    assert_array_equal(predict(exact, "largest"), expected)


def test_holes_are_filled(exact):
    expected = MASK.copy()
    expected[2, 2] = 255
    assert_array_equal(predict(exact, "fill_holes"), expected)


def test_steps_follow_one_another_and_probabilities_stay(exact):
    proba = exact.predict_proba(IMAGE[np.newaxis])

    def move(mask):
        assert mask.flags.writeable
        mask[:] = np.roll(mask, 1, axis=0)
        return mask

    expected = MASK.copy()
    expected[2, 2] = 255
    expected[:, 7] = 0
    found = predict(exact, ["fill_holes", "largest", move])
    assert_array_equal(found, np.roll(expected, 1, axis=0))
    assert found.dtype == MASK.dtype
    assert_array_equal(exact.predict_proba(IMAGE[np.newaxis]), proba)
    cropped = exact.set_params(postprocess="largest", crop_margin=0)
    assert cropped.transform(IMAGE[np.newaxis])[0].shape == (4, 4, 3)


def test_each_label_is_treated_alone():
    from skinest.segmentation._postprocessing import postprocess_mask

    classes = np.array([1, 4, 9])
    mask = np.ones((7, 9), int)
    mask[1:6, 1:6] = 4  # with a pixel of another label in it, and a hole
    mask[2, 2], mask[4, 4] = 9, 1
    mask[1:3, 7], mask[6, 8] = 9, 4
    expected = mask.copy()
    expected[4, 4], expected[2, 2], expected[6, 8] = 4, 1, 1
    found = postprocess_mask(mask, ["fill_holes", "largest"], classes)
    assert_array_equal(found, expected)


# Each label has a hole inside of one of the other. No label alone encloses what is at
# the lower right.
RINGS = [
    "#########.ooooooo",
    "#.......#.o.....o",
    "#.ooooo.#.o.###.o",
    "#.o...o.#.o.#.#.o",
    "#.o.#.o.#.o.###.o",
    "#.o...o.#.o.....o",
    "#.ooooo.#.ooooooo",
    "#.......#........",
    "#########.....###",
    "..............o.o",
    "..............ooo",
]
FILLED_RINGS = [
    "#########.ooooooo",
    "#########.ooooooo",
    "##ooooo##.oo###oo",
    "##ooooo##.oo###oo",
    "##oo#oo##.oo###oo",
    "##ooooo##.ooooooo",
    "##ooooo##.ooooooo",
    "#########........",
    "#########.....###",
    "..............o.o",
    "..............ooo",
]
# They cross at corners, above and below four pixels.
CROSSED_RINGS = [
    "####oooo",
    "#..o#..o",
    "#.o..#.o",
    "#.o..#.o",
    "#..o#..o",
    "####oooo",
]
FILLED_CROSSED_RINGS = [
    "####oooo",
    "###o#ooo",
    "##o..#oo",
    "##o..#oo",
    "###o#ooo",
    "####oooo",
]


@pytest.mark.parametrize("labels", [(1, 2), (2, 1)], ids=str)
@pytest.mark.parametrize(
    ("drawn", "expected"),
    [(RINGS, FILLED_RINGS), (CROSSED_RINGS, FILLED_CROSSED_RINGS)],
    ids=["nested", "crossed"],
)
def test_a_hole_gets_the_label_next_around_it_whatever_its_number(
    drawn, expected, labels
):
    from skinest.segmentation._postprocessing import postprocess_mask

    number = dict(zip(".#o", (0, *labels), strict=True))
    mask, filled = (
        np.array([[number[sign] for sign in row] for row in rows])
        for rows in (drawn, expected)
    )
    found = postprocess_mask(mask, ["fill_holes"], np.arange(3))
    assert_array_equal(found, filled)


def test_an_empty_mask_stays_empty(exact):
    black = np.zeros_like(IMAGE)[np.newaxis]
    for step in ("largest", "fill_holes"):
        assert not exact.set_params(postprocess=step).predict(black).any()


@pytest.mark.parametrize(
    ("postprocess", "message"),
    [
        (["largest", "smooth"], r"has the step 'smooth'. Choose of 'fill_holes', "),
        (lambda mask: mask[1:], r"shape \(15, 16\) for a mask of shape \(16, 16\)"),
        (lambda mask: mask // 2, r"has returned the values \[127\], but the labels"),
    ],
    ids=["name", "shape", "labels"],
)
def test_wrong_steps_are_named(postprocess, message, exact):
    with pytest.raises(ValueError, match=message):
        predict(exact, postprocess)


def test_wrong_name_is_refused_before_images_are_read(unread):
    with pytest.raises(ValueError, match="'postprocess' parameter of UNetSegmenter"):
        make_small(postprocess="smallest").fit(*unread)
    with pytest.raises(ValueError, match="has the step 1"):
        make_small(postprocess=["largest", 1]).fit(*unread)
