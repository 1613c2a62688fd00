"""Changes of training images of lesions: what photographs of other clinics have."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import cv2
import numpy as np

from skinest import Augmentation

WIDE = Augmentation(
    rotation=180,
    shift=0.1,
    zoom=0.4,
    vertical_flip=True,
    brightness=0.1,
    contrast=0.25,
    saturation=0.25,
    hue=8,
    channel_gain=0.12,
    blur=0.008,
)


class LesionChanges:
    """Augmentation that also adds dark corners and hairs.

    Parameters
    ----------
    augmentation : Augmentation
        What is done before.

    corners, hairs : float
        Fraction of the images with dark corners, and with hairs.
    """

    def __init__(self, augmentation=WIDE, corners=0.3, hairs=0.3):
        self.augmentation = augmentation
        self.corners = corners
        self.hairs = hairs

    def __call__(self, image, mask, random_state):
        """Return a changed image and mask."""
        image, mask = self.augmentation(image, random_state, mask=mask)
        if random_state.random() < self.corners:
            image = darken_corners(image, random_state)
        if random_state.random() < self.hairs:
            image = draw_hairs(image, random_state)
        return image, mask


def darken_corners(image, random_state):
    """Return an image that is dark outside of a circle, as through a dermatoscope."""
    height, width = image.shape[:2]
    radius = random_state.uniform(0.75, 1.15) * np.hypot(height, width) / 2
    y = np.arange(height) - height / 2 - random_state.normal(0, 0.05 * height)
    x = np.arange(width) - width / 2 - random_state.normal(0, 0.05 * width)
    distance = np.hypot(y[:, None], x)
    inside = np.clip((radius - distance) / random_state.uniform(1, 0.15 * height), 0, 1)
    darkest = random_state.uniform(0, 0.5)
    light = darkest + (1 - darkest) * inside
    return (image * light[..., None]).astype(np.uint8)


def draw_hairs(image, random_state):
    """Return an image with 1 to 11 dark hairs, which are curves of degree 2."""
    image = np.ascontiguousarray(image).copy()
    size = np.array(image.shape[1::-1])
    t = np.linspace(0, 1, 20)[:, None]
    for _ in range(random_state.integers(1, 12)):
        start, middle, end = random_state.uniform(-0.1, 1.1, (3, 2)) * size
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * middle + t**2 * end
        grey = int(random_state.integers(10, 80))
        color = grey, int(0.8 * grey), int(0.7 * grey)  # brown
        points = [np.int32(8 * curve)]  # in eighths of a pixel
        cv2.polylines(image, points, False, color, 1, cv2.LINE_AA, shift=3)
    return image
