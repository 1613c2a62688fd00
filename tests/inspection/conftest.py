"""Fixtures that the tests of displays share."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest

from tests.inspection.segmenters import SIZE, Darkness


@pytest.fixture(autouse=True)
def no_windows():
    """Draw into memory, and forget the figures after each test."""
    import matplotlib.pyplot as plt

    plt.close("all")  # of examples in docstrings
    plt.switch_backend("Agg")
    yield
    plt.close("all")


@pytest.fixture
def images():
    """Return light images, each with a dark rectangle elsewhere."""
    images = np.full((5, *SIZE, 3), 200, dtype=np.uint8)
    for k, image in enumerate(images):
        image[5 + k : 15 + k, 8 : 20 + k] = 50
    return images


@pytest.fixture
def masks(images):
    """Return masks that have the dark rectangles, but higher."""
    return np.roll(np.where(images[..., 0] < 100, 255, 0), -3, axis=1).astype(np.uint8)


@pytest.fixture
def predicted(images):
    return Darkness().fit().predict(images)
