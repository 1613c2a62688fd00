"""Distances of boundaries, compared with hand-made cases and all pairs of pixels."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.distance import cdist
from skimage.metrics import hausdorff_distance as skimage_distance

from skinest.metrics import (
    average_surface_distance,
    hausdorff_distance,
    neg_average_surface_distance_scorer,
    neg_hausdorff_scorer,
)

METRICS = [hausdorff_distance, average_surface_distance]


def draw(*boxes, size=(12, 16), label=1):
    """Return a mask with boxes, each (top, bottom, left, right)."""
    mask = np.zeros(size, dtype=int)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = label
    return mask


def draw_random(n_masks=6, size=(20, 23)):
    generator = np.random.default_rng(0)
    masks = generator.random((2, n_masks, *size)).cumsum(axis=-1).cumsum(axis=-2)
    return (np.sin(masks / 9) + generator.normal(0, 0.3, masks.shape) > 0.2).astype(int)


def find_boundary(mask):
    """Return the boundary pixels, one row for each."""
    padded = np.pad(mask == 1, 1)
    neighbours = [np.roll(padded, step, axis) for step in (1, -1) for axis in (0, 1)]
    return np.argwhere(padded & ~np.all(neighbours, axis=0)) - 1


def test_box_that_is_moved():
    true, pred = draw((2, 7, 2, 7)), draw((2, 7, 5, 10))
    # The left side of one and the right side of the other are 3 pixels apart.
    assert hausdorff_distance([true], [pred], percentile=100) == 3
    assert hausdorff_distance([true], [true]) == 0
    assert average_surface_distance([true], [true]) == 0
    line, other = draw((4, 5, 2, 6)), draw((9, 10, 2, 6))
    assert hausdorff_distance([line], [other]) == 5
    assert average_surface_distance([line], [other]) == 5


def test_far_pixel_counts_in_the_maximum_but_not_at_the_percentile():
    true = draw((1, 11, 1, 11), size=(40, 40))
    pred = true.copy()
    pred[35, 35] = 1
    assert hausdorff_distance([true], [pred]) == 0
    farthest = hausdorff_distance([true], [pred], percentile=100)
    assert farthest == np.hypot(25, 25)
    n_pixels = 2 * 36 + 1
    mean = average_surface_distance([true], [pred])
    assert_allclose(mean, farthest / n_pixels)


@pytest.mark.parametrize("percentile", [50, 95, 100])
def test_distances_are_those_of_all_pairs_of_pixels(percentile):
    y_true, y_pred = draw_random()
    highest, means = [], []
    for true, pred in zip(y_true, y_pred, strict=True):
        distances = cdist(find_boundary(true), find_boundary(pred))
        both = distances.min(axis=1), distances.min(axis=0)
        highest.append(max(np.percentile(each, percentile) for each in both))
        means.append(np.concatenate(both).mean())
    found = hausdorff_distance(y_true, y_pred, percentile=percentile, average=None)
    assert_allclose(found, highest)
    assert np.std(highest) > 0 or percentile == 50
    found = average_surface_distance(y_true, y_pred, average=None)
    assert_allclose(found, means)


def test_maximum_is_that_of_scikit_image():
    y_true, y_pred = draw_random()
    expected = []
    for masks in zip(y_true, y_pred, strict=True):
        boundaries = []
        for mask in masks:
            boundary = np.zeros(mask.shape, bool)
            boundary[tuple(find_boundary(mask).T)] = True
            boundaries.append(boundary)
        expected.append(skimage_distance(*boundaries))
    found = hausdorff_distance(y_true, y_pred, percentile=100, average=None)
    assert_allclose(found, expected)


@pytest.mark.parametrize("metric", METRICS)
def test_empty_masks(metric):
    empty, box = draw(), draw((2, 7, 2, 7))
    assert metric([empty], [empty]) == 0
    # The worst case: no two pixels can be farther from each other.
    assert metric([empty], [box]) == metric([box], [empty]) == np.hypot(12, 16)
    assert metric([empty, box], [empty, empty], average=None).tolist() == [0, 20]
    assert metric([empty, box], [empty, empty]) == 10
    assert metric([empty, box], [empty, empty], sample_weight=[1, 3]) == 15


@pytest.mark.parametrize("metric", METRICS)
def test_labels_are_measured_alone_and_averaged(metric):
    true = draw((1, 3, 1, 3)) + draw((5, 6, 2, 8), label=4)
    pred = draw((1, 3, 1, 3)) + draw((7, 8, 2, 8), label=4)
    assert metric([true], [pred], labels=[1]) == 0
    assert metric([true], [pred], labels=[4]) == 2
    assert metric([true], [pred]) == 1


@pytest.mark.parametrize("metric", METRICS)
def test_pixels_without_a_label_count_nowhere(metric):
    true, pred = draw((2, 7, 2, 7)), draw((2, 7, 2, 7), (9, 11, 12, 15))
    assert metric([true], [pred]) > 0
    true[8:] = 255
    assert metric([true], [pred], ignore_label=255) == 0
    nothing = np.full_like(true, 255)
    values = metric([true, nothing], [pred, pred], ignore_label=255, average=None)
    assert np.isnan(values).tolist() == [False, True]
    assert metric([true, nothing], [pred, pred], ignore_label=255) == 0


def test_scorers_are_higher_for_nearer_boundaries():
    class Fixed:
        def __init__(self, mask):
            self.mask = mask

        def fit(self, X, y):
            return self

        def predict(self, X):
            return [self.mask] * len(X)

    true = draw((2, 7, 2, 7))
    for scorer in (neg_hausdorff_scorer, neg_average_surface_distance_scorer):
        scores = [
            scorer(
                Fixed(draw((2, 7, left, left + 5))), np.zeros((1, 12, 16, 3)), [true]
            )
            for left in (2, 4, 6)
        ]
        assert scores[0] == 0 > scores[1] > scores[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"percentile": 0}, "'percentile' parameter"),
        ({"average": "pooled"}, "'average' parameter"),
    ],
    ids=str,
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        hausdorff_distance([draw()], [draw()], **options)


@pytest.mark.parametrize("metric", METRICS)
def test_masks_of_other_sizes_are_refused(metric):
    with pytest.raises(ValueError, match="must have the size of the true one"):
        metric([draw()], [draw(size=(12, 15))])
