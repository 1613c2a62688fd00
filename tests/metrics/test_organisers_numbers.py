"""Challenge scores against the numbers of the organisers' own programs.

The numbers of 2018 and 2019 were computed with isic-challenge-scoring 5.8.0 in Python
3.13, from the inputs below: `ClassificationScore.from_file` read the predictions from
the file that `write_isic_submission` wrote, and `SegmentationScore.from_dir` the masks
from PNG files. Those of 2024 are from `p_auc_tpr` with ``min_tpr=0.8``, in
PrimaryMetric-pAUC.py of the repository ISIC-Research/Challenge-2024-Metrics.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    roc_curve,
)

from skinest.metrics import (
    dice_score,
    iou_score,
    partial_auc_score,
    threshold_jaccard_score,
)

# Of each of the seven diagnoses against all others.
AVERAGE_PRECISION = [
    0.5722222222222222,
    0.9583333333333334,
    0.4564861937820195,
    0.69824016563147,
    0.5142979242979242,
    0.6574074074074074,
    0.787037037037037,
]
AUC_SENS_80 = [
    0.6018518518518519,
    0.9907407407407407,
    0.4074074074074074,
    0.712962962962963,
    0.5416666666666667,
    0.5694444444444444,
    0.8796296296296297,
]
PARTIAL_AUC = [
    0.09074074074074072,
    0.19074074074074068,
    0.07407407407407406,
    0.11296296296296293,
    0.0972222222222222,
    0.10277777777777775,
    0.16851851851851848,
]
BALANCED_ACCURACY = 0.5714285714285714
MASKS = {
    "jaccard": 0.6399941154990932,
    "threshold_jaccard": 0.46210093231569793,
    "dice": 0.7206642685464788,
}


def make_predictions():
    """Return labels and scores of 42 images; scores of a class have many ties."""
    image, column = np.ogrid[:42, :7]
    y = image[:, 0] % 7
    proba = (image * 5 + column * 7 + image * column * 3) % 19 / 50
    return y, proba + 0.15 * (column == y[:, None])


def make_masks():
    """Return pairs of rectangles that differ more and more, and three empty masks."""
    rows, columns = np.ogrid[:24, :24]
    pairs = []
    for k in range(10):
        true = (rows >= 4) & (rows < 18) & (columns >= 3) & (columns < 17)
        pred = (rows >= 4 + k // 3) & (rows < 18)
        pred = pred & (columns >= 3 + k // 2) & (columns < 17 + k % 4)
        pairs.append((true, pred))
    empty = np.zeros((24, 24), dtype=bool)
    full = pairs[0]
    pairs += [(empty, empty), (empty, full[1]), (full[0], empty)]
    return [np.array(each) * np.uint8(255) for each in zip(*pairs, strict=True)]


@pytest.mark.parametrize("column", range(7))
def test_scores_of_one_diagnosis(column):
    y, proba = make_predictions()
    y, scores = y == column, proba[:, column]
    assert_allclose(partial_auc_score(y, scores), PARTIAL_AUC[column])
    assert_allclose(average_precision_score(y, scores), AVERAGE_PRECISION[column])


@pytest.mark.parametrize("column", range(7))
def test_their_older_partial_area_reaches_down_to_a_sensitivity_of_0(column):
    y, proba = make_predictions()
    y, scores = y == column, proba[:, column]
    false, found, _ = roc_curve(y, scores, drop_intermediate=False)
    after = np.searchsorted(found, 0.8)
    between = [after - 1, after]
    specificity = 1 - np.interp(0.8, found[between], false[between])
    expected = AUC_SENS_80[column] - 0.8 * specificity
    assert_allclose(partial_auc_score(y, scores), expected)


def test_balanced_accuracy_is_that_of_scikit_learn():
    y, proba = make_predictions()
    found = balanced_accuracy_score(y, proba.argmax(axis=1))
    assert_allclose(found, BALANCED_ACCURACY)


def test_scores_of_masks():
    y_true, y_pred = make_masks()
    options = {"zero_division": 1.0}
    assert_allclose(iou_score(y_true, y_pred, **options), MASKS["jaccard"])
    assert_allclose(dice_score(y_true, y_pred, **options), MASKS["dice"])
    found = threshold_jaccard_score(y_true, y_pred, **options)
    assert_allclose(found, MASKS["threshold_jaccard"])
