"""What the tests of displays share."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pytest


@pytest.fixture(autouse=True)
def no_windows():
    """Draw into memory, and forget the figures after each test."""
    import matplotlib.pyplot as plt

    plt.switch_backend("Agg")
    yield
    plt.close("all")
