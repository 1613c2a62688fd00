"""Masks with smooth edges, or saved as JPEG, become masks of 0 and 1."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import f1_score

from skinest.inspection import SegmentationDisplay
from skinest.masks import check_masks, read_mask
from skinest.metrics import dice_score, dice_scorer, iou_score, segmentation_report
from skinest.sampling import has_foreground

from .test_ignore_label import Bright

DISC = cv2.circle(np.zeros((60, 80), np.uint8), (40, 30), 17, 255, thickness=-1)
SMOOTH = cv2.GaussianBlur(DISC, (0, 0), 4)


def test_smooth_edges_have_more_values_than_a_mask_may_have():
    assert len(np.unique(SMOOTH)) > 32
    with pytest.raises(ValueError, match=r"y\[0\].*pass mask_threshold=0\.5"):
        check_masks([SMOOTH])[0]


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_foreground_is_brighter_than_the_fraction_of_white(dtype, threshold):
    white = {np.uint8: 255, np.uint16: 65535}.get(dtype, 1.0)
    smooth = (SMOOTH / 255 * white).astype(dtype)
    mask, labels = check_masks([smooth], mask_threshold=threshold).read(0)
    np.testing.assert_array_equal(mask, smooth / white > threshold)
    assert mask.dtype == np.uint8 and labels.tolist() == [0, 1]


@pytest.mark.parametrize("extension", ["png", "jpg", "tif", "webp"])
def test_files(extension, tmp_path):
    path = str(tmp_path / f"mask.{extension}")
    cv2.imwrite(path, SMOOTH)
    mask = read_mask(path, mask_threshold=0.5)
    assert np.unique(mask).tolist() == [0, 1]
    differs = mask != (SMOOTH > 127)
    assert (abs(SMOOTH[differs] - 127.5) < 12).all()  # only the noise of compression
    np.testing.assert_array_equal(check_masks([path], mask_threshold=0.5)[0], mask)
    cv2.imwrite(path, cv2.cvtColor(SMOOTH, cv2.COLOR_GRAY2BGR))
    np.testing.assert_array_equal(read_mask(path, mask_threshold=0.5), mask)


def test_white_of_a_file_is_its_own(tmp_path):
    netpbm = b"P5 3 1 100\n" + bytes([0, 40, 60])  # 100 is white
    (tmp_path / "mask.pgm").write_bytes(netpbm)
    palette = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    palette.putpalette([0, 0, 0, 90, 90, 90, 255, 255, 255])
    palette.save(tmp_path / "mask.png")
    Image.frombytes("LA", (3, 1), bytes([0, 255, 99, 0, 200, 9])).save(
        tmp_path / "alpha.png"
    )
    for name in ("mask.pgm", "mask.png", "alpha.png"):
        assert read_mask(tmp_path / name, mask_threshold=0.5).tolist() == [[0, 0, 1]]
    with pytest.raises(ValueError, match=r"alpha\.png' has an alpha channel that"):
        read_mask(tmp_path / "alpha.png")
    palette.putpalette([0, 0, 0, 90, 0, 0, 255, 255, 255])
    palette.save(tmp_path / "mask.png")
    with pytest.raises(ValueError, match="colour image of 3 channels"):
        read_mask(tmp_path / "mask.png", mask_threshold=0.5)


@pytest.mark.parametrize("quality", [30, 95])
def test_jpeg_gives_the_mask_that_was_saved(quality, tmp_path):
    path = str(tmp_path / "mask.jpg")
    cv2.imwrite(path, DISC, [cv2.IMWRITE_JPEG_QUALITY, quality])
    with pytest.raises(ValueError, match=r"mask\.jpg.*mask_threshold=0\.5"):
        read_mask(path)
    np.testing.assert_array_equal(read_mask(path, mask_threshold=0.5), DISC == 255)


@pytest.mark.parametrize(
    "mask",
    [
        np.eye(4, dtype=bool),
        np.eye(4, dtype=np.uint8),
        np.eye(4, dtype=np.int64),
        np.zeros((4, 4), np.uint16),
    ],
)
def test_masks_of_zero_and_one_are_not_changed(mask):
    found = check_masks([mask], mask_threshold=0.5)[0]
    np.testing.assert_array_equal(found, mask)
    assert found.dtype == mask.dtype


def test_codings_do_not_differ_after_the_threshold():
    masks = [DISC, DISC // 255, DISC == 255, DISC * np.uint16(257), DISC / 255]
    for mask in check_masks(masks, mask_threshold=0.5):
        np.testing.assert_array_equal(mask, DISC == 255)
    assert dice_score(masks, masks[::-1], mask_threshold=0.5) == 1


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (SMOOTH.astype(np.int64), "int64 with values from 0 to.*must be uint8"),
        (SMOOTH.astype(np.uint16), "uint16 with.* all be background.*65535"),
        (SMOOTH.astype(">u2"), ">u2 with.* all be background.*65535"),
        (SMOOTH.astype(np.float32), r"float32.*in \[0, 1\]"),
        (np.where(DISC, np.nan, 0.5), r"float64 with values from nan.*\[0, 1\]"),
        (SMOOTH / 255 - 0.5, r"float64 with values from -0\.5.*\[0, 1\]"),
    ],
)
def test_masks_whose_white_is_not_known_are_named(mask, says):
    masks = check_masks([DISC, mask], name="y_val", mask_threshold=0.5)
    with pytest.raises(ValueError, match=rf"y_val\[1\] is {says}"):
        masks[1]


@pytest.mark.parametrize("threshold", [0, 1, 127, "0.5", np.nan])
def test_other_thresholds_are_refused(threshold, tmp_path):
    for call in (
        lambda: check_masks([SMOOTH], mask_threshold=threshold),
        lambda: read_mask(tmp_path / "none.png", mask_threshold=threshold),
        lambda: dice_score([SMOOTH], [SMOOTH], mask_threshold=threshold),
        lambda: has_foreground(None, [SMOOTH], mask_threshold=threshold),
    ):
        with pytest.raises(ValueError, match="mask_threshold"):
            call()


def test_pixels_without_a_label_keep_theirs():
    mask = np.array([[0.0, 0.4, 0.6, 1.0, -1.0]])
    found, labels = check_masks([mask], ignore_label=-1, mask_threshold=0.5).read(0)
    assert found.tolist() == [[0, 0, 1, 1, -1]] and labels.tolist() == [0, 1]
    mask = np.array([[0, 90, 200, 255]], np.uint8)
    found = check_masks([mask], ignore_label=255, mask_threshold=0.5)[0]
    assert found.tolist() == [[0, 0, 1, 255]]
    with pytest.raises(ValueError, match="ignore_label=1 cannot be used"):
        check_masks([mask], ignore_label=1, mask_threshold=0.5)


def test_metrics_threshold_both_masks():
    moved = np.roll(SMOOTH, 5, axis=1)
    expected = f1_score((SMOOTH > 127).ravel(), (moved > 127).ravel())
    options = {"mask_threshold": 0.5}
    for pred in (moved, (moved > 127).astype(np.uint8), moved > 127, moved / 255):
        assert dice_score([SMOOTH], [pred], **options) == pytest.approx(expected)
        report = segmentation_report([SMOOTH], [pred], output_dict=True, **options)
        assert report["1"]["Dice"] == pytest.approx(expected)
        assert iou_score([SMOOTH], [pred], **options) == pytest.approx(
            expected / (2 - expected)
        )
    assert has_foreground(None, [SMOOTH, 0 * SMOOTH], **options).tolist() == [
        True,
        False,
    ]


def test_scorers_and_displays_use_that_of_the_segmenter():
    X = np.stack([np.roll(SMOOTH, 5, axis=1), SMOOTH])
    y = [SMOOTH, SMOOTH]
    fitted = Bright(t=127, mask_threshold=0.5).fit(X)
    expected = dice_score(y, fitted.predict(X), mask_threshold=0.5)
    assert 0.5 < expected < 1 and dice_scorer(fitted, X, y) == expected
    display = SegmentationDisplay.from_estimator(fitted, X, y)
    assert np.mean(display.scores) == pytest.approx(expected)
    display = SegmentationDisplay.from_predictions(X, y, list(X), mask_threshold=0.5)
    assert np.mean(display.scores) == pytest.approx(expected)
