"""Heavy libraries are loaded when they are used, not when skinest is imported."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import subprocess
import sys

HEAVY = {"tensorflow", "keras", "cv2", "matplotlib", "pandas"}

FIT = """
import numpy as np
from skinest import BoVWSIFTTransformer, SIFTDescriptor

images = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 3), dtype=np.uint8)
grid = SIFTDescriptor(detector="grid", grid_step=16, grid_sizes=(16,))
bovw = BoVWSIFTTransformer(3, descriptor=grid, random_state=0)
assert bovw.fit_transform(images).shape == bovw.transform(images).shape == (4, 3)
"""


def loaded_by(code):
    """List the heavy libraries that a fresh interpreter loads to run the code."""
    program = f"{code}\nimport sys\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return HEAVY & set(run.stdout.split())


def test_import_loads_no_heavy_library():
    assert loaded_by("import skinest") == set()


def test_names_and_documentation_load_no_heavy_library():
    code = "import skinest\nfor name in skinest.__all__: getattr(skinest, name).__doc__"
    assert loaded_by(code) <= {"pandas"}  # scikit-learn loads it where it can


def test_bovw_never_loads_tensorflow():
    assert loaded_by(FIT) & {"tensorflow", "keras"} == set()
