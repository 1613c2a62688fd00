"""Masks of synthetic images, similar to those by a human observer.

Lengths are in units of half the shorter side of the frame.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from .layers import Canvas
from .rendering import render

# Structures are detected at one size, so that masks are the same at all sizes.
_SHORTER_SIDE = 128

# An observer marks areas, not single clods: contrast is averaged over a radius of
# about this length, must reach this share of the full range, and do so over this
# area (a disc of radius 0.08).
_SPREAD = 0.06
_MIN_CONTRAST = 0.025
_MIN_AREA = 0.02


def make_mask(task, scene, lesion):
    """Return the mask for a task.

    Parameters
    ----------
    task : {"lesion", "globules", "streaks"}
        The structure to mark.

    scene : Scene
        The scene of the image.

    lesion : ndarray of shape (height, width)
        The fraction of each pixel that belongs to the lesion.

    Returns
    -------
    mask : ndarray of shape (height, width), dtype uint8
        255 where marked, 0 elsewhere.
    """
    if task == "lesion":
        return _make_mask(lesion > 0.5)
    return _mark_structure(task, scene, *lesion.shape)


def _mark_structure(structure, scene, height, width):
    """Mark the pixels where a structure darkens the image enough to be seen.

    Nothing is visible outside the frame, and little in pale or black areas that cover
    the structure.
    """
    import cv2

    bare = scene.without(structure)
    if bare is scene:
        return np.zeros((height, width), dtype=np.uint8)
    scale = _SHORTER_SIDE / min(height, width)
    canvas = Canvas(round(scale * height), round(scale * width))
    darkening = cv2.subtract(render(bare, canvas)[0], render(scene, canvas)[0])
    contrast = darkening.mean(axis=2, dtype=np.float32) / 255
    contrast = cv2.GaussianBlur(contrast, (0, 0), _SPREAD * canvas.unit)
    contrast[_find_small_areas(contrast, _MIN_AREA * canvas.unit**2)] = 0
    contrast = cv2.resize(contrast, (width, height), interpolation=cv2.INTER_LINEAR)
    return _make_mask(contrast > _MIN_CONTRAST)


def _make_mask(marked):
    return np.where(marked, np.uint8(255), np.uint8(0))


def _find_small_areas(contrast, min_area):
    """Find connected areas of enough contrast and less than `min_area` pixels."""
    import cv2

    visible = (contrast > _MIN_CONTRAST).astype(np.uint8)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(visible)
    is_small = statistics[:, cv2.CC_STAT_AREA] < min_area
    # Label 0 has all pixels that are not visible.
    is_small[0] = False
    return is_small[labels]
