"""What an interval looks like, and that it is a tuple."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import pickle

import numpy as np
import pytest

from skinest.model_selection import IntervalResult

RESULT = IntervalResult(0.87123, 0.8, 0.9, 0.9, [0.8, 0.9])


def test_it_is_a_tuple_of_the_estimate_and_the_limits():
    estimate, low, high = RESULT
    assert (estimate, low, high) == (0.87123, 0.8, 0.9) == RESULT
    assert (RESULT.estimate, RESULT.low, RESULT.high) == RESULT
    assert len(RESULT) == 3


def test_texts_have_the_interval():
    assert f"{RESULT:.2f}" == "0.87 [0.80, 0.90]"
    assert str(RESULT) == "0.8712 [0.8, 0.9]"
    assert repr(RESULT) == "IntervalResult(0.8712 [0.8, 0.9], confidence_level=0.9)"


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda result: pickle.loads(pickle.dumps(result))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_are_complete(duplicate):
    again = duplicate(RESULT)
    assert again == RESULT and type(again) is IntervalResult
    assert again.confidence_level == 0.9
    np.testing.assert_array_equal(again.distribution, RESULT.distribution)
