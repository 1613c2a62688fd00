"""Pairs of near-duplicates are plotted side by side, turned the same way."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skinest.inspection import NearDuplicatesDisplay
from skinest.model_selection import NearDuplicates

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 6, 9, 3), dtype=np.uint8)
OTHERS = [np.rot90(IMAGES[2]), IMAGES[0]]


def make(pairs, views):
    views = np.array(views, dtype=object)
    return NearDuplicates(np.array(pairs), np.linspace(1, 0.9, len(pairs)), views)


@pytest.fixture
def found():
    return make([[0, 1], [2, 0]], ["same", "quarter turn left"])


def test_both_images_of_a_pair_are_turned_the_same_way(found):
    display = NearDuplicatesDisplay.from_duplicates(found, IMAGES, OTHERS)
    assert display.axes_.shape == (2, 2)
    for first, second in display.axes_:
        (one,), (other,) = first.images, second.images
        assert_array_equal(one.get_array(), other.get_array())
    titles = [axis.get_title() for axis in display.axes_.ravel()]
    assert titles == ["0", "1, score 1.00", "2, quarter turn left", "0, score 0.90"]


def test_the_first_pairs_of_one_set_are_plotted():
    found = make([[0, 1], [2, 3], [1, 3]], ["same"] * 3)
    display = NearDuplicatesDisplay.from_duplicates(found, IMAGES, n_pairs=2)
    assert len(display.axes_) == 2
    assert_array_equal(display.axes_[1, 1].images[0].get_array(), IMAGES[3])
    again = display.plot(max_cols=2)
    assert again is display
    assert again.figure_.get_size_inches()[0] < 4


def test_wrong_arguments_are_named(found):
    plot = NearDuplicatesDisplay.from_duplicates
    with pytest.raises(ValueError, match="duplicates has no pairs"):
        plot(make(np.zeros((0, 2), int), []), IMAGES)
    with pytest.raises(ValueError, match="n_pairs=0"):
        plot(found, IMAGES, OTHERS, n_pairs=0)
    with pytest.raises(ValueError, match="position 2, but X has 2 images"):
        plot(found, IMAGES[:2], OTHERS)
    with pytest.raises(ValueError, match="position 1, but Y has 1 images"):
        plot(found, IMAGES, OTHERS[:1])


def test_pairs_are_plotted_with_the_sets_that_were_searched(found):
    of_two = replace(found, n_images=(4, 2))
    of_one = replace(found, n_images=(4,))
    plot = NearDuplicatesDisplay.from_duplicates
    assert len(plot(of_two, IMAGES, OTHERS).axes_) == 2
    assert len(plot(of_one, IMAGES).axes_) == 2
    for pairs, sets in ((of_two, [IMAGES]), (of_one, [IMAGES, OTHERS])):
        with pytest.raises(ValueError, match="as X, or as X and Y"):
            plot(pairs, *sets)
