"""What works with a scikit-learn that has no callbacks, as before its version 1.9."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import subprocess
import sys

# scikit-learn's own modules, which need their callbacks, are loaded before these go.
CODE = """
import sys

import imblearn.base
import numpy as np
import sklearn.cluster
import sklearn.pipeline

sys.modules["sklearn.callback"] = None
from skinest import BoVWSIFTTransformer, SIFTDescriptor

grid = SIFTDescriptor(detector="grid", grid_step=16, grid_sizes=(16,))
bovw = BoVWSIFTTransformer(3, descriptor=grid, random_state=0)
images = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 3), dtype=np.uint8)
assert bovw.set_callbacks() is bovw
assert bovw.fit_transform(images).shape == (4, 3)
try:
    bovw.set_callbacks(print)
except ImportError as error:
    print(error)
"""


def test_fits_work_and_a_callback_is_refused_with_the_version_it_needs():
    run = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, check=True
    )
    assert "scikit-learn 1.9 or newer" in run.stdout
