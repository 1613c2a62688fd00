"""BottleneckFeatureExtractor: features, names, output, memory and pickles."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pickle

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import FeatureUnion

from skinest import BottleneckFeatureExtractor

from ..classification.conftest import make_images


@pytest.fixture(scope="module")
def images():
    return make_images(5)


def extractor(backbone="tiny", **settings):
    settings = {
        "weights": None,
        "image_size": (32, 32),
        "pooling": "avg",
        "random_state": 0,
        **settings,
    }
    return BottleneckFeatureExtractor(backbone, **settings)


# Rows and columns of feature maps are a 32nd of the image's, rounded up for the
# padded convolutions of MobileNetV2 and down for the pooling of VGG.
@pytest.mark.parametrize(
    ("backbone", "image_size", "pooling", "length"),
    [
        ("vgg16", (224, 224), "flatten", 49 * 512),
        pytest.param("vgg16", (224, 224), "avg", 512, marks=pytest.mark.slow),
        pytest.param("vgg19", (70, 96), "flatten", 2 * 3 * 512, marks=pytest.mark.slow),
        pytest.param("vgg19", (70, 96), "max", 512, marks=pytest.mark.slow),
        pytest.param(
            *("mobilenetv2", (224, 224), "flatten", 49 * 1280), marks=pytest.mark.slow
        ),
        pytest.param(
            *("mobilenetv2", (70, 96), "flatten", 3 * 3 * 1280), marks=pytest.mark.slow
        ),
        pytest.param("mobilenetv2", (70, 96), "avg", 1280, marks=pytest.mark.slow),
    ],
)
def test_lengths(backbone, image_size, pooling, length, images):
    fitted = extractor(backbone, image_size=image_size, pooling=pooling).fit(images)
    assert fitted.n_features_out_ == length


def test_features_are_those_of_keras_applications(images):
    network = keras.applications.VGG16(
        include_top=False, weights=None, input_shape=(64, 96, 3)
    )
    settings = {"pooling": "flatten", "compute_dtype": "float32"}
    features = extractor("vgg16", image_size=(64, 96), **settings)
    settings = {"image_size": (64, 96), "pooling": "flatten"}
    features = extractor("vgg16", compute_dtype="float32", **settings)
    network.set_weights(features.fit(images)._weights.arrays)
    preprocess = keras.applications.vgg16.preprocess_input
    maps = network(preprocess(enlarge(images).astype(float)), training=False)
    flat = keras.ops.convert_to_numpy(maps).reshape(5, -1)
    found = features.transform(enlarge(images))
    np.testing.assert_allclose(found, flat, rtol=0, atol=1e-5 * flat.max())


def enlarge(images):
    """Enlarge images to 64 x 96 pixels, so that there are maps of 2 x 3 pixels."""
    return np.kron(images, np.ones((1, 2, 3, 1), dtype=np.uint8))


def test_features_are_pooled_as_fitted(images):
    X = enlarge(images)
    features = extractor(image_size=(64, 96), pooling="flatten").fit(X)
    flat = features.transform(X)
    features.set_params(pooling="avg")
    np.testing.assert_array_equal(features.transform(X), flat)
    pooled = flat.reshape(5, 6, 1280)
    average = features.fit_transform(X)
    np.testing.assert_allclose(average, pooled.mean(axis=1), atol=1e-4)
    largest = features.set_params(pooling="max").fit_transform(X)
    np.testing.assert_allclose(largest, pooled.max(axis=1), atol=1e-4)


def test_names_and_output(images):
    fitted = extractor().fit(images)
    names = fitted.get_feature_names_out()
    assert names.dtype == object
    assert names.tolist() == [f"tiny_{i}" for i in range(1280)]
    features = fitted.transform(images)
    assert features.shape == (5, 1280)
    assert features.dtype == np.float32
    frame = fitted.set_output(transform="pandas").transform(images)
    assert list(frame.columns) == list(names)
    np.testing.assert_array_equal(frame.to_numpy(), features)
    union = FeatureUnion([("a", extractor()), ("b", extractor(pooling="max"))])
    union = union.set_output(transform="pandas").fit(images)
    joined = union.transform(images)
    assert list(joined.columns[[0, -1]]) == ["a__tiny_0", "b__tiny_1279"]


def test_a_frame_of_features_has_the_index_of_the_paths(images, tmp_path):
    import cv2

    names = [str(tmp_path / f"{i}.png") for i in range(5)]
    for name, image in zip(names, images, strict=True):
        cv2.imwrite(name, image[..., ::-1])
    series = pd.Series(names, index=[9, 8, 7, 6, 5])
    frame = extractor().set_output(transform="pandas").fit_transform(series)
    assert frame.index.equals(series.index)
    expected = extractor().fit_transform(images)
    np.testing.assert_allclose(frame.to_numpy(), expected, atol=1e-6)


def test_batches_and_order_do_not_matter(images):
    whole = extractor().fit_transform(images)
    few = extractor(batch_size=2).fit_transform(images)
    np.testing.assert_allclose(few, whole, atol=1e-5)
    backwards = extractor().fit_transform(images[::-1])
    np.testing.assert_allclose(backwards, whole[::-1], atol=1e-5)
    assert len(np.unique(whole.round(4), axis=0)) == 5


def test_fit_learns_nothing_from_images(images):
    fitted = extractor().fit(images[:1])
    other = extractor().fit(make_images(3, seed=1), [1, 0, 1])
    np.testing.assert_array_equal(fitted.transform(images), other.transform(images))


def test_random_state_draws_the_weights(images):
    one, same, other = (
        extractor(random_state=seed).fit_transform(images) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other, atol=0.1)
    generator = np.random.RandomState(0)
    drawn = [extractor(random_state=generator).fit_transform(images) for _ in "ab"]
    np.testing.assert_array_equal(drawn[0], one)
    assert not np.allclose(*drawn, atol=0.1)


def test_pickle_holds_the_weights_and_no_more(images):
    fitted = extractor("mobilenetv2")
    assert len(pickle.dumps(fitted)) < 2_000
    fitted.fit(images)
    before = fitted.transform(images)
    content = pickle.dumps(fitted)
    # 2,257,984 parameters as in Keras' documentation, without the classifier.
    assert len(content) == pytest.approx(4 * 2_257_984, rel=0.01)
    np.testing.assert_array_equal(pickle.loads(content).transform(images), before)
    assert not hasattr(clone(fitted), "n_features_out_")


def test_a_pickle_of_vgg16_is_as_large_as_documented(images):
    content = pickle.dumps(extractor("vgg16", pooling="flatten").fit(images))
    assert 58.5e6 < len(content) < 59.5e6


def test_memory_is_read_by_another_extractor(images, tmp_path, n_computed):
    kept = extractor(memory=tmp_path / "kept").fit_transform(images)
    assert n_computed() == len(images)
    again = extractor(memory=str(tmp_path / "kept"), batch_size=3)
    np.testing.assert_array_equal(again.fit_transform(images), kept)
    assert n_computed() == 0


def test_what_is_not_fitted_or_wrong_is_named(images, tmp_path):
    with pytest.raises(NotFittedError):
        extractor().transform(images)
    with pytest.raises(NotFittedError):
        extractor().get_feature_names_out()
    with pytest.raises(ValueError, match=r"image_size=\(31, 32\).*32 pixels"):
        extractor(image_size=(31, 32)).fit(images)
    with pytest.raises(ValueError, match="'backbone' parameter"):
        extractor("resnet18").fit(images)
    with pytest.raises(ValueError, match="5 images, but y has 4"):
        extractor().fit(images, [0, 1, 0, 1])
    with pytest.raises(FileNotFoundError, match=r"weights=.*no file"):
        extractor(weights=tmp_path / "none.h5").fit(images)


def test_a_fit_that_fails_leaves_the_state_of_the_one_before(images):
    fitted = extractor().fit(images)
    expected = fitted.transform(images)
    fitted.set_params(image_size=(64, 64), pooling="flatten", weights="missing.h5")
    with pytest.raises(FileNotFoundError, match=r"missing\.h5"):
        fitted.fit(images)
    np.testing.assert_array_equal(fitted.transform(images), expected)
    assert len(fitted.get_feature_names_out()) == expected.shape[1]
