"""Colour constancy: shades of grey, and its use before estimators."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import cv2
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skinest import BoVWSIFTTransformer, ColorPatchDescriptor
from skinest.datasets import make_dermoscopy
from skinest.preprocessing import ColorConstancy
from tests.augmented import noise


def correct(image, p):
    """Return the image after the formula of the paper, in floating point."""
    light = np.mean(image.astype(float) ** p, axis=(0, 1)) ** (1 / p)
    gains = np.linalg.norm(light) / np.sqrt(3) / light
    return np.clip(image * gains, 0, 255)


@pytest.mark.parametrize("p", [1, 6, 20.5])
def test_channels_are_scaled_by_their_norms(p):
    image = (noise() * [1.0, 0.7, 0.4]).astype(np.uint8)
    (corrected,) = ColorConstancy(p=p).fit_transform(image[np.newaxis])
    assert np.abs(corrected - correct(image, p)).max() <= 0.51


def test_infinite_order_makes_the_largest_values_the_same():
    image = (noise() * [1.0, 0.7, 0.4]).astype(np.uint8)
    (corrected,) = ColorConstancy(p=float("inf")).transform(image[np.newaxis])
    light = image.max(axis=(0, 1)).astype(float)
    gains = np.sqrt(np.mean(light**2)) / light
    assert np.abs(corrected - np.clip(image * gains, 0, 255)).max() <= 0.51


def test_grey_world_agrees_with_opencv_up_to_brightness():
    image = np.clip(noise(60, 80) * 0.4 + [60, 40, 20], 0, 255).astype(np.uint8)
    (corrected,) = ColorConstancy(p=1).transform(image[np.newaxis])
    balance = cv2.xphoto.createGrayworldWB()
    balance.setSaturationThreshold(1)
    reference = balance.balanceWhite(image[..., ::-1].copy())[..., ::-1]
    ratio = corrected.mean(axis=(0, 1)) / reference.mean(axis=(0, 1))
    np.testing.assert_allclose(ratio, ratio[0], rtol=0.01)


def test_light_of_another_colour_makes_little_difference():
    image = np.clip(noise() * 0.5 + 20, 0, 255).astype(np.uint8)
    tinted = np.rint(image * [1.0, 0.8, 0.9]).astype(np.uint8)
    plain, other = ColorConstancy().transform(np.stack([image, tinted])).astype(float)
    brightness = plain.mean() / other.mean()
    assert np.abs(plain - brightness * other).max() < 3


@pytest.mark.parametrize("value", [0, 1, 200, 255])
@pytest.mark.parametrize("p", [1, 6, 500, float("inf")])
def test_grey_and_black_images_do_not_change(p, value):
    images = np.full((1, 4, 5, 3), value, dtype=np.uint8)
    images[0, 0, 0] = value // 2
    np.testing.assert_array_equal(ColorConstancy(p=p).transform(images), images)


def test_a_channel_without_light_stays_black():
    image = noise()
    image[..., 2] = 0
    (corrected,) = ColorConstancy().transform(image[np.newaxis])
    assert not corrected[..., 2].any() and corrected[..., :2].any()


def test_numeric_arrays_come_back_as_arrays_and_others_as_object_arrays():
    images = [noise(8, 9), noise(9, 8)]
    found = ColorConstancy().transform(images)
    assert found.dtype == object and [len(image) for image in found] == [8, 9]
    assert ColorConstancy().transform(np.stack([images[0]] * 2)).shape == (2, 8, 9, 3)


@pytest.mark.parametrize("p", [0.5, "6", float("nan")])
def test_bad_orders_are_refused_before_work(p):
    transformer = ColorConstancy(p=p)
    for method in (transformer.fit, transformer.transform):
        with pytest.raises(ValueError, match="'p' parameter of ColorConstancy"):
            method(noise()[np.newaxis])


def test_first_step_of_a_pipeline():
    X, y = make_dermoscopy(12, image_size=(48, 48), random_state=0, return_X_y=True)
    words = BoVWSIFTTransformer(
        4, descriptor=ColorPatchDescriptor(grid_step=12), random_state=0
    )
    for first in (ColorConstancy(), FrozenEstimator(ColorConstancy())):
        pipeline = make_pipeline(first, words, SVC()).set_output(transform="default")
        assert pipeline.fit(X, y).predict(X).shape == (12,)


def test_tables_of_a_pipeline_keep_the_index_of_the_images(tmp_path):
    pd = pytest.importorskip("pandas")
    paths = [str(tmp_path / f"{number}.png") for number in range(6)]
    for number, path in enumerate(paths):  # grey images, which do not change
        cv2.imwrite(path, np.full((48, 48, 3), 10 + 40 * number, np.uint8))
    table = pd.DataFrame({"path": paths, "number": range(6)}, index=[5, 3, 4, 1, 0, 2])
    descriptor = ColorPatchDescriptor(grid_step=16, sigmas=(1,))
    words = BoVWSIFTTransformer(6, descriptor=descriptor, random_state=0)
    expected = words.fit_transform(paths)
    for first in (ColorConstancy(), FrozenEstimator(ColorConstancy())):
        pipeline = make_pipeline(first, clone(words))
        for chosen in ("path", ["path"]):
            columns = ColumnTransformer(
                [("image", pipeline, chosen), ("n", "passthrough", ["number"])]
            ).set_output(transform="pandas")
            found = columns.fit_transform(table)
            assert found.index.equals(table.index)
            assert found.iloc[:, -1].tolist() == list(range(6))
            np.testing.assert_array_equal(found.to_numpy()[:, :6], expected)


def test_set_output_chooses_the_container_of_images():
    pd = pytest.importorskip("pandas")
    images = make_dermoscopy(3, image_size=(32, 40), random_state=0).images
    series = pd.Series(list(images), index=["c", "a", "b"])
    transformer = ColorConstancy()
    expected = transformer.fit_transform(images)
    assert isinstance(transformer.transform(series), np.ndarray)
    transformer.set_output(transform="pandas")
    assert transformer.set_output() is transformer  # None changes nothing
    found = clone(transformer).fit_transform(series)
    assert found.index.equals(series.index)
    np.testing.assert_array_equal(np.stack(list(found)), expected)
    for X in (images, list(images)):
        found = transformer.transform(X)
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(np.stack(list(found)), expected)
    with pytest.raises(ValueError, match="output config must be"):
        ColorConstancy().set_output(transform="frame").transform(series)
