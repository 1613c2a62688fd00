"""The benchmarks of U-Nets: scores that are written, and results that are kept."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.utils import Bunch

from skinest import UNetSegmenter
from skinest.datasets import make_dermoscopy

pytest.importorskip("psutil")
pytest.importorskip("keras")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))


@pytest.fixture
def lesions(tmp_path, monkeypatch):
    """Stand in for the archives: small images with masks, of a lesion each."""
    images, masks = make_dermoscopy(
        80, task="lesion", image_size=(32, 32), random_state=0, return_X_y=True
    )
    paths, mask_paths = [], []
    for number, pair in enumerate(zip(images, masks, strict=True)):
        for kind, array in zip(("image", "mask"), pair, strict=True):
            path = tmp_path / f"{kind}-{number}.png"
            cv2.imwrite(str(path), array)
            (paths if kind == "image" else mask_paths).append(str(path))
    data = Bunch(
        paths=np.array(paths), mask_paths=np.array(mask_paths), groups=np.arange(80)
    )
    monkeypatch.setattr(
        "skinest.datasets.fetch_ham10000_masks", lambda *args, **kwargs: data
    )
    for name in ("_lesions", "accuracy_unet", "encoder_unet"):
        monkeypatch.delitem(sys.modules, name, raising=False)  # imports it again
    return data


@pytest.fixture
def run(monkeypatch):
    def call(script, *arguments):
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        importlib.import_module(script).main()

    return call


@pytest.fixture
def fits(monkeypatch):
    """Segmenters find every pixel without training; return the list of those fitted."""
    fitted = []

    def fit(self, X, y, **validation):
        fitted.append(self)
        self.history_ = {"val_dice": [0.5] * self.epochs}
        return self

    monkeypatch.setattr(UNetSegmenter, "fit", fit)
    monkeypatch.setattr(
        UNetSegmenter,
        "predict",
        lambda self, X: [np.full((32, 32), 255, np.uint8) for _ in X],
    )
    return fitted


def test_scores_of_lesions_are_written_and_a_stopped_training_continues(
    lesions, run, fits, tmp_path
):
    scores, state = tmp_path / "scores.json", tmp_path / "state"
    run("accuracy_unet", "lesion", "--scores", scores, "--state", state)
    (found,) = json.loads(scores.read_text()).values()
    assert set(found) == {"Dice", "IoU", "below .7"}
    for value, low, high in found.values():
        assert 0 <= low <= value <= high <= 1
    (segmenter,) = fits
    assert segmenter.checkpoint == state / "lesion"
