"""The report of segmentation, compared with scikit-learn and worked by hand."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from functools import partial

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    jaccard_score,
    precision_recall_fscore_support,
)

from skinest.metrics import (
    average_surface_distance,
    blob_f1_score,
    dice_score,
    hausdorff_distance,
    iou_score,
    segmentation_report,
    threshold_jaccard_score,
)

from .pairs_of_masks import EMPTY, LEFT, TOP, flat, random_masks


@pytest.mark.parametrize("n_labels", [2, 4])
def test_pooled_report_is_that_of_all_pixels(n_labels):
    true, pred = random_masks(n_labels)
    report = segmentation_report(true, pred, average="pooled", output_dict=True)
    t, p = flat(true), flat(pred)
    expected = precision_recall_fscore_support(t, p)
    ious = jaccard_score(t, p, average=None)
    for label in range(1, n_labels):
        precision, recall, dice, support = (values[label] for values in expected)
        assert report[str(label)] == pytest.approx(
            {
                "accuracy": accuracy_score(t == label, p == label),
                "precision": precision,
                "recall": recall,
                "IoU": ious[label],
                "Dice": dice,
                "support": support,
            }
        )
    macro = precision_recall_fscore_support(
        t, p, labels=range(1, n_labels), average="macro"
    )
    named = [report["macro avg"][name] for name in ("precision", "recall", "Dice")]
    np.testing.assert_allclose(named, macro[:3])
    assert report["macro avg"]["IoU"] == pytest.approx(ious[1:].mean())
    assert report["macro avg"]["support"] == sum(expected[3][1:])
    assert report["mean IoU with background"] == pytest.approx(ious.mean())
    assert report["n_images"] == 6


@pytest.mark.parametrize("zero_division", [0.0, 1.0, np.nan])
def test_imagewise_report_is_the_mean_of_those_of_images(zero_division):
    true = [TOP, EMPTY, LEFT, EMPTY]
    pred = [LEFT, TOP, EMPTY, EMPTY]
    settings = {"labels": [1], "average": "macro", "zero_division": zero_division}
    rows = [
        (
            accuracy_score(t.ravel(), p.ravel()),
            *precision_recall_fscore_support(t.ravel(), p.ravel(), **settings)[:3],
        )
        for t, p in zip(true, pred, strict=True)
    ]
    expected = np.nanmean(rows, axis=0)
    report = segmentation_report(
        true, pred, zero_division=zero_division, output_dict=True
    )
    names = ("accuracy", "precision", "recall", "Dice")
    np.testing.assert_allclose([report["1"][name] for name in names], expected)
    assert report["1"]["support"] == 8
    for name, score in (("Dice", dice_score), ("IoU", iou_score)):
        expected = score(true, pred, zero_division=zero_division)
        assert report["1"][name] == pytest.approx(expected)


def test_mean_iou_with_background_worked_by_hand():
    true, pred = [TOP, EMPTY], [LEFT, TOP]
    # Background: 6 of 10 pixels, 8 of 12; foreground: 2 of 6, 0 of 4.
    imagewise = segmentation_report(true, pred, output_dict=True)
    expected = ((6 / 10 + 2 / 6) / 2 + (8 / 12 + 0) / 2) / 2
    assert imagewise["mean IoU with background"] == pytest.approx(expected)
    pooled = segmentation_report(true, pred, average="pooled", output_dict=True)
    expected = (14 / 22 + 2 / 10) / 2
    assert pooled["mean IoU with background"] == pytest.approx(expected)


def test_mean_iou_with_background_is_over_all_labels_whichever_are_chosen():
    true, pred = random_masks(4)
    all_labels = segmentation_report(true, pred, output_dict=True)
    chosen = segmentation_report(true, pred, labels=[3, 1], output_dict=True)
    name = "mean IoU with background"
    assert chosen[name] == all_labels[name]
    assert list(chosen)[:3] == ["3", "1", "macro avg"]


def test_predicting_nothing_looks_good_with_the_background():
    """The study's baseline: accuracy about .98, mean IoU about one half."""
    true = np.zeros((4, 50, 50), dtype=np.uint8)
    true[:, :5, :10] = 1  # 2 %
    report = segmentation_report(true, 0 * true, zero_division=0.0, output_dict=True)
    assert report["1"]["accuracy"] == pytest.approx(0.98)
    assert report["mean IoU with background"] == pytest.approx(0.49)
    assert report["1"]["Dice"] == report["1"]["IoU"] == 0


def test_text_of_one_label():
    text = segmentation_report(
        [255 * TOP, EMPTY], [255 * LEFT, EMPTY], digits=2, zero_division=1.0
    )
    lines = [line.split() for line in text.splitlines() if line]
    assert lines == [
        "imagewise accuracy precision recall IoU Dice support".split(),
        "255 0.83 0.75 0.75 0.67 0.75 4".split(),
        "mean IoU with background 0.73".split(),
        "number of images 2".split(),
    ]


