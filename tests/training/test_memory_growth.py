"""Fits do not pile up in memory."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

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
