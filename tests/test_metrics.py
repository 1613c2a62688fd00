"""Metrics of segmentation, beside scikit-learn's on pixels and worked by hand."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import re
import tracemalloc

import numpy as np
import pytest
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import (
    f1_score,
    jaccard_score,
)

from skinest.metrics import (
    dice_score,
    iou_score,
    segmentation_report,
)

from .pairs_of_masks import EMPTY, LEFT, TOP, flat, random_masks

WRONG_LABELS = ([], [[1]], [1, 1], [0.5], ["1"], 1)
PAIRS = [(dice_score, f1_score), (iou_score, jaccard_score)]


# Numbers


@pytest.mark.parametrize(("score", "reference"), PAIRS)
@pytest.mark.parametrize("n_labels", [2, 3, 5])
def test_pooled_score_is_that_of_all_pixels(score, reference, n_labels):
    true, pred = random_masks(n_labels)
    foreground = list(range(1, n_labels))
    expected = reference(flat(true), flat(pred), labels=foreground, average="macro")
    assert score(true, pred, average="pooled") == pytest.approx(expected)


@pytest.mark.parametrize(("score", "reference"), PAIRS)
@pytest.mark.parametrize("n_labels", [2, 4])
def test_imagewise_score_is_the_mean_of_those_of_images(score, reference, n_labels):
    true, pred = random_masks(n_labels, shapes=[(5, 5), (9, 4), (30, 20)])
    expected = [
        reference(t.ravel(), p.ravel(), labels=range(1, n_labels), average="macro")
        for t, p in zip(true, pred, strict=True)
    ]
    np.testing.assert_allclose(score(true, pred, average=None), expected)
    assert score(true, pred) == pytest.approx(np.mean(expected))


def test_scores_worked_by_hand():
    true, pred = np.stack([TOP, EMPTY, TOP]), np.stack([LEFT, TOP, TOP])
    np.testing.assert_allclose(dice_score(true, pred, average=None), [1 / 2, 0, 1])
    np.testing.assert_allclose(iou_score(true, pred, average=None), [1 / 3, 0, 1])
    assert dice_score(true, pred) == pytest.approx(1 / 2)
    assert iou_score(true, pred) == pytest.approx(4 / 9)
    # Pooled: 8 true, 12 predicted, 6 in common.
    assert dice_score(true, pred, average="pooled") == pytest.approx(12 / 20)
    assert iou_score(true, pred, average="pooled") == pytest.approx(6 / 14)
    assert type(dice_score(true, pred)) is float


@pytest.mark.parametrize("average", ["imagewise", "pooled"])
@pytest.mark.parametrize("zero_division", [0.0, 1.0, np.nan])
def test_zero_division_of_masks_that_are_all_empty(average, zero_division):
    masks = np.stack([EMPTY, EMPTY])
    for score in (dice_score, iou_score):
        result = score(masks, masks, average=average, zero_division=zero_division)
        np.testing.assert_equal(result, zero_division)
        each = score(masks, masks, average=None, zero_division=zero_division)
        np.testing.assert_equal(each, [zero_division] * 2)


@pytest.mark.parametrize(
    ("zero_division", "each", "mean"),
    [
        (0.0, [0.5, 0, 0], 1 / 6),
        (1.0, [0.5, 1, 0], 1 / 2),
        (np.nan, [0.5, np.nan, 0], 1 / 4),
    ],
)
def test_zero_division_concerns_what_is_empty_in_both(zero_division, each, mean):
    true, pred = np.stack([TOP, EMPTY, EMPTY]), np.stack([LEFT, EMPTY, TOP])
    settings = {"zero_division": zero_division}
    np.testing.assert_equal(dice_score(true, pred, average=None, **settings), each)
    assert dice_score(true, pred, **settings) == pytest.approx(mean)
    # Pooled: 4 true, 8 predicted, 2 in common; nothing is empty.
    assert dice_score(true, pred, average="pooled", **settings) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("score", "reference"), PAIRS)
@pytest.mark.parametrize("settings", [{}, {"zero_division": "warn"}])
def test_default_is_scikit_learns_zero_and_warning(score, reference, settings):
    row = EMPTY.ravel()
    with pytest.warns(UndefinedMetricWarning):
        expected = reference(row, row, **settings)
    with pytest.warns(UndefinedMetricWarning, match="zero_division"):
        assert score([EMPTY], [EMPTY], **settings) == expected == 0


@pytest.mark.filterwarnings("error")
def test_nothing_warns_where_all_is_defined():
    true, pred = [TOP, EMPTY], [LEFT, TOP]
    assert dice_score(true, pred) == pytest.approx(1 / 4)
    assert dice_score([EMPTY], [EMPTY], zero_division=0.0) == 0
    assert segmentation_report([TOP], [LEFT], output_dict=True)["1"]["Dice"] == 1 / 2


def test_the_report_warns_of_each_ratio():
    with pytest.warns(UndefinedMetricWarning) as caught:
        report = segmentation_report([TOP], [EMPTY], output_dict=True)
    assert [str(each.message).split()[0] for each in caught] == ["precision"]
    assert report["1"]["precision"] == 0


def test_nan_leaves_a_label_out_of_the_mean_of_an_image():
    true, pred = [TOP, 2 * TOP + LEFT], [LEFT, 2 * TOP + LEFT]  # 2 is in the second
    with_1 = dice_score(true, pred, average=None, zero_division=1.0)
    np.testing.assert_allclose(with_1, [(1 / 2 + 1 + 1) / 3, 1])
    without = dice_score(true, pred, average=None, zero_division=np.nan)
    np.testing.assert_allclose(without, [1 / 2, 1])


@pytest.mark.filterwarnings("error")
def test_nothing_warns_where_nothing_is_left():
    assert np.isnan(dice_score([EMPTY], [EMPTY], zero_division=np.nan))
    settings = {"zero_division": np.nan, "labels": [1], "output_dict": True}
    assert np.isnan(segmentation_report([EMPTY], [EMPTY], **settings)["1"]["Dice"])


@pytest.mark.parametrize(("score", "reference"), PAIRS)
def test_sample_weight(score, reference):
    true, pred = random_masks(3)
    weights = np.array([0, 1, 2, 3.5, 1, 0])
    each = score(true, pred, average=None)
    settings = {"sample_weight": list(weights)}
    np.testing.assert_array_equal(score(true, pred, average=None, **settings), each)
    expected = np.average(each, weights=weights)
    assert score(true, pred, **settings) == pytest.approx(expected)
    expected = reference(
        flat(true),
        flat(pred),
        labels=[1, 2],
        average="macro",
        sample_weight=np.repeat(weights, true[0].size),
    )
    assert score(true, pred, average="pooled", **settings) == pytest.approx(expected)


def test_sample_weight_of_images_left_out_by_nan():
    true, pred = [TOP, EMPTY, TOP], [LEFT, EMPTY, TOP]
    result = dice_score(true, pred, zero_division=np.nan, sample_weight=[1, 7, 3])
    assert result == pytest.approx((0.5 + 3) / 4)
    alone = dice_score(true, pred, zero_division=np.nan, sample_weight=[0, 1, 0])
    assert np.isnan(alone)


# Labels


def test_all_labels_but_the_smallest_are_foreground():
    true, pred = random_masks(4)
    expected = dice_score(true, pred, labels=[1, 2, 3])
    assert dice_score(true, pred) == expected
    shifted = [[mask + 7 for mask in masks] for masks in (true, pred)]
    assert dice_score(*shifted) == expected


def test_chosen_labels():
    true, pred = random_masks(4)
    of_each = [dice_score(true, pred, labels=[label]) for label in range(4)]
    expected = f1_score(flat(true), flat(pred), average=None)
    pooled = [dice_score(true, pred, labels=[n], average="pooled") for n in range(4)]
    np.testing.assert_allclose(pooled, expected)
    chosen = dice_score(true, pred, labels=np.array([3, 0]))
    assert chosen == pytest.approx((of_each[3] + of_each[0]) / 2)


def test_label_that_is_nowhere_or_only_in_the_prediction():
    true, pred = random_masks(3)
    assert dice_score(true, pred, labels=[9], zero_division=1.0) == 1
    assert dice_score(true, pred, labels=[9], zero_division=0.0) == 0
    of_1 = dice_score(true, pred, labels=[1])
    with_9 = dice_score(true, pred, labels=[1, 9], zero_division=1.0)
    assert with_9 == pytest.approx((of_1 + 1) / 2)
    # Nowhere in the truth.
    assert dice_score([TOP], [2 * LEFT]) == 0
    assert dice_score([TOP, TOP], [TOP, 2 * TOP], labels=[1], average="pooled") == (
        pytest.approx(2 / 3)
    )


@pytest.mark.parametrize("label", [0, 1, 255, True, False])
def test_masks_of_one_label(label):
    masks = np.full((2, 3, 4), label)
    is_foreground = bool(label)
    assert dice_score(masks, masks, zero_division=0.0) == is_foreground
    assert iou_score(masks, masks, zero_division=0.0, average="pooled") == is_foreground


def test_labels_may_be_booleans_whose_rows_are_named_as_integers():
    true, pred = [TOP > 0], [LEFT > 0]
    assert dice_score(true, pred, labels=[True]) == dice_score(true, pred) == 1 / 2
    assert "1" in segmentation_report(true, pred, output_dict=True)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64, np.uint64])
def test_types_of_masks(dtype):
    true, pred = random_masks(2)
    expected = iou_score(true, pred)
    converted = [mask.astype(dtype) for mask in pred]
    assert iou_score(true, converted) == iou_score(converted, true) == expected
    both = np.stack(true).astype(dtype), np.stack(converted)
    assert iou_score(*both) == expected


# Forms of masks


def test_array_list_and_object_array_are_the_same():
    true, pred = random_masks(3)
    expected = dice_score(np.stack(true), np.stack(pred))
    objects = np.empty(len(pred), dtype=object)
    objects[:] = pred
    assert dice_score(true, objects) == dice_score(tuple(true), pred) == expected


def test_paths_and_arrays_of_different_sizes(write_masks):
    true, pred = random_masks(2, shapes=[(6, 7), (20, 31), (5, 40)])
    expected = dice_score(true, pred)
    files = [
        write_masks(name, [mask * 255 for mask in masks])
        for name, masks in (("true", true), ("pred", pred))
    ]
    assert dice_score(*files) == expected
    assert dice_score(np.array(files[0], dtype=str), files[1]) == expected
    assert dice_score(files[0], [mask * 255 for mask in pred]) == expected
    report = segmentation_report(*files, output_dict=True)
    assert report["255"]["Dice"] == expected


def test_masks_are_read_one_pair_at_a_time(write_masks):
    (path,) = write_masks("masks", [np.eye(400, dtype=np.uint8) * 255])
    dice_score([path], [path])
    tracemalloc.start()
    assert dice_score([path] * 60, [path] * 60) == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 * 400 * 400  # 120 masks are read


def test_each_file_is_decoded_once(write_masks, decoded):
    masks = random_masks(3)
    files = [write_masks(n, each) for n, each in zip("tp", masks, strict=True)]
    for score in (dice_score, iou_score, segmentation_report):
        decoded.contents.clear()
        assert score(*files) == score(*masks)
        assert [decoded.counts(paths) for paths in files] == [[1] * 6] * 2


def test_masks_are_left_unchanged():
    true, pred = random_masks(3)
    before = [mask.copy() for mask in (*true, *pred)]
    for mask in (*true, *pred):
        mask.flags.writeable = False
    dice_score(true, pred)
    segmentation_report(true, pred)
    np.testing.assert_array_equal([*true, *pred], before)


# Errors


@pytest.mark.parametrize("score", [dice_score, iou_score, segmentation_report])
def test_pairs_must_agree(score, write_masks):
    with pytest.raises(ValueError, match="y_true has 2 masks, but y_pred has 1"):
        score([TOP, TOP], [TOP])
    with pytest.raises(
        ValueError, match=r"y_true\[1\].*\(3, 4\).*y_pred\[1\].*\(4, 3\)"
    ):
        score([TOP, TOP], [TOP, TOP.T])
    (path,) = write_masks("masks", [TOP.T])
    with pytest.raises(ValueError, match=r"y_pred\[0\].*0\.png.*\(4, 3\)"):
        score([TOP], [path])


@pytest.mark.parametrize("score", [dice_score, iou_score, segmentation_report])
@pytest.mark.parametrize(
    ("true", "pred"),
    [
        (255 * TOP, LEFT),
        (TOP, 255 * LEFT),
        (255 * TOP, LEFT > 0),
        (255 * TOP, TOP | 1),
        (255 * TOP.astype(np.uint16), 65535 * LEFT.astype(np.uint16)),
    ],
)
def test_different_codings_of_two_labels(score, true, pred):
    small, large = sorted({int(true.max()), int(pred.max())})
    with pytest.raises(
        ValueError, match=rf"mask \* {large // small} for mask"
    ) as raised:
        score([true], [pred])
    assert str([0, int(true.max())]) in str(raised.value)
    score([true], [pred], labels=[small, large])  # they are said to differ


def test_chosen_label_of_another_coding():
    with pytest.raises(ValueError, match=r"labels=\[1\].*1 and 255"):
        dice_score([255 * TOP], [255 * LEFT], labels=[1])
    with pytest.raises(ValueError, match=r"labels=\[255\]"):
        dice_score([TOP], [LEFT], labels=[255])


def test_codings_that_do_not_contradict():
    assert dice_score([255 * TOP], [EMPTY]) == 0
    assert dice_score([EMPTY], [255 * TOP]) == 0
    assert dice_score([255 * TOP], [LEFT > 9]) == 0
    assert dice_score([EMPTY], [EMPTY > 0], labels=[255], zero_division=1.0) == 1
    ignored = TOP.copy()
    ignored[2] = 255  # three labels, of which 255 is one
    assert dice_score([ignored], [TOP], labels=[1]) == 1
    assert dice_score([ignored], [TOP]) == 1 / 2


@pytest.mark.parametrize("name", ["y_true", "y_pred"])
@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (np.full((1, 3, 4), 0.7), ValueError),
        (np.zeros((1, 3, 4, 3), dtype=np.uint8), ValueError),
        ([1, 0, 1], ValueError),
        ([], ValueError),
        (["nowhere.png"], FileNotFoundError),
    ],
)
def test_what_is_no_mask_is_named(name, bad, error):
    masks = {"y_true": [TOP], "y_pred": [TOP], name: bad}
    with pytest.raises(error, match=name):
        dice_score(**masks)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"average": "macro"}, "'average' parameter of iou_score"),
        ({"zero_division": 0.5}, "'zero_division' parameter of iou_score"),
        ({"zero_division": "ignore"}, "'zero_division' parameter of iou_score"),
        ({"sample_weight": [1, 2]}, r"sample_weight .* \(1,\)"),
        ({"sample_weight": [-1]}, "Negative values .* sample_weight"),
        ({"sample_weight": [0]}, "sample_weight is 0"),
        *[({"labels": each}, "labels") for each in WRONG_LABELS],
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        iou_score([TOP], [LEFT], **settings)


def test_wrong_settings_of_the_report():
    wrong = {"average": None, "digits": -1, "output_dict": "yes"}
    wrong["target_names"] = ["background", "globules"]
    for name, value in wrong.items():
        known = "has 2 names" if name == "target_names" else "parameter of"
        with pytest.raises(ValueError, match=rf"{name}'? {re.escape(known)}"):
            segmentation_report([TOP], [LEFT], **{name: value})
