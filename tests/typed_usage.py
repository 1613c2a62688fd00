"""What a user's typed code does; checked by mypy, and never run."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

from skinest.augmentation import Augmentation
from skinest.images import ImageCollection, check_images, read_image
from skinest.inspection import GradCAMDisplay, SegmentationDisplay
from skinest.kernels import histogram_intersection_kernel
from skinest.losses import Dice, Focal
from skinest.masks import check_masks, read_mask
from skinest.metrics import dice_score, iou_score, segmentation_report
from skinest.sampling import has_foreground

Image = NDArray[np.uint8]


def read(paths: list[Path], stack: Image) -> None:
    images = check_images(paths, name="paths")
    assert_type(images, ImageCollection)
    assert_type(images[0], Image)
    assert_type(images[:2], ImageCollection)
    assert_type(read_image("lesion.jpg"), Image)
    check_images(stack)
    check_images([stack[0], stack[1]])
    check_images(images)
    assert_type(check_masks(stack[..., 0])[0], NDArray[Any])
    read_mask(paths[0])
    check_images(3)  # type: ignore[arg-type]
    read_image(None)  # type: ignore[arg-type]


def augment(image: Image, mask: Image) -> None:
    augmentation = Augmentation(rotation=180)
    generator = np.random.default_rng(0)
    assert_type(augmentation(image, generator), Image)
    assert_type(augmentation(image, generator, mask), tuple[Image, NDArray[Any]])
    Augmentation(rotation="much")  # type: ignore[arg-type]


def measure(y_true: Image, paths: list[str]) -> None:
    assert_type(dice_score(y_true, paths), float)
    assert_type(iou_score(y_true, paths, labels=[255], average="pooled"), float)
    assert_type(dice_score(y_true, paths, average=None), NDArray[np.float64])
    assert_type(segmentation_report(y_true, paths, digits=2), str)
    assert_type(segmentation_report(y_true, y_true, output_dict=True), dict[str, Any])
    assert_type(has_foreground(None, y_true), NDArray[np.bool_])
    dice_score(y_true, paths, average="macro")  # type: ignore[call-overload]


def compare(histograms: NDArray[np.float64]) -> None:
    histogram_intersection_kernel(histograms).sum()


def lose() -> None:
    Dice(smooth=0.5)
    Focal(alpha=[1.0, 2.0])
    Dice(smooth="no")  # type: ignore[arg-type]


def show(image: Image, mask: Image) -> None:
    display = SegmentationDisplay.from_predictions([image], [mask], [mask])
    assert_type(display, SegmentationDisplay)
    assert_type(display.plot(alpha=0.3), SegmentationDisplay)
    GradCAMDisplay.from_maps([image], [mask], titles=["lesion"], cmap="gray")
