"""Relative paths are those of the folder in which they were passed."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pickle

import joblib
import numpy as np
import pytest
from PIL import Image

from skinest.images import check_images, list_unreadable
from skinest.masks import check_masks, read_mask


@pytest.fixture
def folders(tmp_path):
    """Write two files of the same names into each of two folders."""
    for folder, value in (("first", 1), ("second", 0)):
        (tmp_path / folder).mkdir()
        for name in ("0.png", "1.png"):
            pixels = np.full((4, 4), value, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / folder / name)
    return tmp_path / "first", tmp_path / "second"


@pytest.mark.parametrize("check", [check_images, check_masks])
def test_a_collection_reads_its_files_from_any_folder(check, folders, monkeypatch):
    first, second = folders
    monkeypatch.chdir(first)
    collection = check(["0.png", "1.png"])
    key = collection.key(1)
    monkeypatch.chdir(second)
    again = check(collection)
    copied = pickle.loads(pickle.dumps(collection))
    for each in (collection, again, copied, collection.select([1, 0])):
        assert each[0].max() == 1
        assert each[1].max() == 1
    assert key == again.key(1) == copied.key(1) == collection.select([1]).key(0)
    assert key[0] == str(first / "1.png")
    # Errors name a file as it was passed.
    (first / "1.png").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"\[1\]: '1\.png' "):
        collection[1]


@pytest.mark.parametrize("options", [{}, {"read": read_mask}])
def test_damaged_files_are_those_of_the_folder_of_the_caller(
    options, folders, monkeypatch
):
    first, second = folders
    (second / "1.png").write_bytes(b"damaged")
    found = []
    with joblib.parallel_config("loky"):
        for folder in (first, second):
            monkeypatch.chdir(folder)
            found.append(list_unreadable(["0.png", "1.png"], n_jobs=2, **options))
    assert found[0] == []
    assert [(each.position, each.path) for each in found[1]] == [(1, "1.png")]
