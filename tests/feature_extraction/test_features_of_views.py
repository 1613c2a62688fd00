"""Features of the views of an image are computed once, too."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest

from skinest import BottleneckFeatureExtractor

from ..classification.conftest import make_images, small
from ..turns import BY_NUMBER

N_IMAGES = 12
Y = np.arange(N_IMAGES) % 2


def test_each_view_passes_once_for_all_heads(tmp_path, n_computed):
    images = make_images(N_IMAGES)
    settings = {"epochs": 1, "memory": tmp_path, "batch_size": 5}
    clf = small(**settings).fit(images, Y)
    clf.predict_proba(images)
    assert n_computed() == N_IMAGES
    found = {}
    for n_views in (2, 4, 8):  # each has the views of the one before
        clf.set_params(n_prediction_views=n_views)
        found[n_views] = clf.predict_proba(images)
        assert n_computed() == n_views / 2 * N_IMAGES
    for n_views, expected in found.items():
        clf.set_params(n_prediction_views=n_views)
        np.testing.assert_array_equal(clf.predict_proba(images), expected)
    other = small(**settings, hidden_units=(4,), n_prediction_views=8).fit(images, Y)
    other.predict_proba(images)
    assert n_computed() == 0


def test_one_view_has_the_key_of_the_image(tmp_path, n_computed):
    images = make_images(N_IMAGES)
    clf = small(epochs=1, memory=tmp_path, n_prediction_views=8).fit(images, Y)
    n_computed()
    clf.predict_proba(images)
    assert n_computed() == 7 * N_IMAGES  # `fit` has computed the images themselves
    clf.predict_proba([np.fliplr(image) for image in images])
    assert n_computed() == 8 * N_IMAGES  # these are other images
    clf.set_params(memory=None).predict_proba(images)
    assert n_computed() == 8 * N_IMAGES


@pytest.mark.parametrize("n_views", [2, 8])
def test_extracted_features_are_means_over_the_views(n_views):
    images = make_images(5)
    extractor = BottleneckFeatureExtractor(
        "tiny", weights=None, image_size=(32, 32), random_state=0
    ).fit(images)
    views = [
        extractor.transform([turn(image) for image in images])
        for turn in BY_NUMBER[n_views]
    ]
    features = extractor.set_params(n_feature_views=n_views).transform(images)
    np.testing.assert_allclose(features, np.mean(views, axis=0), atol=1e-5)


def test_a_wrong_number_of_views_is_refused_at_transform_too():
    images = make_images(2)
    settings = {"weights": None, "image_size": (32, 32)}
    extractor = BottleneckFeatureExtractor("tiny", **settings).fit(images)
    with pytest.raises(ValueError, match="n_feature_views"):
        extractor.set_params(n_feature_views=3).transform(images)
    with pytest.raises(ValueError, match="batch_size"):
        extractor.set_params(n_feature_views=1, batch_size=0).transform(images)
