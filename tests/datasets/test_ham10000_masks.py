# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.model_selection import GroupKFold

from skinest.datasets import (
    fetch_ham10000_masks,
    fetch_isic2018_task3,
)

from .ham10000_archives import (
    DIAGNOSES,
    FILES,
    LESIONS,
    MASK_STEM,
    NAMES,
    STEM,
    TARGET,
    label_lines,
    make_home,
    write_images,
    write_labels,
    write_masks,
)

REAL_DATA = os.environ.get("SKINEST_DATA")
MASK_FILE = f"{MASK_STEM}.zip"


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path)


def fetch(home, **options):
    return fetch_ham10000_masks(data_home=home, download_if_missing=False, **options)


def get_error(home):
    with pytest.raises(ValueError) as error:
        fetch(home)
    return str(error.value)


# Reading what is there ---------------------------------------------------------


def test_each_image_has_its_mask(home):
    data = fetch(home)
    assert [Path(path).stem for path in data.paths] == list(DIAGNOSES)
    for array in (data.paths, data.mask_paths, data.groups):
        assert array.shape == (8,)
        assert array.dtype == object
        assert all(type(value) is str for value in array)
    for path, mask_path in zip(data.paths, data.mask_paths, strict=True):
        name = Path(path).stem
        assert os.path.isabs(mask_path)
        assert Path(mask_path).name == f"{name}_segmentation.png"
        assert Path(mask_path).read_text() == f"PNG of {name}"


def test_everything_else_is_that_of_the_images(home):
    data = fetch(home)
    images = fetch_isic2018_task3(data_home=home, download_if_missing=False)
    np.testing.assert_array_equal(data.paths, images.paths)
    np.testing.assert_array_equal(data.target, images.target)
    np.testing.assert_array_equal(data.groups, images.groups)
    assert data.target.tolist() == TARGET
    assert data.target_names == images.target_names == NAMES
    assert data.groups.tolist() == [LESIONS[name] for name in DIAGNOSES]


def test_description(home):
    for fact in (
        "8 images of 7 lesions were found, each with its mask",
        "1 MEL, 2 NV, 1 BCC, 1 AKIEC, 1 BKL, 1 DF, 1 VASC",
        "CC BY-NC 4.0",
        "doi:10.7910/DVN/DBW86T",
        "Nature Medicine 26, 1229-1234",
        "pass the lesions as",
        "255 on\nthe lesion",
    ):
        assert fact in fetch(home).DESCR


def test_masks_are_those_of_training_images_only(home):
    with pytest.raises(ValueError, match="subset"):
        fetch(home, subset="test")


def test_part_of_the_images_with_their_masks(home):
    some = {name: DIAGNOSES[name] for name in list(DIAGNOSES)[1:4]}
    write_labels(home, label_lines(some))
    write_images(home, some)
    write_masks(home, some)
    data = fetch(home)
    assert [Path(path).stem for path in data.paths] == list(some)
    assert [Path(path).read_text()[7:] for path in data.mask_paths] == list(some)
    assert "3 images of 3 lesions" in data.DESCR


def test_files_that_are_no_masks_are_ignored(home):
    with zipfile.ZipFile(home / MASK_FILE, "a") as archive:
        archive.writestr(f"{MASK_STEM}/LICENSE.txt", "CC BY-NC 4.0")
        archive.writestr(f"{MASK_STEM}/overview.png", "all masks")
        archive.writestr(f"{MASK_STEM}/._ISIC_0000001_segmentation.png", "a shadow")
        archive.writestr(f"__MACOSX/{MASK_STEM}/ISIC_1_segmentation.png", "another")
    assert all("PNG of" in Path(path).read_text() for path in fetch(home).mask_paths)


# Pairs that are not ------------------------------------------------------------


def test_image_without_mask(home):
    write_masks(home, list(DIAGNOSES)[2:])
    error = get_error(home)
    assert error.startswith(f"2 of the 8 images in {home / f'{STEM}_Input.zip'} ")
    assert f"have no mask in {home / MASK_FILE} " in error
    assert ": ISIC_0000005, ISIC_0000001. If files were deleted" in error


def test_mask_without_image(home):
    write_masks(home, [*DIAGNOSES, "ISIC_77", "ISIC_66"])
    error = get_error(home)
    assert error.startswith(f"2 of the 10 masks in {home / MASK_FILE} ")
    assert f"have no image in {home / f'{STEM}_Input.zip'} " in error
    assert ": ISIC_66, ISIC_77. Delete these masks" in error


def test_as_many_masks_as_images_but_of_others(home):
    write_masks(home, [*list(DIAGNOSES)[1:], "ISIC_0000006"])
    assert "1 of the 8 images in " in get_error(home)


def test_damaged_archive(home):
    archive = home / MASK_FILE
    archive.write_bytes(archive.read_bytes()[:100])
    assert f"The archive {archive} is damaged" in get_error(home)


def test_damaged_masks_before_anything_is_downloaded(server, home, tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / MASK_FILE).write_text("<html>Please log in</html>")
    with pytest.raises(ValueError, match=f"{MASK_FILE} is damaged"):
        fetch_ham10000_masks(folder)
    assert not server.requested


# Missing files and downloads ---------------------------------------------------


@pytest.mark.parametrize("download_if_missing", [True, False])
def test_missing_masks_before_anything_is_downloaded(
    server, tmp_path, download_if_missing
):
    folder = tmp_path / "new"
    with pytest.raises(OSError) as error:
        fetch_ham10000_masks(folder, download_if_missing=download_if_missing)
    assert str(error.value).startswith(f"{MASK_FILE} is not in {folder}")
    assert "Get it from https://doi.org/10.7910/DVN/DBW86T" in str(error.value)
    assert not server.requested
    assert not folder.exists()


def test_masks_extracted_by_hand(home):
    with zipfile.ZipFile(home / MASK_FILE) as archive:
        archive.extractall(home)
    (home / MASK_FILE).unlink()
    assert len(fetch(home).mask_paths) == 8


# The real images ---------------------------------------------------------------


@pytest.mark.skipif(not REAL_DATA, reason="SKINEST_DATA names no folder")
def test_real_data():
    if not all((Path(REAL_DATA) / file).is_file() for file in [*FILES, MASK_FILE]):
        pytest.skip("the archives are not in SKINEST_DATA")
    data = fetch(REAL_DATA)
    assert len(data.paths) == len(data.mask_paths) == 7938
    for path, mask_path in zip(data.paths, data.mask_paths, strict=True):
        assert Path(mask_path).name == f"{Path(path).stem}_segmentation.png"
    for i in range(0, 7938, 100):
        image = cv2.imread(data.paths[i])
        mask = cv2.imread(data.mask_paths[i], cv2.IMREAD_UNCHANGED)
        assert mask.shape == image.shape[:2]
        assert set(np.unique(mask)) <= {0, 255}
        assert mask.any()
    for train, test in GroupKFold(n_splits=5).split(
        data.paths, data.mask_paths, groups=data.groups
    ):
        assert not set(data.groups[train]) & set(data.groups[test])
