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

TRAIN = "ISBI2016_ISIC_Part2B_Training"
TEST = "ISBI2016_ISIC_Part2B_Test"
NAMES = {TRAIN: ["ISIC_0000002", "ISIC_0000000", "ISIC_0000001"], TEST: ["ISIC_9"]}
FEATURES = ("globules", "streaks")
FILES = [f"{stem}_{what}.zip" for stem in NAMES for what in ("GroundTruth", "Data")]


def encode(extension, values):
    return cv2.imencode(extension, values)[1].tobytes()


def write_images(folder, stem, names):
    with zipfile.ZipFile(folder / f"{stem}_Data.zip", "w") as archive:
        for i, name in enumerate(names):
            image = np.full((6 + i, 8, 3), 100, np.uint8)
            archive.writestr(f"{stem}_Data/{name}.jpg", encode(".jpg", image))


def write_masks(folder, stem, names, features=FEATURES):
    """Masks of globules have 1 row of 255, those of streaks 2 columns."""
    with zipfile.ZipFile(folder / f"{stem}_GroundTruth.zip", "w") as archive:
        for i, name in reversed(list(enumerate(names))):
            for feature in features:
                mask = np.zeros((6 + i, 8), np.uint8)
                mask[(1,) if feature == "globules" else (slice(None), [1, 4])] = 255
                member = f"{stem}_GroundTruth/{name}_{feature}.png"
                archive.writestr(member, encode(".png", mask))


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    for stem, names in NAMES.items():
        write_images(folder, stem, names)
        write_masks(folder, stem, names)
    return folder


def fetch(home, feature="globules", **options):
    return fetch_isic2016_part2b(
        feature, data_home=home, download_if_missing=False, **options
    )


def error_of(home, **options):
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


@pytest.mark.parametrize(
    "wrong",
    [
        {"feature": "network"},
        {"data_home": 3},
        {"subset": "valid"},
        {"download_if_missing": "no"},
        {"return_X_y": "yes"},
    ],
)
def test_wrong_arguments(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        fetch_isic2016_part2b(**wrong)


def test_masks_of_the_other_feature_may_be_missing(home):
    write_masks(home, TRAIN, NAMES[TRAIN], features=["streaks"])
    assert len(fetch(home, "streaks").paths) == 3
    error = error_of(home)
    assert error.startswith(f"3 of the 3 images in {home / f'{TRAIN}_Data.zip'} ")
    assert f"have no mask of globules in {home / f'{TRAIN}_GroundTruth.zip'} " in error


def test_image_without_mask(home):
    write_masks(home, TRAIN, NAMES[TRAIN][1:])
    assert ": ISIC_0000002. Where files were deleted" in error_of(home)


def test_mask_without_image(home):
    write_images(home, TRAIN, NAMES[TRAIN][1:])
    error = error_of(home)
    assert error.startswith("1 of the 3 masks of globules in ")
    assert ": ISIC_0000002. Delete these masks" in error


def test_archive_without_images(home):
    write_images(home, TRAIN, [])
    assert "There are no images in " in error_of(home)


@pytest.mark.parametrize("file", FILES)
def test_missing_file_without_download(home, file):
    (home / file).unlink()
    with pytest.raises(OSError) as error:
        fetch(home, subset="all")
    assert str(error.value).startswith(f"{file} is not in {home}")
    official = "https://isic-challenge-data.s3.amazonaws.com/2016/"
    assert f"{official}{file}" in str(error.value)


def test_download(server, tmp_path):
    data = fetch_isic2016_part2b(data_home=tmp_path / "new", subset="all")
    assert sorted(server.requested) == sorted(FILES)
    assert all(Path(path).is_file() for path in (*data.paths, *data.mask_paths))


def test_folders_extracted_by_hand_instead_of_the_archives(home):
    for file in FILES[:2]:
        with zipfile.ZipFile(home / file) as archive:
            archive.extractall(home)
        (home / file).unlink()
    assert len(fetch(home).paths) == 3
