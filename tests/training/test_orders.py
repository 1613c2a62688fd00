"""Orders of images in which some are repeated."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skinest._training._orders import count_earlier, draw_by_kind

IS_KIND = np.arange(40) % 8 == 0  # 5 of 40


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.8, 1.0])
def test_kind_has_its_fraction_and_is_repeated_evenly(fraction):
    drawn = draw_by_kind(IS_KIND, fraction, np.random.default_rng(0))
    assert len(drawn) == 40
    of_kind = IS_KIND[drawn]
    assert of_kind.sum() == 40 * fraction
    counts = np.bincount(drawn, minlength=40)
    for own in (counts[IS_KIND], counts[~IS_KIND]):
        assert own.max() - own.min() <= 1
    # In each batch of ten there are as many, but for one.
    in_batches = of_kind.reshape(4, 10).sum(axis=1)
    assert np.abs(in_batches - 10 * fraction).max() <= 1


def test_order_depends_on_the_generator_alone():
    first, again, other = (
        draw_by_kind(IS_KIND, 0.5, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("is_kind", [np.zeros(9, bool), np.ones(9, bool)], ids=str)
def test_one_kind_alone_is_drawn_once_each(is_kind):
    drawn = draw_by_kind(is_kind, 0.5, np.random.default_rng(0))
    assert sorted(drawn) == list(range(9))


def test_earlier_ones_are_counted():
    assert_array_equal(count_earlier(np.array([3, 1, 3, 3, 1, 0])), [0, 0, 1, 2, 1, 0])
