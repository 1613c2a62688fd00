"""Images, masks, labels and estimators that a display of masks takes."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import sys

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skinest.inspection import SegmentationDisplay
from tests.inspection.segmenters import SIZE, Darkness, legend


@pytest.mark.parametrize(
    "form",
    [
        *("list", "paths", "frame", "mixed"),
        *(pytest.param(form, marks=pytest.mark.slow) for form in ("tuple", "object")),
    ],
)
def test_forms_of_images_and_masks(images, masks, predicted, form, tmp_path):
    expected = SegmentationDisplay.from_predictions(images, masks, predicted)
    X, y_true, y_pred = list(images), list(masks), list(predicted)
    if form in ("paths", "frame"):
        names = [str(tmp_path / f"{k}.png") for k in range(15)]
        grey = [cv2.cvtColor(image, cv2.COLOR_RGB2BGR) for image in X]
        for name, content in zip(names, [*grey, *y_true, *y_pred], strict=True):
            cv2.imwrite(name, content.astype(np.uint8))
        X, y_true, y_pred = names[:5], names[5:10], names[10:]
    if form == "frame":
        X, y_true, y_pred = pd.DataFrame({"path": X}), pd.Series(y_true), y_pred
    elif form == "tuple":
        X, y_true, y_pred = tuple(X), tuple(y_true), tuple(y_pred)
    elif form == "object":
        y_true = np.empty(5, dtype=object)
        y_true[:] = list(masks)
    elif form == "mixed":
        X, y_pred = images / 255, predicted
    for n_images in (None, 3):
        display = SegmentationDisplay.from_predictions(
            X, y_true, y_pred, n_images=n_images
        )
        for name in ("images", "y_true", "y_pred", "scores"):
            for one, other in zip(
                getattr(display, name), getattr(expected, name), strict=n_images is None
            ):
                np.testing.assert_array_equal(one, other)
        estimated = SegmentationDisplay.from_estimator(
            Darkness().fit(), X, y_true, n_images=n_images
        )
        np.testing.assert_array_equal(estimated.scores, display.scores)


def test_each_file_is_decoded_once(tmp_path, decoded):
    rng = np.random.default_rng(0)
    paths = [[str(tmp_path / f"{name}{k}.png") for k in range(3)] for name in "Xtp"]
    for k in range(3):
        cv2.imwrite(paths[0][k], rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
        cv2.imwrite(paths[1][k], rng.integers(0, 2, SIZE, dtype=np.uint8) * 255)
        cv2.imwrite(paths[2][k], rng.integers(0, 2, SIZE, dtype=np.uint8) * 255)
    SegmentationDisplay.from_predictions(*paths)
    assert [decoded.counts(names) for names in paths] == [[1, 1, 1]] * 3
    decoded.contents.clear()
    SegmentationDisplay.from_estimator(Darkness().fit(), *paths[:2], n_images=2)
    assert [decoded.counts(names) for names in paths[:2]] == [[1, 1, 0]] * 2


def test_from_estimator_is_from_predictions_of_what_it_predicts(images, masks):
    segmenter = Darkness().fit()
    one = SegmentationDisplay.from_estimator(segmenter, images, masks)
    other = SegmentationDisplay.from_predictions(
        images, masks, segmenter.predict(images)
    )
    assert one.labels == other.labels == [255]
    assert legend(one) == legend(other)
    np.testing.assert_array_equal(one.scores, other.scores)
    for a, b in zip(one.outlines_.ravel(), other.outlines_.ravel(), strict=True):
        np.testing.assert_array_equal(a.get_xydata(), b.get_xydata())
        assert a.get_color() == b.get_color()
    for a, b in zip(one.differences_, other.differences_, strict=True):
        np.testing.assert_array_equal(a.get_array(), b.get_array())


def test_from_estimator_without_truth_and_in_a_pipeline(images):
    pipeline = make_pipeline("passthrough", Darkness()).fit(images)
    display = SegmentationDisplay.from_estimator(pipeline, images)
    assert display.axes_.shape == (5, 1)
    assert display.labels == [255]


def test_labels_of_the_estimator_are_foreground_though_no_mask_holds_them(images):
    segmenter = Darkness(labels=(3, 4, 8)).fit()
    display = SegmentationDisplay.from_estimator(segmenter, images)
    assert display.labels == [4, 8]


def test_only_the_first_images_are_predicted_and_drawn(images, masks, predicted):
    segmenter = Darkness().fit()
    X, y = np.tile(images, (4, 1, 1, 1)), np.tile(masks, (4, 1, 1))
    for n_images, expected in [(2, 2), (None, 20), (50, 20)]:
        display = SegmentationDisplay.from_estimator(segmenter, X, y, n_images=n_images)
        assert len(display.axes_) == segmenter.n_seen_ == expected
        plt.close(display.figure_)
    assert len(SegmentationDisplay.from_estimator(segmenter, X).axes_) == 8
    assert len(SegmentationDisplay.from_predictions(X, y, y).axes_) == 8


@pytest.mark.parametrize("n_images", [0, -1, 2.5])
def test_number_of_images_that_is_none(images, masks, n_images):
    with pytest.raises(ValueError, match=rf"n_images={n_images} must be"):
        SegmentationDisplay.from_predictions(images, masks, masks, n_images=n_images)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"y": None, "worst_first": True}, "worst_first=True needs true masks"),
        ({"n_images": 0, "worst_first": True}, "n_images=0 must be"),
        ({"target_names": ["globules", "streaks"]}, "target_names has 2 names"),
        ({"labels": [1.5]}, "labels"),
    ],
)
def test_wrong_arguments_are_refused_before_predicting(images, masks, wrong, message):
    segmenter = Darkness().fit()
    with pytest.raises(ValueError, match=message):
        SegmentationDisplay.from_estimator(
            segmenter, images, **{"y": masks, "n_images": None, **wrong}
        )
    assert not hasattr(segmenter, "n_seen_")


def test_lengths_that_differ(images, masks, predicted):
    draw = SegmentationDisplay.from_predictions
    with pytest.raises(ValueError, match="X has 5 images, but y_true has 4 masks"):
        draw(images, masks[:4], predicted)
    with pytest.raises(ValueError, match="X has 5 images, but y_pred has 4 masks"):
        draw(images, masks, predicted[:4])
    with pytest.raises(ValueError, match="X has 5 images, but y has 4 masks"):
        SegmentationDisplay.from_estimator(Darkness().fit(), images, masks[:4])


def test_sizes_that_differ(images, masks, predicted):
    draw = SegmentationDisplay.from_predictions
    ragged = [*masks[:2], masks[2, :, :-1], *masks[3:]]
    wrong = r"\[2\] has shape \(30, 39\), but its image X\[2\] has shape \(30, 40\)"
    with pytest.raises(ValueError, match="y_true" + wrong):
        draw(images, ragged, predicted)
    with pytest.raises(ValueError, match="y_pred" + wrong):
        draw(images, masks, ragged)
    with pytest.raises(ValueError, match="y" + wrong):
        SegmentationDisplay.from_estimator(Darkness().fit(), images, ragged)


def test_what_are_no_masks(images, masks):
    with pytest.raises(ValueError, match=r"y_pred has shape \(5, 30, 40, 1\)"):
        SegmentationDisplay.from_predictions(images, masks, masks[..., np.newaxis])
    with pytest.raises(ValueError, match=r"y_true\[0\] is of dtype float64"):
        SegmentationDisplay.from_predictions(images, list(masks / 255), masks)
    with pytest.raises(ValueError, match="X is empty"):
        SegmentationDisplay.from_predictions([], masks, masks)


def test_ones_here_and_255_there(images, masks):
    with pytest.raises(
        ValueError, match=r"y_true has \[0, 1\], but y_pred has \[0, 255\]"
    ):
        SegmentationDisplay.from_predictions(images, masks // 255, masks)
    with pytest.raises(ValueError, match=r"y has \[1\].* knows \[0, 255\]"):
        SegmentationDisplay.from_estimator(Darkness().fit(), images, masks // 255)


def test_label_unknown_to_the_estimator_is_drawn_if_it_is_named(images, masks):
    y = np.where(masks == 0, 7, masks)
    with pytest.raises(ValueError, match=r"y has \[7\].*pass labels"):
        SegmentationDisplay.from_estimator(Darkness().fit(), images, y)
    display = SegmentationDisplay.from_estimator(
        Darkness().fit(), images, y, labels=[7, 255]
    )
    assert display.labels == [7, 255]


@pytest.mark.parametrize("labels", [[1.5], [1, 1], "1", [[1]]])
@pytest.mark.parametrize("has_truth", [True, False])
def test_labels_that_are_none(images, masks, labels, has_truth):
    with pytest.raises(ValueError, match="labels"):
        SegmentationDisplay.from_predictions(
            images, masks if has_truth else None, masks, labels=labels
        )


def test_names_of_another_number(images, masks):
    with pytest.raises(ValueError, match="target_names has 2 names"):
        SegmentationDisplay.from_predictions(
            images, masks, masks, target_names=["globules", "streaks"]
        )


def test_not_fitted(images):
    with pytest.raises(NotFittedError):
        SegmentationDisplay.from_estimator(Darkness(), images)


def test_without_matplotlib(images, masks, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"SegmentationDisplay.* requires matplotlib"):
        SegmentationDisplay.from_predictions(images, masks, masks)


@pytest.mark.parametrize(("max_cols", "error"), [(0, ValueError), (1.5, TypeError)])
def test_max_cols_is_checked_before_anything_is_computed(max_cols, error):
    with pytest.raises(error, match="max_cols"):
        SegmentationDisplay.from_estimator(None, None, None, max_cols=max_cols)
    with pytest.raises(error, match="max_cols"):
        SegmentationDisplay.from_predictions(None, None, None, max_cols=max_cols)
    with pytest.raises(error, match="max_cols"):
        SegmentationDisplay([], None, [], labels=[]).plot(max_cols=max_cols)
