"""Held-out pairs: foreground on both sides where it can be, or a warning."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

from .conftest import find_first_outputs, make_pairs, make_small, record_fit

N_PAIRS = 20


def make_rare(n_classes, **places):
    """Make pairs of which only some have a foreground, by label and positions."""
    X, y = make_pairs(N_PAIRS, sides=(16, 16))
    y[:] = 0
    for label in range(1, n_classes):
        y[places[f"label_{label}"], label, :4] = label
    return X, y


def list_labels(fit):
    """Return the class indices of training and of validation masks."""
    parts = fit.train[1], fit.validation[1]
    return [np.unique(masks).tolist() for masks in parts]


@pytest.mark.parametrize("groups", [None, np.arange(N_PAIRS) // 2], ids=["no", "yes"])
@pytest.mark.parametrize("seed", range(3))
def test_foreground_is_on_both_sides(seed, groups):
    X, y = make_rare(2, label_1=[4, 15])
    segmenter = make_small(validation_fraction=0.1, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        fit = record_fit(segmenter, X, y, groups=groups)
    assert list_labels(fit) == [[0, 1], [0, 1]]
    assert len(fit.validation[1]) == 2
    assert len(fit.train[1]) == N_PAIRS - 2


@pytest.mark.parametrize("seed", range(3))
def test_all_labels_are_on_both_sides(seed):
    X, y = make_rare(3, label_1=[4, 15], label_2=[7, 15, 16])
    segmenter = make_small(validation_fraction=0.1, random_state=seed)
    assert list_labels(record_fit(segmenter, X, y)) == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_label_of_one_mask_is_trained_on(n_classes):
    X, y = make_rare(n_classes, label_1=[4, 15], label_2=[4, 15])
    y[15][y[15] == n_classes - 1] = 0
    absent = "any foreground" if n_classes == 2 else r"the labels \[2\]"
    for seed in range(3):
        segmenter = make_small(validation_fraction=0.5, random_state=seed)
        with pytest.warns(UserWarning, match=f"No validation mask has {absent}"):
            fit = record_fit(segmenter, X, y)
        trained, held_out = list_labels(fit)
        assert trained == list(range(n_classes))
        assert held_out == list(range(n_classes - 1))


def test_masks_that_are_given_without_foreground_are_warned_of():
    X, y = make_pairs(4, sides=(16, 16))
    with pytest.warns(UserWarning, match="a model that finds nothing looks good"):
        record_fit(make_small(), X, y, X_val=X, y_val=0 * y)


def test_all_masks_with_foreground_are_split_at_random():
    X, y = make_pairs(N_PAIRS, sides=(16, 16))
    held_out = set()
    for seed in range(3):
        segmenter = make_small(validation_fraction=0.1, random_state=seed)
        held_out.add(record_fit(segmenter, X, y).validation[0].tobytes())
    assert len(held_out) == 3


def test_training_starts_at_the_shares_of_pixels_that_are_trained_on():
    X, y = make_rare(3, label_1=[4, 15], label_2=[7, 15, 16])
    segmenter = make_small(validation_fraction=0.5)
    codes = record_fit(segmenter, X, y).train[1]
    found = find_first_outputs(segmenter, X, y, without_kernel=True)
    shares = np.bincount(codes.ravel()) / codes.size
    assert_allclose(found, np.broadcast_to(shares, found.shape), atol=1e-5)
