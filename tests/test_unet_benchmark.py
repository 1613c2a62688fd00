"""The benchmarks of U-Nets: scores that are written, and results that are kept."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
import json
import sys

import cv2
import numpy as np
import pytest
from sklearn.utils import Bunch

from skinest import UNetSegmenter
from skinest.datasets import make_dermoscopy

pytest.importorskip("psutil")
pytest.importorskip("keras")


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

    def predict(self, X):
        shape = np.shape(X)[1:3] or (32, 32)
        return [np.full(shape, 255, np.uint8) for _ in X]

    def predict_proba(self, X):
        return np.ones((*np.shape(X)[:3], 2))

    for function in (fit, predict, predict_proba):
        monkeypatch.setattr(UNetSegmenter, function.__name__, function)
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


@pytest.fixture
def encoder_unet(lesions, fits, monkeypatch):
    module = importlib.import_module("encoder_unet")
    monkeypatch.setattr(module, "describe_machine", lambda **options: {"cores": 2})
    for name in ("N_TRAIN", "N_CHOICE", "N_TEST"):
        monkeypatch.setattr(module, name, 8)
    monkeypatch.setattr(module, "NUMBERS", (5, 10))
    return module


def test_a_trial_never_changes_the_results_of_other_settings(
    encoder_unet, fits, run, tmp_path
):
    results = "--results", tmp_path / "new"
    stored = tmp_path / "new" / "unet_lesion_choice.json"
    run("encoder_unet", "lesion", "--epochs", 2, *results)
    before = stored.read_text()
    for trial in (("--epochs", 1), ("--n-images", 9), ("--rate", 1), ("--views", 1)):
        with pytest.raises(SystemExit, match="choose --again or --results"):
            run("encoder_unet", "lesion", "--epochs", 2, *trial, *results)
    run("encoder_unet", "lesion", "--epochs", 2, *results)
    assert stored.read_text() == before
    assert len(fits) == 1
    run("encoder_unet", "lesion", "--epochs", 1, "--again", *results)
    assert len(json.loads(stored.read_text())["val_dice"]) == 1


def test_cells_of_few_masks_have_the_same_settings(encoder_unet, fits, run, tmp_path):
    results = "--results", tmp_path
    with pytest.raises(RuntimeError, match="stopped"):
        run_and_stop(encoder_unet, fits, run, "few", *results)
    assert len(fits) == 3
    with pytest.raises(SystemExit, match="other settings"):
        run("encoder_unet", "few", "--filters", 4, *results)
    run("encoder_unet", "few", *results)
    stored = json.loads((tmp_path / "unet_few.json").read_text())
    cells = [(cell["images"], cell["encoder"]) for cell in stored["cells"]]
    assert cells == [(n, name) for n in (5, 10) for name in ("mobilenetv2", None)]
    assert [segmenter.encoder for segmenter in fits[3:]] == ["mobilenetv2", None]


def run_and_stop(encoder_unet, fits, run, *arguments):
    """Stop a part in its third training."""
    measure = encoder_unet.measure_fit

    def stop(*args, **options):
        found = measure(*args, **options)
        if len(fits) == 3:
            raise RuntimeError("stopped")
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder_unet, "measure_fit", stop)
        run("encoder_unet", *arguments)


def test_each_part_has_its_own_options_and_none_is_no_encoder(
    encoder_unet, fits, run, tmp_path
):
    parts = "globules", "lesion", "pace", "few"
    run("encoder_unet", *parts, "--encoder", "none", "--results", tmp_path)
    assert {segmenter.encoder for segmenter in fits} == {None}
    assert [segmenter.image_size for segmenter in fits[:2]] == [(128, 128), (128, 160)]
    assert len(fits) == 5  # one of each part, and one for each number of masks
    for path in tmp_path.glob("unet_*.json"):
        assert json.loads(path.read_text())["settings"]["encoder"] is None
