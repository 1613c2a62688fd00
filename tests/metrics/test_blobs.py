"""F1 score of structures, compared with hand-made cases."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import tracemalloc

import numpy as np
import pytest
from sklearn.exceptions import UndefinedMetricWarning

from skinest.metrics import blob_f1_score, dice_score


def read(row):
    """Return a mask of one row: each digit is a label."""
    return np.array([[int(sign) for sign in row]])


def score(true, pred, **options):
    return blob_f1_score([read(true)], [read(pred)], **options)


@pytest.mark.parametrize(
    ("true", "pred", "expected"),
    [
        ("0110011", "0110011", 1),
        ("0110011", "0110000", 2 / 3),  # one is not found
        ("0110000", "0110011", 2 / 3),  # one is not there
        ("0110000", "0000011", 0),
        ("1111000", "0011000", 1),  # a half of it is enough
        ("1111000", "0001000", 0),
        ("1110111", "1111111", 0),  # both as one: 3 / 7 of it
        ("1111111", "1111011", 2 / 3),  # one as two: 4 / 7 and 2 / 7 of it
    ],
)
def test_structures_match_if_half_of_them_is_common(true, pred, expected):
    assert score(true, pred) == pytest.approx(expected)


def test_each_structure_matches_one_other():
    # With a low overlap both predicted ones would match the same true one.
    assert score("1111111", "1110111", min_iou=0.1) == pytest.approx(2 / 3)
    # The one in the middle has to be matched with the left one: 2 of 2 and 2.
    true, pred = "111110111", "110111100"
    assert score(true, pred, min_iou=0.1) == pytest.approx(1)


def test_pixels_that_touch_at_a_corner_are_one_structure():
    mask = np.eye(4, dtype=int)
    other = mask.copy()
    other[0, 0] = 0  # 3 of 4 pixels
    assert blob_f1_score([mask], [other]) == 1


def test_large_structures_count_as_much_as_small_ones():
    true, pred = np.zeros((2, 1, 20, 20), int)
    true[0, 2:12, 2:12] = pred[0, 2:12, 2:12] = 1
    true[0, 15, 15] = true[0, 17, 3] = pred[0, 18, 18] = 1
    assert dice_score(true, pred) > 0.98
    assert blob_f1_score(true, pred) == pytest.approx(2 / 5)


def test_averages():
    y_true = list(map(read, ["101010", "100000"]))
    y_pred = list(map(read, ["101000", "010000"]))
    each = blob_f1_score(y_true, y_pred, average=None)
    np.testing.assert_allclose(each, [0.8, 0])
    assert blob_f1_score(y_true, y_pred) == pytest.approx(0.4)
    assert blob_f1_score(y_true, y_pred, average="pooled") == pytest.approx(4 / 7)
    weighted = blob_f1_score(y_true, y_pred, sample_weight=[3, 1])
    assert weighted == pytest.approx(0.6)


def test_labels_are_matched_alone():
    assert score("110220", "110110", labels=[1, 2]) == pytest.approx((2 / 3 + 0) / 2)
    assert score("110220", "110110", labels=[2]) == 0


def test_empty_masks():
    with pytest.warns(UndefinedMetricWarning, match="blob F1 is ill-defined"):
        assert score("000", "000", labels=[1]) == 0
    assert score("000", "000", zero_division=1.0, labels=[1]) == 1
    assert np.isnan(score("000", "000", zero_division=np.nan, labels=[1]))
    assert score("000", "010") == score("010", "000") == 0


def test_pixels_without_a_label_count_nowhere():
    assert score("110099", "110011", ignore_label=9) == 1
    with pytest.warns(UndefinedMetricWarning, match="scores are NaN"):
        assert np.isnan(score("999999", "110011", ignore_label=9, zero_division=1.0))


@pytest.mark.parametrize("min_iou", [0, 1.5])
def test_wrong_overlap_is_refused(min_iou):
    with pytest.raises(ValueError, match="'min_iou' parameter"):
        score("010", "010", min_iou=min_iou)


def test_masks_of_noise_need_little_memory():
    true, pred = np.zeros((2, 1, 200, 200), int)
    true[0, ::2, ::2] = 1  # 10,000 structures of one pixel
    pred[0, ::2, ::4] = 1  # a half of them
    tracemalloc.start()
    try:
        score = blob_f1_score(true, pred)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert score == pytest.approx(2 * 5000 / (10_000 + 5000))
    assert peak < 20e6  # a table of all pairs has 400 MB
