"""scikit-learn's conventions, checked on every estimator."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings

import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from sklearn.cluster import KMeans
from sklearn.utils.estimator_checks import parametrize_with_checks

from skinest import (
    BottleneckFeatureExtractor,
    BoVWSIFTTransformer,
    ColorPatchDescriptor,
    SIFTDescriptor,
    TransferClassifier,
    UNetSegmenter,
    VGGTransferClassifier,
)
from skinest.augmentation import Augmentation
from skinest.preprocessing import ColorConstancy
from skinest.sampling import ImageResampler
from skinest.utils.estimator_checks import parametrize_with_image_checks

GRID = SIFTDescriptor(detector="grid", grid_step=16, grid_sizes=(16,))


def estimators():
    """Yield an instance of each public estimator, or more for settings that matter."""
    root = SIFTDescriptor(contrast_threshold=0.01, root=True)
    yield BoVWSIFTTransformer(6, descriptor=root)
    yield BoVWSIFTTransformer(4, descriptor=GRID, encoding="fisher")
    yield BoVWSIFTTransformer(
        4,
        descriptor=ColorPatchDescriptor(grid_step=12),
        clusterer=KMeans(n_init=1),
        max_descriptors=50,
    )
    yield ColorConstancy()
    yield ImageResampler(RandomOverSampler(random_state=0))
    yield ImageResampler(RandomUnderSampler(random_state=0))


def more_encodings():
    keypoints = SIFTDescriptor(contrast_threshold=0.01, root=False)
    yield BoVWSIFTTransformer(6, descriptor=keypoints, encoding="vlad", n_components=4)
    yield BoVWSIFTTransformer(4, descriptor=GRID, pyramid=(1, 2))
    for encoding in ("histogram", "soft", "tfidf", "vlad"):
        yield BoVWSIFTTransformer(4, descriptor=GRID, encoding=encoding)


NETWORK = {"weights": None, "image_size": (32, 32), "pooling": "avg"}
COPIES = {"augmentation": Augmentation(), "n_augmented_copies": 1}


def networks():
    """Yield estimators in float32 or less, where batches round differently."""
    yield BottleneckFeatureExtractor("mobilenetv2", **NETWORK)
    yield TransferClassifier("mobilenetv2", **NETWORK, trainable="Conv_1", epochs=1)
    yield VGGTransferClassifier(**NETWORK, hidden_units=(4,), epochs=2, **COPIES)
    yield UNetSegmenter(depth=2, base_filters=2, image_size=(16, 16), epochs=1)


def tiny_networks():
    """Yield the same with a backbone of few layers."""
    views = {"n_prediction_views": 2}
    yield BottleneckFeatureExtractor("tiny", **NETWORK, n_feature_views=2)
    several = {"trainable": "Conv_1", "hidden_units": (4,), **COPIES, **views}
    yield TransferClassifier("tiny", **NETWORK, **several, epochs=2)
    yield UNetSegmenter(depth=1, base_filters=2, image_size=(16, 16), epochs=1, **views)


with warnings.catch_warnings():
    # scikit-learn says that it leaves out what takes no tables.
    warnings.simplefilter("ignore")
    sklearn_checks = parametrize_with_checks(
        [*estimators(), *more_encodings(), *networks()]
    )


@sklearn_checks
def test_sklearn_checks(estimator, check):
    assert check(estimator) is None  # or it raises


@parametrize_with_image_checks(list(estimators()))
def test_image_checks(estimator, check):
    assert check(estimator) is None  # or it raises


@pytest.mark.slow
@parametrize_with_image_checks(list(more_encodings()))
def test_image_checks_of_more_encodings(estimator, check):
    assert check(estimator) is None  # or it raises


@parametrize_with_image_checks(list(tiny_networks()), atol=1e-5)
def test_image_checks_of_networks(estimator, check):
    if any(name in repr(check) for name in ("in_workers", "check_forms")):
        pytest.skip("the slow checks of real networks have workers and all forms")
    assert check(estimator) is None  # or it raises


@pytest.mark.slow
@parametrize_with_image_checks(list(networks()), atol=1e-5)
def test_image_checks_of_real_networks(estimator, check):
    assert check(estimator) is None  # or it raises
