"""What is computed of an image does not depend on the images beside it.

`test_older_processor.py` runs this file again as on a processor without AVX512, where
TensorFlow uses operations of its own.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest

from skinest import BottleneckFeatureExtractor, TransferClassifier, UNetSegmenter
from tests.segmentation.conftest import no_training  # noqa: F401 -- a fixture

N_IMAGES = 11
Y = np.arange(N_IMAGES) % 2
SMALL = {"weights": None, "image_size": (32, 32), "pooling": "avg", "random_state": 0}


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (N_IMAGES, 32, 32, 3), dtype=np.uint8)


def in_other_company(method, images):
    """Yield outputs of all images: in another order, one by one, without the first."""
    order = np.random.default_rng(1).permutation(len(images))
    yield method(images[order])[np.argsort(order)]
    yield np.concatenate([method(images[i : i + 1]) for i in range(len(images))])
    yield np.concatenate([method(images[:1]), method(images[1:])])


@pytest.mark.parametrize(
    ("backbone", "compute_dtype"),
    [
        ("mobilenetv2", "float32"),
        # Which "auto" never chooses.
        pytest.param("mobilenetv2", "bfloat16", marks=pytest.mark.slow),
        pytest.param("vgg16", "float32", marks=pytest.mark.slow),
        pytest.param("vgg16", "bfloat16", marks=pytest.mark.slow),
    ],
)
def test_features_are_the_same_in_any_company(backbone, compute_dtype, images):
    features = BottleneckFeatureExtractor(
        backbone, batch_size=8, compute_dtype=compute_dtype, **SMALL
    ).fit(images)
    expected = features.transform(images)
    for others in in_other_company(features.transform, images):
        np.testing.assert_array_equal(others, expected)
    for batch_size in (1, 5, 32):
        others = features.set_params(batch_size=batch_size).transform(images)
        np.testing.assert_array_equal(others, expected)


@pytest.mark.parametrize("labels", [2, 3])
def test_probabilities_are_nearly_the_same_in_any_company(labels, images):
    clf = TransferClassifier("tiny", epochs=2, batch_size=8, **SMALL)
    clf.fit(images, np.arange(N_IMAGES) % labels)
    expected = clf.predict_proba(images)
    for others in in_other_company(clf.predict_proba, images):
        np.testing.assert_allclose(others, expected, rtol=0, atol=1e-6)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("compute_dtype", ["float32", "bfloat16"])
def test_masks_are_the_same_in_any_company(compute_dtype, images):
    masks = (images.mean(axis=3) > 127).astype(np.uint8)
    segmenter = UNetSegmenter(
        depth=1,
        base_filters=4,
        image_size=(32, 32),
        epochs=1,
        batch_size=8,
        compute_dtype=compute_dtype,
        random_state=0,
    ).fit(images, masks)
    expected = segmenter.predict_proba(images)
    for others in in_other_company(segmenter.predict_proba, images):
        np.testing.assert_array_equal(others, expected)


def test_a_fit_that_goes_on_from_kept_features_gives_the_same_bits(images, tmp_path):
    def fitted(memory):
        clf = TransferClassifier("tiny", epochs=2, memory=memory, **SMALL)
        return clf.fit(images, Y).model_.get_weights()

    whole = fitted(None)
    for n_kept in (1, 4, 10):  # as an interrupted fit leaves them
        memory = tmp_path / str(n_kept)
        extractor = BottleneckFeatureExtractor("tiny", memory=memory, **SMALL)
        extractor.fit_transform(images[:n_kept])
        for weights, others in zip(whole, fitted(memory), strict=True):
            np.testing.assert_array_equal(others, weights)
