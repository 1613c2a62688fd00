"""Images and masks to augment, and shapes that are found in them afterwards."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from skimage.draw import disk, ellipse, polygon2mask

from skinest._apply_augmentation import (
    apply_augmentation,
    apply_to_pair,
    check_augmentation,
    check_pair_augmentation,
)

# Only the network of an estimator sees the copies that it makes, so that tests see
# them by the two functions that all estimators call.

__all__ = ["apply_augmentation", "check_augmentation", "check_pair_augmentation"]

OFF = {"rotation": 0, "shift": 0, "horizontal_flip": False}
FLIPS = {"horizontal_flip": True, "vertical_flip": True}
ALL = {
    "rotation": 30,
    "shift": 0.2,
    "zoom": 0.3,
    "vertical_flip": True,
    "brightness": 0.2,
    "contrast": 0.4,
}
SHAPES = [(1, 1), (1, 7), (6, 1), (17, 30), (30, 17)]
LABELS = np.array([0, 3, 17, 255], dtype=np.uint8)


def noise(height=24, width=32, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def shape(name, height=192, width=240):
    """Return a shape far from the edge, True inside."""
    if name == "polygon":
        corners = [(30, 50), (40, 180), (150, 200), (140, 90), (90, 92)]
        return polygon2mask((height, width), corners)
    inside = np.zeros((height, width), dtype=bool)
    if name == "disc":
        inside[disk((100, 102), 55)] = True
    else:
        inside[ellipse(86, 134, 44, 72, rotation=0.5)] = True
    return inside


def drawn(inside, label=1):
    """Return image and mask of a shape."""
    image = np.where(inside[..., np.newaxis], [200, 190, 180], [60, 50, 40])
    return image.astype(np.uint8), np.where(inside, label, 0).astype(np.uint8)


def labelled(height=48, width=64):
    """Return image of noise and mask of blocks of four labels."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    blocks = rng.integers(0, 4, (height // 8, width // 8))
    return image, LABELS[np.kron(blocks, np.ones((8, 8), dtype=int))]


def found(image):
    """Return where an image is bright, and where it is dark.

    Neither where it is half as bright: steps of interpolation are 1/32 of a pixel.
    """
    grey = image.mean(axis=2)
    level = (grey - grey.min()) / (grey.max() - grey.min())
    return level > 0.53, level < 0.47


def outline(mask):
    """Return number of borders between pixels inside and outside."""
    return (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()


def assert_aligned(image, mask):
    bright, dark = found(image)
    wrong = (bright & (mask == 0)).sum() + (dark & (mask == 1)).sum()
    right = (bright & (mask == 1)).sum()
    assert right / (right + wrong) >= 0.98
    assert wrong < outline(mask == 1) / 2


def augment(augmentation, image, seed=0):
    return apply_augmentation(augmentation, image, np.random.default_rng(seed))


def augment_pairs(augmentation, image, mask, n_draws, seed=0):
    rng = np.random.default_rng(seed)
    return [apply_to_pair(augmentation, image, mask, rng) for _ in range(n_draws)]
