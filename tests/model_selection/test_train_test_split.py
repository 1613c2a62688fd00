"""Images of all forms are split together with their labels, and keep their types."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skinest.images import ImageCollection, check_images
from skinest.masks import MaskCollection, check_masks
from skinest.model_selection import train_test_split

N_IMAGES = 12
IMAGES = np.arange(N_IMAGES, dtype=np.uint8).repeat(30).reshape(N_IMAGES, 5, 6)
MASKS = (IMAGES % 2).astype(np.uint8)
Y = np.arange(N_IMAGES) % 2
GROUPS = np.arange(N_IMAGES) // 4
PATHS = [f"image{number}.png" for number in range(N_IMAGES)]


def split(*arrays, **settings):
    return train_test_split(*arrays, random_state=0, **settings)


def make_objects():
    objects = np.empty(N_IMAGES, dtype=object)
    objects[:] = list(IMAGES)
    return objects


FORMS = {
    "array": IMAGES,
    "list of arrays": list(IMAGES),
    "tuple of arrays": tuple(IMAGES),
    "object array": make_objects(),
    "list of paths": PATHS,
    "array of paths": np.array(PATHS),
    "Series": pd.Series(PATHS, index=np.arange(N_IMAGES)[::-1]),
    "DataFrame": pd.DataFrame({"path": PATHS, "age": range(N_IMAGES)}),
    "range": range(N_IMAGES),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_split_and_keeps_its_type(form):
    X = FORMS[form]
    train, test, numbers, tested = split(X, np.arange(N_IMAGES), groups=GROUPS)
    assert type(train) is type(test) is (list if form == "range" else type(X))
    assert (len(train), len(test)) == (8, 4)
    assert len(set(GROUPS[tested])) == 1
    for part, positions in ((train, numbers), (test, tested)):
        rows = getattr(part, "iloc", part)
        whole = getattr(X, "iloc", X)
        for row, position in enumerate(positions):
            assert_array_equal(rows[row], whole[position])


def test_checked_images_and_masks_stay_collections():
    images, masks = check_images(IMAGES), check_masks(MASKS, ignore_label=1)
    X_train, X_test, y_train, _, numbers, _ = split(images, masks, range(N_IMAGES))
    assert isinstance(X_train, ImageCollection)
    assert isinstance(y_train, MaskCollection)
    assert y_train.ignore_label == 1
    assert (len(X_train), len(X_test)) == (9, 3)
    for row, position in enumerate(numbers):
        assert_array_equal(X_train[row], images[position])
        assert_array_equal(y_train[row], masks[position])


def test_files_of_checked_images_are_named_and_not_read(tmp_path):
    paths = [tmp_path / name for name in PATHS]
    for path in paths:
        path.write_text("not an image")
    train, _ = split(check_images(paths))
    assert [train.key(i) for i in range(9)]
    with pytest.raises(ValueError, match=r"X\[0\]: .*image\d+\.png"):
        train[0]


def test_tensors_stay_tensors():
    torch = pytest.importorskip("torch")
    train, _, numbers, _ = split(torch.tensor(IMAGES), range(N_IMAGES))
    assert isinstance(train, torch.Tensor)
    assert_array_equal(train, IMAGES[numbers])


class ArrowTable:
    """A table as Arrow has them: rows are taken, and not indexed by an array."""

    def __init__(self, **columns):
        self.columns = {name: np.asarray(column) for name, column in columns.items()}

    def __len__(self):
        return N_IMAGES

    def __array__(self, dtype=None, copy=None):
        return np.column_stack([*self.columns.values()])

    def __getitem__(self, key):
        if not isinstance(key, str):
            raise TypeError("Index must be a string")
        return self.columns[key]

    def take(self, rows):
        return ArrowTable(**{k: column[rows] for k, column in self.columns.items()})


def test_tables_of_arrow_stay_tables():
    table = ArrowTable(age=np.arange(N_IMAGES), site=["back"] * N_IMAGES)
    train, test, numbers, _ = split(table, range(N_IMAGES))
    assert type(train) is type(test) is ArrowTable
    assert train["age"].tolist() == list(numbers)


def test_real_tables_of_arrow_stay_tables():
    arrow = pytest.importorskip("pyarrow")
    column = [f"{number}.png" for number in range(N_IMAGES)]
    for items in (
        arrow.table({"path": column}),
        arrow.array(column),
        arrow.chunked_array([column[:3], column[3:]]),
    ):
        train, test, numbers, _ = split(items, range(N_IMAGES))
        assert type(train) is type(test) is type(items)
        assert train.equals(items.take(list(numbers)))


def test_classes_are_stratified_without_groups():
    y = np.repeat(["benign", "malignant"], [9, 3])
    _, _, _, tested = split(IMAGES, y, stratify=y, test_size=4)
    assert tested.tolist() == ["benign"] * 3 + ["malignant"]
    masks = np.where(Y[:, np.newaxis, np.newaxis] * (IMAGES > 5), 255, 0)
    masks = masks.astype(np.uint8)
    _, test = split(masks, stratify=masks, test_size=4)
    assert test.any(axis=(1, 2)).sum() == 1


def test_sizes_are_scikit_learn_s():
    from sklearn.model_selection import train_test_split as plain

    for sizes in ({}, {"test_size": 0.3}, {"train_size": 0.3, "test_size": 2}):
        ours, theirs = split(IMAGES, **sizes), plain(IMAGES, **sizes)
        assert list(map(len, ours)) == list(map(len, theirs))
    train, test = split(range(N_IMAGES))
    assert train == sorted(train)
    assert test == sorted(test)


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="at least one array"):
        train_test_split()
    with pytest.raises(ValueError, match=r"arrays\[1\] has 3 entries"):
        train_test_split(IMAGES, Y[:3])
    with pytest.raises(ValueError, match="stratify has 3 entries"):
        train_test_split(IMAGES, stratify=Y[:3])
    for wrong in ({"a": IMAGES}, (image for image in IMAGES), set(Y), np.float64(1)):
        with pytest.raises(TypeError, match=r"arrays\[1\] is of type"):
            train_test_split(IMAGES, wrong)
    with pytest.raises(ValueError, match="stratify has numbers"):
        train_test_split(IMAGES, stratify=Y / 3)
    with pytest.raises(ValueError, match="stratify has paths"):
        train_test_split(IMAGES, stratify=[__file__] * N_IMAGES)


def test_the_parts_of_none_are_none():
    train, test, *labels = split(IMAGES, None)
    assert len(train) + len(test) == N_IMAGES and labels == [None, None]
    with pytest.raises(ValueError, match="at least one array"):
        split(None)
