"""Advice on masks with channels: no pixel of a structure is lost by following it."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import re

import cv2
import numpy as np
import pytest
from PIL import Image

from skinest.masks import check_masks, read_mask
from skinest.metrics import dice_score
from skinest.segmentation import UNetSegmenter

BLOCK = np.zeros((2, 4, 6), dtype=np.uint8)
BLOCK[:, :2, :3] = 255
MOVED = np.roll(BLOCK, 3, axis=2)
CHANNELS = {
    "Its labels are in the first channel: pass y[..., 0].": [BLOCK],
    "Its channels are equal: pass y[..., 0].": [BLOCK] * 3,
    "Its channels are one-hot: pass y.argmax(axis=-1).": [255 - BLOCK, BLOCK],
    "Its channels do not overlap: pass "
    "np.where(y.any(axis=-1), y.argmax(axis=-1) + 1, 0).": [BLOCK, MOVED],
    "If its values are probabilities, pass y.argmax(axis=-1).": [
        BLOCK / 300,
        1 - BLOCK / 300,
    ],
    "Its channels overlap. If they are structures, y.argmax(axis=-1) would lose the "
    "overlaps, so use a segmenter for each structure, with the masks y[..., k]; if "
    "they are colours, replace each colour by a label.": [BLOCK, MOVED, BLOCK],
}


@pytest.mark.parametrize(("advice", "channels"), CHANNELS.items(), ids=range(6))
def test_advice_on_channels(advice, channels):
    y = np.stack(channels, axis=-1)
    says = rf"has shape \(2, 4, 6, {len(channels)}\).* "
    for masks in (y, y.astype(np.float32)):
        with pytest.raises(ValueError, match="y " + says + re.escape(advice)):
            check_masks(masks)
    in_metric = re.escape(advice.replace("y[", "y_true[").replace("y.a", "y_true.a"))
    with pytest.raises(ValueError, match="y_true " + says + in_metric):
        dice_score(y, y)
    in_list = re.escape(advice.replace("y[", "mask[").replace("y.a", "mask.a"))
    with pytest.raises(ValueError, match=rf"y\[0\] has shape \(4, .* {in_list}"):
        check_masks(list(y))
    with pytest.raises(ValueError, match=re.escape(advice)):
        UNetSegmenter().fit(np.zeros((2, 4, 6, 3), np.uint8), y)


def test_advice_keeps_what_channels_hold():
    y = np.stack([BLOCK, MOVED], axis=-1)
    labels = np.where(y.any(axis=-1), y.argmax(axis=-1) + 1, 0)
    np.testing.assert_array_equal(labels == 1, BLOCK == 255)
    np.testing.assert_array_equal(labels == 2, MOVED == 255)
    y = np.stack([255 - BLOCK, BLOCK], axis=-1)
    np.testing.assert_array_equal(y.argmax(axis=-1), BLOCK // 255)


def test_overlaps_of_any_mask_count(tmp_path):
    y = np.stack([BLOCK, MOVED], axis=-1)
    y[1, 0, 0] = 255
    for masks in (y, list(y)):
        with pytest.raises(ValueError, match="would lose the overlaps"):
            check_masks(masks)
    path = tmp_path / "mask.png"
    cv2.imwrite(str(path), np.stack([BLOCK[0], MOVED[0], 0 * BLOCK[0]], axis=-1))
    with pytest.raises(ValueError, match="0\\), unless those of other masks overlap"):
        read_mask(path)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("n_channels", [3, 4])
def test_grey_that_was_saved_as_a_colour_has_its_labels(n_channels, dtype, tmp_path):
    mask = (BLOCK[0] // 255 * 2).astype(dtype)
    image = np.stack([mask] * n_channels, axis=-1)
    image[..., 3:] = np.iinfo(dtype).max
    cv2.imwrite(str(tmp_path / "mask.png"), image)
    found = read_mask(tmp_path / "mask.png")
    np.testing.assert_array_equal(found, mask)
    assert found.dtype == dtype


def test_lossless_webp_which_has_no_grey_is_a_mask(tmp_path):
    Image.fromarray(BLOCK[0]).save(tmp_path / "mask.webp", lossless=True)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.webp"), BLOCK[0])


@pytest.mark.parametrize("mask_threshold", [None, 0.5])
def test_a_mask_that_is_the_alpha_channel_is_not_read_as_empty(
    mask_threshold, tmp_path
):
    image = np.zeros((4, 6, 4), dtype=np.uint8)
    image[..., 3] = BLOCK[0]
    Image.fromarray(image).save(tmp_path / "mask.png")
    with pytest.raises(ValueError, match=r"mask\.png' has an alpha channel that is"):
        read_mask(tmp_path / "mask.png", mask_threshold=mask_threshold)