@pytest.mark.parametrize("digits", [0, 3, 9])
@pytest.mark.parametrize("names", [None, ["globules", "streaks of a long, long name"]])
def test_text_is_aligned(digits, names):
    true, pred = random_masks(3)
    settings = {"target_names": names, "average": "pooled"}
    text = segmentation_report(true, pred, digits=digits, **settings)
    report = segmentation_report(true, pred, output_dict=True, **settings)
    head, _, first, second, _, macro, iou, n_images = text.splitlines()
    assert len({len(line) for line in (head, first, second, macro, n_images)}) == 1
    assert len(iou) == head.index("IoU") + len("IoU")
    shown = {
        "macro avg": macro,
        **dict(zip(names or "12", (first, second), strict=True)),
    }
    for name, line in shown.items():
        assert line.strip().startswith(name)
        cells = line.split()[-6:]
        expected = [f"{value:.{digits}f}" for value in report[name].values()]
        assert cells == [*expected[:-1], str(report[name]["support"])]


def test_report_without_foreground():
    settings = {"zero_division": 1.0}
    report = segmentation_report([EMPTY], [EMPTY], output_dict=True, **settings)
    assert list(report) == ["macro avg", "mean IoU with background", "n_images"]
    assert report["macro avg"]["Dice"] == report["mean IoU with background"] == 1
    lines = segmentation_report([EMPTY], [EMPTY], **settings).splitlines()
    assert len(lines) == 5
    assert lines[2].split()[:2] == ["macro", "avg"]
    settings |= {"labels": [1], "target_names": ["streaks"]}
    assert "streaks" in segmentation_report([EMPTY], [EMPTY], **settings)


@pytest.mark.parametrize("average", ["imagewise", "pooled"])
def test_extra_columns_are_the_scores_of_these_names(average):
    true, pred = random_masks(3)
    report = segmentation_report(
        true,
        pred,
        average=average,
        extra_columns="all",
        zero_division=1.0,
        output_dict=True,
    )
    options = {"zero_division": 1.0}
    expected = {
        "threshold Jaccard": partial(threshold_jaccard_score, **options),
        "blob F1": partial(blob_f1_score, average=average, **options),
        "Hausdorff 95 %": hausdorff_distance,
        "surface distance": average_surface_distance,
    }
    assert list(report["1"])[5:] == [*expected, "support"]
    for name, score in expected.items():
        of_labels = [score(true, pred, labels=[label]) for label in (1, 2)]
        assert [report[row][name] for row in "12"] == of_labels
        assert report["macro avg"][name] == pytest.approx(score(true, pred))


def test_threshold_jaccard_of_all_labels_is_that_of_the_mean_of_an_image():
    y_true = np.zeros((3, 10, 10), int)
    y_true[:, :5, :5], y_true[:, 6:, 6:] = 1, 2
    y_pred = y_true.copy()
    y_pred[0, :2, :5] = y_pred[1, 6:8, 6:] = 0  # Jaccard indices of .6 and .5
    options = {"zero_division": 1.0}
    report = segmentation_report(
        y_true, y_pred, extra_columns="all", output_dict=True, **options
    )
    found = [report[row]["threshold Jaccard"] for row in ("1", "2", "macro avg")]
    assert found == pytest.approx([2 / 3, 2 / 3, (0.8 + 0.75 + 1) / 3])
    assert found[2] == pytest.approx(threshold_jaccard_score(y_true, y_pred, **options))


def test_extra_columns_keep_apart_labels_that_other_programs_use_for_one():
    y_true = np.array([[[0, 1], [0, 0]], [[0, 0], [255, 0]]])
    report = segmentation_report(
        y_true,
        y_true,
        labels=[1, 255],
        extra_columns="all",
        zero_division=np.nan,
        output_dict=True,
    )
    for label in ("1", "255"):
        assert report[label]["blob F1"] == report[label]["threshold Jaccard"] == 1
        assert report[label]["Hausdorff 95 %"] == 0


def test_text_has_extra_columns_under_their_names():
    options = {"extra_columns": ["surface distance", "blob F1"], "zero_division": 1.0}
    text = segmentation_report([TOP], [TOP], **options)
    heading, _, row, *_ = text.splitlines()
    for name, value in {"blob F1": "1.000", "surface distance": "0.000"}.items():
        end = heading.index(name) + len(name)
        assert row[:end].endswith(f" {value}")


def test_extra_columns_of_ignored_pixels_and_of_no_foreground():
    report = segmentation_report(
        [np.where(TOP, 1, 255)],
        [np.ones_like(TOP)],
        ignore_label=255,
        labels=[1],
        extra_columns="all",
        output_dict=True,
    )
    assert report["1"]["threshold Jaccard"] == report["1"]["blob F1"] == 1
    assert report["1"]["Hausdorff 95 %"] == report["1"]["surface distance"] == 0
    report = segmentation_report(
        [EMPTY], [EMPTY], extra_columns="all", zero_division=1.0, output_dict=True
    )
    assert report["macro avg"]["blob F1"] == 1
    assert report["macro avg"]["surface distance"] == 0


def test_an_unknown_column_is_refused_before_masks_are_read():
    with pytest.raises(ValueError, match=r"extra_columns has \['Hausdorff'\]"):
        segmentation_report(["none.png"], ["none.png"], extra_columns=["Hausdorff"])


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["a", "a"], "'a' twice"),
        (["a", "macro avg"], "'macro avg', which is another row"),
        (["n_images", "a"], "'n_images', which is another row"),
    ],
)
def test_each_label_has_a_row_of_its_own(names, says):
    truth = np.array([[[0, 1], [2, 2]]])
    with pytest.raises(ValueError, match=says):
        segmentation_report(truth, truth, target_names=names)
