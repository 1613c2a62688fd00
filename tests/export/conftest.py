"""Fitted estimators that the tests of exported files share."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest

from skinest import TransferClassifier, UNetSegmenter

from ..eager import without_graphs

SIDE = 32
needs_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="written by TensorFlow only"
)


@pytest.fixture(scope="session")
def images():
    """Make six images of noise, in the size of the networks."""
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (6, SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def fit_classifier(images):
    """Return a function that fits a small classifier on some labels."""

    def fit(labels, backbone="tiny", **settings):
        clf = TransferClassifier(
            backbone,
            weights=None,
            image_size=(SIDE, SIDE),
            hidden_units=(3,),
            dropout=0.5,
            l2=0.01,
            epochs=1,
            random_state=0,
        ).set_params(**settings)
        with without_graphs():
            return clf.fit(images, np.resize(labels, len(images)))

    return fit


@pytest.fixture(scope="session")
def fit_segmenter(images):
    """Return a function that fits a small segmenter on masks with some labels."""

    def fit(labels, **settings):
        generator = np.random.default_rng(1)
        masks = generator.choice(labels, images.shape[:3])
        segmenter = UNetSegmenter(
            depth=1,
            base_filters=2,
            image_size=(SIDE, SIDE),
            dropout=0.3,
            epochs=1,
            compute_dtype="float32",
            random_state=0,
        ).set_params(**settings)
        with without_graphs():
            return segmenter.fit(images, masks)

    return fit


@pytest.fixture(scope="session")
def classifier(fit_classifier):
    """Fit a classifier with two classes."""
    return fit_classifier(["benign", "malignant"])


@pytest.fixture(scope="session")
def segmenter(fit_segmenter):
    """Fit a segmenter with two labels."""
    return fit_segmenter(np.array([0, 255], dtype=np.uint8))
