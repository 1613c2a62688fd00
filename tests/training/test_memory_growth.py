"""Fits do not pile up in memory."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import subprocess
import sys

import pytest

GROWTH = """
import gc, sys
import numpy as np, psutil
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid, StratifiedKFold
from skinest import TransferClassifier

images = np.random.default_rng(0).integers(0, 256, (60, 64, 64, 3), dtype=np.uint8)
y = np.arange(60) % 2
network = TransferClassifier(
    "mobilenetv2", weights=None, image_size=(64, 64), pooling="avg", epochs=2,
    trainable=sys.argv[1], random_state=0,
)
grids = {
    "head": {"hidden_units": [(), (64,)], "dropout": [0.2, 0.5]},
    "Conv_1": {"learning_rate": [1e-5, 1e-4, 1e-3, 1e-2]},
}
sizes = []
for setting in ParameterGrid(grids[sys.argv[1]]):
    for train, test in StratifiedKFold(5).split(images, y):
        fitted = clone(network).set_params(**setting).fit(images[train], y[train])
        fitted.score(images[test], y[test])
        gc.collect()
        sizes.append(psutil.Process().memory_info().rss / 1e6)
print(sizes[-1] - sizes[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize("trainable", ["head", "Conv_1"])
def test_twenty_fits_do_not_pile_up(trainable):
    run = subprocess.run(
        [sys.executable, "-c", GROWTH, trainable],
        check=True,
        capture_output=True,
        text=True,
    )
    assert float(run.stdout) <= 100  # MB


CLEARED = """
import numpy as np, psutil, skinest

images = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
network = skinest.VGGTransferClassifier(
    weights=None, image_size=(64, 64), hidden_units=(), trainable="all", epochs=1,
    random_state=0,
)
sizes = []
for _ in range(3):
    network.fit(images, np.arange(8) % 2)
    sizes.append(psutil.Process().memory_info().rss / 1e6)
    skinest.clear_models()
    sizes.append(psutil.Process().memory_info().rss / 1e6)
print(sizes[-2] - sizes[-1], sizes[-1] - sizes[1])
"""


@pytest.mark.slow
def test_cleared_models_go_back_to_the_system():
    run = subprocess.run(
        [sys.executable, "-c", CLEARED],
        env={**os.environ, "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    n_freed, n_grown = map(float, run.stdout.split())
    assert n_freed >= 3 * 59  # MB of weights, with the two numbers that Adam keeps
    assert n_grown <= 50
