"""Occlusion maps of Keras networks, and what they leave in the cache."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skinest import BottleneckFeatureExtractor, TransferClassifier
from skinest.inspection import OcclusionDisplay
from skinest.preprocessing import ColorConstancy

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (8, 24, 32, 3), dtype=np.uint8)
LABELS = np.tile(["benign", "malignant"], 4)
SMALL = {"weights": None, "image_size": (32, 32), "pooling": "avg", "random_state": 0}


@pytest.fixture(scope="module")
def memory(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def network(memory):
    network = TransferClassifier(
        "tiny", hidden_units=(), epochs=1, memory=memory, **SMALL
    )
    return make_pipeline(ColorConstancy(), network).fit(IMAGES, LABELS)


@pytest.fixture(scope="module")
def features(memory):
    extractor = BottleneckFeatureExtractor("tiny", memory=memory, **SMALL)
    return make_pipeline(extractor, LogisticRegression()).fit(IMAGES, LABELS)


def list_files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["network", "features"])
def test_maps_of_networks_are_those_of_one_prediction_for_each_patch(
    name, request, memory
):
    estimator, image = request.getfixturevalue(name), IMAGES[3]
    before = list_files(memory)
    display = OcclusionDisplay.from_estimator(
        estimator, [image], target="malignant", patch_size=8, stride=8
    )
    # Copies with a hidden patch are of no use later.
    assert before and list_files(memory) == before
    copies = []
    mean = np.rint(image.mean(axis=(0, 1)))
    places = [(top, left) for top in range(0, 24, 8) for left in range(0, 32, 8)]
    for top, left in places:
        copies.append(image.copy())
        copies[-1][top : top + 8, left : left + 8] = mean
    probabilities = estimator.predict_proba(np.stack([image, *copies]))[:, 1]
    expected = probabilities[0] - probabilities[1:].reshape(3, 4)
    assert np.ptp(expected) > 1e-5
    blocks = display.maps[0].reshape(3, 8, 4, 8)
    np.testing.assert_allclose(
        blocks,
        np.broadcast_to(expected[:, np.newaxis, :, np.newaxis], blocks.shape),
        atol=1e-6,
    )


class Segmenter(BaseEstimator):
    """Segmenter that gives each pixel the same probabilities, as UNetSegmenter."""

    def fit(self):
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X):
        return np.full((*X.shape[:3], 2), 0.5)


def test_segmenters_are_refused():
    with pytest.raises(ValueError, match=r"as segmenters do\. Pass a classifier"):
        OcclusionDisplay.from_estimator(Segmenter().fit(), IMAGES[:1])
