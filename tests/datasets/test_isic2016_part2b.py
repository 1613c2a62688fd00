# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from skinest.datasets import fetch_isic2016_part2b
from skinest.images import check_images
from skinest.masks import check_masks

from .isic2016_part2b_archives import (
    FEATURES,
    FILES,
    NAMES,
    TEST,
    TRAIN,
    make_home,
    write_images,
    write_masks,
)


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path)


def fetch(home, feature="globules", **options):
    return fetch_isic2016_part2b(
        feature, data_home=home, download_if_missing=False, **options
    )


def get_error(home, **options):
    with pytest.raises(ValueError) as error:
        fetch(home, **options)
    return str(error.value)


@pytest.mark.parametrize("feature", FEATURES)
def test_each_image_has_its_mask_of_the_feature(home, feature):
    data = fetch(home, feature)
    assert [Path(path).stem for path in data.paths] == sorted(NAMES[TRAIN])
    assert data.feature == feature
    assert data.target_names == ["background", feature]
    for array in (data.paths, data.mask_paths):
        assert array.shape == (3,)
        assert array.dtype == object
        assert all(type(path) is str and os.path.isabs(path) for path in array)
    for path, mask_path in zip(data.paths, data.mask_paths, strict=True):
        assert Path(mask_path).name == f"{Path(path).stem}_{feature}.png"
        mask = cv2.imread(mask_path, cv2.IMREAD_UNCHANGED)
        assert mask.shape == cv2.imread(path).shape[:2]
        n_drawn = 8 if feature == "globules" else 2 * len(mask)
        assert np.count_nonzero(mask == 255) == n_drawn


def test_pairs_go_into_what_checks_images_and_masks(home):
    X, y = fetch(home, return_X_y=True, subset="all")
    images = check_images(X)
    masks = check_masks(y)
    assert len(images) == len(masks) == 4


def test_subsets(home):
    assert [Path(path).stem for path in fetch(home, subset="test").paths] == NAMES[TEST]
    paths, mask_paths = fetch(home, "streaks", subset="all", return_X_y=True)
    names = [*sorted(NAMES[TRAIN]), *NAMES[TEST]]
    assert [Path(path).stem for path in paths] == names
    assert [Path(path).stem for path in mask_paths] == [f"{n}_streaks" for n in names]


def test_feature_comes_first_or_by_name(home):
    by_name = fetch_isic2016_part2b(data_home=home, feature="streaks")
    by_place = fetch_isic2016_part2b("streaks", home)
    np.testing.assert_array_equal(by_name.mask_paths, by_place.mask_paths)
    assert fetch_isic2016_part2b(data_home=home).feature == "globules"


def test_description(home):
    for fact in (
        "807 training images and 335 test images",
        "'train': 3 images were found, each with its mask of streaks",
        "CC0 1.0",
        "arXiv:1605.01397",
    ):
        assert fact in fetch(home, "streaks").DESCR


def test_unknown_feature(home):
    with pytest.raises(ValueError, match="feature"):
        fetch(home, "network")


def test_masks_of_the_other_feature_may_be_missing(home):
    write_masks(home, TRAIN, NAMES[TRAIN], features=["streaks"])
    assert len(fetch(home, "streaks").paths) == 3
    error = get_error(home)
    assert error.startswith(f"3 of the 3 images in {home / f'{TRAIN}_Data.zip'} ")
    assert f"have no mask of globules in {home / f'{TRAIN}_GroundTruth.zip'} " in error


def test_image_without_mask(home):
    write_masks(home, TRAIN, NAMES[TRAIN][1:])
    assert ": ISIC_0000002. If files were deleted" in get_error(home)


def test_mask_without_image(home):
    write_images(home, TRAIN, NAMES[TRAIN][1:])
    error = get_error(home)
    assert error.startswith("1 of the 3 masks of globules in ")
    assert ": ISIC_0000002. Delete these masks" in error


def test_archive_without_images(home):
    write_images(home, TRAIN, [])
    assert "it has no member" in get_error(home)


def test_folders_extracted_by_hand_instead_of_the_archives(home):
    for file in FILES[:2]:
        with zipfile.ZipFile(home / file) as archive:
            archive.extractall(home)
        (home / file).unlink()
    assert len(fetch(home).paths) == 3


def test_images_in_several_folders(home):
    with zipfile.ZipFile(home / f"{TRAIN}_Data.zip", "w") as archive:
        for folder in "ab":
            archive.writestr(f"{folder}/ISIC_{folder}.jpg", "image")
    message = get_error(home)
    assert message.startswith(f"There are no images in {home}")
    assert "If they are in subfolders, move them" in message
