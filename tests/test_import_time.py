"""Heavy libraries are loaded when they are used, not when skinest is imported."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import platform
import subprocess
import sys

import pytest

HEAVY = {
    "tensorflow",
    "keras",
    "jax",
    "torch",
    "openvino",
    "cv2",
    "matplotlib",
    "pandas",
    "pooch",
}
NETWORKS_ONLY = {"tensorflow", "keras", "jax", "torch", "openvino"}

# Steps of one program. Under each name, what it runs, and which libraries may be loaded
# by it.
STEPS = {
    "import": ("import skinest", set()),
    "scikit-learn": ("import sklearn.utils._param_validation", {"pandas"}),
    "displays": (
        "from skinest.inspection import GradCAMDisplay, OcclusionDisplay\n"
        "from skinest.inspection import TrainingHistoryDisplay, VisualWordsDisplay",
        set(),
    ),
    "data sets": (
        "import skinest.datasets as d\n"
        "d.make_dermoscopy, d.fetch_isic2016_part3, d.get_data_home",
        set(),
    ),
    "augmentation": (
        "import numpy as np\n"
        "augment = skinest.Augmentation(rotation=0, shift=0, horizontal_flip=False)\n"
        "augment(np.ones((2, 3, 3), np.uint8), np.random.default_rng(0))",
        set(),
    ),
    "documentation": (
        "for name in skinest.__all__: getattr(skinest, name).__doc__",
        {"pandas"},  # scikit-learn loads it where it can
    ),
    "visual words": (
        "images = np.random.default_rng(0).integers(0, 256, (4, 48, 48, 3), 'uint8')\n"
        "grid = skinest.SIFTDescriptor("
        "detector='grid', grid_step=16, grid_sizes=(16,))\n"
        "bovw = skinest.BoVWSIFTTransformer(3, descriptor=grid, random_state=0)\n"
        "vectors = bovw.fit_transform(images)\n"
        "assert vectors.shape == bovw.transform(images).shape == (4, 3)",
        HEAVY - NETWORKS_ONLY,
    ),
}


@pytest.fixture(scope="module")
def loaded():
    """Run the steps, and return which heavy libraries are loaded by each."""
    program = "import sys\n"
    for code, _ in STEPS.values():
        program += f"before = set(sys.modules)\n{code}\n"
        program += "print(*set(sys.modules) - before)\n"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    modules = run.stdout.splitlines()
    return {
        name: HEAVY & set(line.split())
        for name, line in zip(STEPS, modules, strict=True)
    }


@pytest.mark.parametrize("step", STEPS)
def test_heavy_libraries_are_not_loaded(step, loaded):
    assert loaded[step] <= STEPS[step][1]


VARIABLES = "TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"
ONEDNN = "1" if platform.machine() in ("x86_64", "AMD64") else "None"
SHOW = f"import os, skinest; print(*map(os.environ.get, {VARIABLES}))"
# Stands in for TensorFlow, which takes seconds to load.
LOADED = "import sys, types; sys.modules['tensorflow'] = types.ModuleType('tensorflow')"


def run_without_variables(code, **environment):
    kept = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.parametrize(
    ("environment", "code", "expected"),
    [
        ({}, SHOW, ["3", ONEDNN]),
        (dict.fromkeys(VARIABLES, "0"), SHOW, ["0", "0"]),
        ({}, f"{LOADED}; {SHOW}", ["None", "None"]),
        pytest.param(
            *({}, f"import tensorflow; {SHOW}", ["None", "None"]),
            marks=pytest.mark.slow,
        ),
    ],
    ids=["set", "set by the user", "TensorFlow came first", "it came indeed"],
)
def test_variables_of_tensorflow_are_set_unless_the_user_has_decided(
    environment, code, expected
):
    """Notes of TensorFlow are hidden, and oneDNN is asked for on x86-64."""
    assert run_without_variables(code, **environment).stdout.split() == expected


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


@pytest.mark.slow
def test_a_fit_prints_only_what_tensorflow_prints_before_any_setting():
    run = run_without_variables(NETWORKS)
    assert run.stdout == ""
    for line in run.stderr.splitlines():
        assert any(map(line.__contains__, UNAVOIDABLE)), line
