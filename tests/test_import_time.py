"""Heavy libraries are loaded when they are used, not when skinest is imported."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import subprocess
import sys

import pytest

HEAVY = {"tensorflow", "keras", "openvino", "cv2", "matplotlib", "pandas"}

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


LEVEL = "import os; print(os.environ.get('TF_CPP_MIN_LOG_LEVEL'))"
NETWORKS = """
import numpy as np
from skinest import UNetSegmenter

images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
segmenter = UNetSegmenter(depth=1, base_filters=2, image_size=(16, 16), epochs=1)
segmenter.fit(images, images[..., 0] > 127).predict(images)
"""
# TensorFlow prints these while it is loaded, before it reads any setting.
UNAVOIDABLE = (
    "WARNING: All log messages before absl::InitializeLog() is called are written",
    "oneDNN custom operations are on.",
    "Could not find cuda drivers on your machine",
)


def run_without_level(code, **environment):
    kept = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.parametrize(
    "code",
    [
        "import skinest",
        pytest.param("import tensorflow, skinest", marks=pytest.mark.slow),
    ],
)
def test_notes_of_tensorflow_are_hidden_unless_it_came_first(code):
    expected = "None" if "tensorflow" in code else "3"
    assert run_without_level(f"{code}; {LEVEL}").stdout.split() == [expected]


def test_the_log_level_of_the_user_is_kept():
    run = run_without_level(f"import skinest; {LEVEL}", TF_CPP_MIN_LOG_LEVEL="0")
    assert run.stdout.split() == ["0"]


@pytest.mark.slow
def test_a_fit_prints_only_what_tensorflow_prints_before_any_setting():
    run = run_without_level(NETWORKS)
    assert run.stdout == ""
    for line in run.stderr.splitlines():
        assert any(map(line.__contains__, UNAVOIDABLE)), line
