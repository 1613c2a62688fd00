"""Images, labels and masks of all forms can be resampled, as estimators take them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler

from skinest.images import check_images, list_unreadable
from skinest.masks import check_masks
from skinest.sampling import ImageResampler, has_foreground

Y = np.array([0, 0, 0, 1])
MASKS = np.zeros((4, 8, 6), np.uint8)
MASKS[3, 2:4] = 255
IMAGES = np.arange(4 * 8 * 6, dtype=np.uint8).reshape(4, 8, 6)


class ArrowLike:
    """A column as Arrow has them: indexed by integers and slices alone."""

    def __init__(self, values):
        self.values = np.array(values)

    def __array__(self, dtype=None, copy=None):
        return self.values

    def __len__(self):
        return len(self.values)

    def __iter__(self):
        return iter(self.values)

    def __getitem__(self, index):
        if not isinstance(index, slice):
            return self.values[range(len(self))[index]]
        return ArrowLike(self.values[index])


COLUMNS = {
    "Index": pd.Index,
    "array": pd.array,
    "Series": lambda paths: pd.Series(paths, dtype="string"),
    "DataFrame": lambda paths: pd.DataFrame({"path": paths}),
    "Categorical": pd.Categorical,
    "Arrow": ArrowLike,
    "tuple": tuple,
}


def resample(X, y, **settings):
    resampler = ImageResampler(RandomOverSampler(random_state=0), **settings)
    return *resampler.fit_resample(X, y), resampler.sample_indices_


def write(folder, name, arrays):
    paths = [str(folder / f"{name}{i}.png") for i in range(len(arrays))]
    for path, array in zip(paths, arrays, strict=True):
        cv2.imwrite(path, array)
    return paths


def check_same(items, expected):
    for item, other in zip(items, expected, strict=True):
        np.testing.assert_array_equal(item, other)


@pytest.mark.parametrize("kind", COLUMNS)
def test_paths_of_images_and_masks(kind, tmp_path):
    form = COLUMNS[kind]
    paths, masks = write(tmp_path, "image", IMAGES), write(tmp_path, "mask", MASKS)
    X, y, chosen = resample(form(paths), form(masks), balance_by=has_foreground)
    assert np.bincount(Y[chosen]).tolist() == [3, 3]
    assert type(X) is type(y) is (np.ndarray if kind == "Arrow" else type(form(paths)))
    check_same(check_images(X), check_images(IMAGES[chosen]))
    check_same(check_masks(y), MASKS[chosen])
    assert list_unreadable(form(paths)) == []
    paths[2] = str(tmp_path / "nowhere.png")
    assert [bad.position for bad in list_unreadable(form(paths))] == [2]


@pytest.mark.parametrize("kind", COLUMNS)
def test_labels(kind):
    labels = np.array(["benign", "malignant"])[Y]
    X, y, chosen = resample(IMAGES, COLUMNS[kind](labels))
    check_same(X, IMAGES[chosen])
    assert np.ravel(np.asarray(y)).tolist() == labels[chosen].tolist()


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "UInt8", "category"])
def test_nullable_labels(dtype):
    y = pd.Series(Y == 1 if dtype == "boolean" else Y, index=list("abcd")).astype(dtype)
    _, resampled, chosen = resample(IMAGES, y)
    pd.testing.assert_series_equal(resampled, y.iloc[chosen])


def test_tensors():
    tensor = keras.ops.convert_to_tensor
    X, y, chosen = resample(tensor(IMAGES), tensor(MASKS), balance_by=has_foreground)
    np.testing.assert_array_equal(X, IMAGES[chosen])
    np.testing.assert_array_equal(y, MASKS[chosen])
    X, y, chosen = resample(list(map(tensor, IMAGES)), tensor(Y))
    check_same(check_images(X), check_images(IMAGES[chosen]))
    np.testing.assert_array_equal(y, Y[chosen])


def test_checked_images_and_masks():
    given = check_images(IMAGES), check_masks(MASKS)
    X, y, chosen = resample(*given, balance_by=has_foreground)
    check_same(X, check_images(IMAGES[chosen]))
    check_same(y, MASKS[chosen])
    assert list_unreadable(check_images(X)[:0]) == []
