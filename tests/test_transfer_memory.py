"""Bottleneck features are computed once: in a fit, and with memory in all fits."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from skinest import BottleneckFeatureExtractor, TransferClassifier
from skinest.augmentation import Augmentation
from skinest.feature_extraction import _features

NETWORK = {"weights": None, "image_size": (32, 32), "pooling": "avg"}
N_IMAGES = 12


def small(**settings):
    defaults = {"hidden_units": (), "epochs": 2, "batch_size": 4, "random_state": 0}
    return TransferClassifier("mobilenetv2", **{**NETWORK, **defaults, **settings})


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (N_IMAGES, 40, 48, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def y():
    return np.arange(N_IMAGES) % 2


@pytest.fixture
def paths(images, tmp_path):
    files = [str(tmp_path / f"{i}.png") for i in range(N_IMAGES)]
    for file, image in zip(files, images, strict=True):
        cv2.imwrite(file, image)
    return files


@pytest.fixture
def computed(monkeypatch):
    """The images that have gone through a network, in the form of their bytes."""
    seen = []
    compute = _features.FeatureStore._compute

    def counting(store, pixels):
        seen.extend(image.tobytes() for image in pixels)
        return compute(store, pixels)

    monkeypatch.setattr(_features.FeatureStore, "_compute", counting)
    return seen


class LoggedRotation:
    """An augmentation that writes a line each time it is called."""

    def __init__(self, log):
        self.log = log

    def __call__(self, image, random_state):
        with open(self.log, "a") as file:
            file.write("drawn\n")
        return Augmentation(rotation=90)(image, random_state)


def test_each_view_is_computed_once_in_a_fit(images, y, computed):
    small(epochs=5, augmentation=Augmentation(rotation=90), n_views=3).fit(images, y)
    assert len(computed) == len(set(computed)) == 4 * N_IMAGES


def test_without_augmentation_there_is_one_view(images, y, computed):
    small(n_views=3).fit(images, y)
    assert len(computed) == N_IMAGES


def test_held_out_images_have_no_copies(images, y, computed):
    small(validation_fraction=0.5, augmentation=Augmentation(), n_views=2).fit(
        images, y
    )
    assert len(computed) == 6 * 3 + 6


@pytest.mark.parametrize("form", ["arrays", "paths"])
def test_a_search_over_heads_computes_each_view_exactly_once(
    images, paths, y, computed, form, tmp_path
):
    X = images if form == "arrays" else paths
    network = small(
        augmentation=Augmentation(rotation=90), n_views=2, memory=tmp_path / "memory"
    )
    grid = {"learning_rate": [1e-3, 1e-2], "hidden_units": [(), (4,)]}
    search = GridSearchCV(network, grid, cv=3, return_train_score=True).fit(X, y)
    search.predict(X)
    assert len(computed) == len(set(computed)) == 3 * N_IMAGES


def test_workers_compute_each_view_at_most_once_each(paths, y, tmp_path):
    log = tmp_path / "log"
    network = small(
        augmentation=LoggedRotation(str(log)), n_views=1, memory=tmp_path / "memory"
    )
    grid = {"learning_rate": [1e-3, 1e-2]}
    GridSearchCV(network, grid, cv=2, n_jobs=2).fit(paths, y)
    n_drawn = len(log.read_text().splitlines())
    assert N_IMAGES <= n_drawn <= 2 * N_IMAGES


def test_kept_features_give_the_same_bits(images, y, tmp_path):
    settings = {"augmentation": Augmentation(), "n_views": 1}
    plain = small(**settings).fit(images, y).predict_proba(images)
    kept = small(**settings, memory=tmp_path)
    for _ in range(2):
        np.testing.assert_array_equal(kept.fit(images, y).predict_proba(images), plain)


def test_a_replaced_file_is_computed_anew(paths, images, computed, tmp_path):
    features = BottleneckFeatureExtractor(
        "mobilenetv2", **NETWORK, random_state=0, memory=tmp_path / "memory"
    ).fit(paths)
    before = features.transform(paths)
    cv2.imwrite(paths[3], 255 - images[3])
    os.utime(paths[3], ns=(1, 1))
    after = features.transform(paths)
    assert len(computed) == N_IMAGES + 1
    changed = (before != after).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(changed), [3])


@pytest.mark.parametrize(
    "setting",
    [
        {"pooling": "max"},
        {"image_size": (32, 48)},
        {"compute_dtype": "bfloat16"},
        {"random_state": 1},
    ],
)
def test_other_settings_have_features_of_their_own(images, computed, setting, tmp_path):
    settings = {**NETWORK, "random_state": 0, "memory": tmp_path}
    for chosen in (settings, settings | setting):
        BottleneckFeatureExtractor("mobilenetv2", **chosen).fit_transform(images)
    assert len(computed) == 2 * N_IMAGES


@pytest.mark.parametrize(
    "setting",
    [{"augmentation": Augmentation(rotation=91)}, {"random_state": 1}],
)
def test_other_views_are_drawn_anew(images, y, computed, setting, tmp_path):
    file = tmp_path / "backbone.weights.h5"
    small().fit(images, y).save_backbone(file)
    computed.clear()
    settings = {
        "weights": file,
        "augmentation": Augmentation(rotation=90),
        "n_views": 1,
        "memory": tmp_path / "memory",
    }
    small(**settings).fit(images, y)
    small(**settings | setting).fit(images, y)
    assert len(computed) == 3 * N_IMAGES  # the images themselves stay


def test_views_belong_to_the_image_and_not_to_its_place(images, y, computed):
    network = small(augmentation=Augmentation(rotation=90), n_views=2)
    network.fit(images, y)
    in_order = set(computed)
    computed.clear()
    network.fit(images[::-1], y)
    assert set(computed) == in_order


def test_what_was_computed_before_a_broken_file_is_kept(paths, y, computed, tmp_path):
    network = small(memory=tmp_path / "memory", batch_size=2)
    content = Path(paths[-1]).read_bytes()
    Path(paths[-1]).write_text("This is not an image.")
    with pytest.raises(ValueError, match=r"11\.png"):
        network.fit(paths, y)
    n_before = len(computed)
    assert n_before > 0
    Path(paths[-1]).write_bytes(content)
    network.fit(paths, y)
    assert len(computed) == N_IMAGES


def test_many_features_go_into_a_file(images, y, monkeypatch):
    settings = {"augmentation": Augmentation(), "n_views": 2, "random_state": 0}
    expected = small(**settings).fit(images, y).predict_proba(images)
    monkeypatch.setattr(_features, "_MAX_IN_MEMORY", 0)
    shape = (N_IMAGES, 1, 2)
    with _features.gathered(iter([np.ones(shape)]), shape) as features:
        assert isinstance(features, np.memmap)
        np.testing.assert_array_equal(features, 1)
    found = small(**settings).fit(images, y).predict_proba(images)
    np.testing.assert_array_equal(found, expected)


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
