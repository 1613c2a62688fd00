"""Scenes of synthetic images, some of them set by hand, and their pixels.

Images of `make_dermoscopy` show globules, veils and vessels all at once and at random.
To tell what one of them does to an image or to a mask, tests change it in a scene,
which no public function takes.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from contextlib import contextmanager

import numpy as np
import pytest

from skinest.datasets._synthetic import dermoscopy
from skinest.datasets._synthetic.generation import render_images, sample_scenes


def sample(target, *, task="malignancy", same_lesion=False):
    """Sample a scene of each class, all of the first one's lesion if asked for."""
    first = np.zeros(len(target), int) if same_lesion else np.arange(len(target))
    return sample_scenes(0, task, target, first)


def render(scene, *, task="lesion", size=(128, 128)):
    """Render image and mask, the mask as booleans."""
    images = np.empty((1, *size, 3), dtype=np.uint8)
    masks = np.empty((1, *size), dtype=np.uint8)
    render_images(task, [scene], images, masks)
    return images[0], masks[0] == 255


@contextmanager
def without_pixels():
    """Let `make_dermoscopy` render nothing, for tests of labels and patients alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dermoscopy, "render_images", lambda *arguments: None)
        yield


def get_positions(size):
    """Return x and y of the pixels, in half the shorter side from the centre."""
    rows, columns = np.indices(size) + 0.5
    unit = min(size) / 2
    return (columns - size[1] / 2) / unit, (rows - size[0] / 2) / unit


def cover_globules(scene, size=(128, 128), margin=0.0):
    """Tell which pixels are on a globule, or at most `margin` from one."""
    x, y = get_positions(size)
    covered = np.zeros(size, dtype=bool)
    for centre, radius in zip(scene.globule_centres, scene.globule_radii, strict=True):
        covered |= np.hypot(x - centre[0], y - centre[1]) <= radius + margin
    return covered
