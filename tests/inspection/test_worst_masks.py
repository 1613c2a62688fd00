"""Display of the worst masks, also from folders."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import cv2
import numpy as np
import pytest

from skinest.inspection import SegmentationDisplay
from skinest.metrics import dice_score
from tests.inspection.segmenters import Darkness


@pytest.fixture
def mixed(masks, predicted):
    """Return predictions of which the third is perfect and the last is empty."""
    predicted = list(predicted)
    predicted[2], predicted[4] = masks[2], np.zeros_like(masks[4])
    return predicted


def test_the_worst_are_plotted_first(images, masks, mixed):
    scores = dice_score(masks, mixed, average=None, zero_division=1.0)
    order = np.argsort(scores, kind="stable")
    display = SegmentationDisplay.from_predictions(
        images, masks, mixed, n_images=3, worst_first=True
    )
    np.testing.assert_array_equal(display.scores, scores[order[:3]])
    for k, position in enumerate(order[:3]):
        np.testing.assert_array_equal(display.images[k], images[position])
        np.testing.assert_array_equal(display.y_pred[k], mixed[position])
    assert display.scores[0] == 0


def test_an_estimator_predicts_all_images_to_find_the_worst(images, masks):
    segmenter = Darkness().fit()
    display = SegmentationDisplay.from_estimator(
        segmenter, images, masks, n_images=2, worst_first=True
    )
    assert segmenter.n_seen_ == 5
    scores = dice_score(
        masks, segmenter.predict(images), average=None, zero_division=1.0
    )
    np.testing.assert_array_equal(display.scores, np.sort(scores)[:2])


def test_labels_of_all_masks_count(images, masks, mixed):
    # The only image of label 2 is perfect, so it is not among the worst.
    true, pred = ([np.minimum(each, 1) for each in y] for y in (masks, mixed))
    true[2], pred[2] = 2 * true[2], 2 * pred[2]
    display = SegmentationDisplay.from_predictions(
        images, true, pred, n_images=2, worst_first=True
    )
    assert display.labels == [1, 2]


@pytest.mark.filterwarnings("ignore:All pixels of y_true have ignore_label")
@pytest.mark.parametrize("ignore_label", [None, 0])
@pytest.mark.parametrize("n_images", [None, 2])
def test_masks_without_foreground_are_plotted(images, masks, ignore_label, n_images):
    empty = [np.zeros_like(mask) for mask in masks]
    displays = [
        SegmentationDisplay.from_predictions(
            images,
            empty,
            empty,
            n_images=n_images,
            worst_first=worst_first,
            ignore_label=ignore_label,
        )
        for worst_first in (True, False)
    ]
    scores = [1.0 if ignore_label is None else np.nan] * (n_images or 5)
    for display in displays:
        assert display.labels == []
        np.testing.assert_array_equal(display.scores, scores)


def test_worst_needs_true_masks(images, mixed):
    with pytest.raises(ValueError, match="worst_first=True needs true masks"):
        SegmentationDisplay.from_predictions(images, None, mixed, worst_first=True)


@pytest.fixture
def folders(tmp_path, images, masks, mixed):
    contents = {"images": images, "true": masks, "predicted": mixed}
    for name, arrays in contents.items():
        (tmp_path / name).mkdir()
        for k, array in enumerate(arrays):
            ending = "" if name == "images" else f"_{name}"
            cv2.imwrite(str(tmp_path / name / f"{k}{ending}.png"), np.uint8(array))
    return [tmp_path / name for name in ("images", "predicted", "true")]


def test_folders_are_matched_by_names(folders, masks, mixed, recwarn):
    (folders[1] / "4_predicted.png").unlink()
    (folders[2] / "0_true.png").unlink()
    display = SegmentationDisplay.from_folders(*folders, n_images=2)
    scores = dice_score(masks[1:4], mixed[1:4], average=None, zero_division=1.0)
    np.testing.assert_array_equal(display.scores, np.sort(scores)[:2])
    display = SegmentationDisplay.from_folders(*folders[:2], differences=False)
    assert display.scores is None
    assert len(display.images) == 4
    np.testing.assert_array_equal(display.y_pred[0], mixed[0])
    assert not [each for each in recwarn if "no mask" in str(each.message)]


def test_folders_without_a_common_image_are_refused(folders):
    for folder, removed in zip(folders[1:], [(0, 1, 2), (3, 4)], strict=True):
        for k in removed:
            (folder / f"{k}_{folder.name}.png").unlink()
    with pytest.raises(ValueError, match="No image has a mask in both"):
        SegmentationDisplay.from_folders(*folders)
