"""What an earlier version has kept in a memory is not used."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import subprocess
import sys

import numpy as np
import pytest

from skinest import BottleneckFeatureExtractor, BoVWSIFTTransformer

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)


def extract(kind, folder):
    """Compute features of images, and keep them in a folder of each kind."""
    settings = {"memory": folder / kind, "random_state": 0}
    if kind == "words":
        BoVWSIFTTransformer(4, **settings).fit_transform(IMAGES)
    else:
        BottleneckFeatureExtractor(
            "mobilenetv2", weights=None, image_size=(32, 32), pooling="avg", **settings
        ).fit_transform(IMAGES)


AS_ANOTHER_VERSION = """
import sys
from importlib import metadata
from pathlib import Path

known = metadata.version
metadata.version = lambda name: "0.0.1" if name == "skinest" else known(name)
sys.path.insert(0, sys.argv[1])

import skinest
from tests.test_versions import extract

assert skinest.__version__ == "0.0.1"
for kind in ("words", "bottleneck"):
    extract(kind, Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, request):
    """Make a folder in which another version has kept what it computed."""
    folder = tmp_path_factory.mktemp("memory")
    arguments = [sys.executable, "-c", AS_ANOTHER_VERSION, request.config.rootpath]
    subprocess.run([*arguments, folder], check=True)
    return folder


@pytest.mark.parametrize("kind", ["words", "bottleneck"])
def test_another_version_computes_anew(kind, folder):
    def count_files():
        return sum(path.is_file() for path in (folder / kind).rglob("*.pkl"))

    n_kept = count_files()
    assert n_kept >= len(IMAGES)
    extract(kind, folder)
    assert count_files() == 2 * n_kept
    extract(kind, folder)
    assert count_files() == 2 * n_kept
