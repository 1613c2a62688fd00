"""Results with an interval are tuples with a readable text."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import pickle

import numpy as np
import pytest

from skinest.model_selection import ComparisonResult, DeLongResult, IntervalResult

LIMITS = 0.87123, 0.8, 0.9
RESULTS = [
    IntervalResult(*LIMITS, confidence_level=0.9, distribution=[0.8, 0.9]),
    ComparisonResult(*LIMITS, score_a=0.9, score_b=0.1, distribution=[-1, 0, 2, 2]),
    DeLongResult(*LIMITS, standard_error=0.1, pvalue=0.02),
]


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_it_is_a_tuple_of_the_estimate_and_the_limits(result):
    estimate, low, high = result
    assert (estimate, low, high) == LIMITS == result
    assert (result.estimate, result.low, result.high) == LIMITS


def test_texts_have_the_interval():
    assert f"{RESULTS[0]:.2f}" == "0.87 [0.80, 0.90]"
    assert str(RESULTS[0]) == "0.8712 [0.8, 0.9]"
    assert repr(RESULTS[0]) == "IntervalResult(0.8712 [0.8, 0.9], confidence_level=0.9)"
    assert "score_b=0.1, share_below_zero=0.25" in repr(RESULTS[1])
    assert "pvalue=0.02" in repr(RESULTS[2])


def test_share_below_zero_is_that_of_the_bootstrap_samples():
    assert RESULTS[1].share_below_zero == 0.25
    assert np.isnan(RESULTS[2].share_below_zero)


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda result: pickle.loads(pickle.dumps(result))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_are_complete(duplicate, result):
    again = duplicate(result)
    assert again == result and type(again) is type(result)
    assert repr(again) == repr(result)
    np.testing.assert_array_equal(again.distribution, result.distribution)
