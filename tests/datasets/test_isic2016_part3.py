# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from skinest.datasets import fetch_isic2016_part3, get_data_home

from .isic2016_part3_archives import (
    TEST,
    TEST_LABELS,
    TRAIN,
    TRAIN_LABELS,
    fetch,
    make_home,
    write_subset,
)

REAL_DATA = os.environ.get("SKINEST_DATA")


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path)


# Reading what is there ---------------------------------------------------------


def test_train_subset_in_the_order_of_the_ground_truth(home):
    data = fetch(home)
    names = [Path(path).stem for path in data.paths]
    assert names == list(TRAIN_LABELS)
    assert data.target.tolist() == [1, 0, 0]
    assert data.target.dtype == int
    assert data.target_names == ["benign", "malignant"]
    assert data.paths.ndim == 1
    assert data.paths.dtype == object
    for path in data.paths:
        assert isinstance(path, str)
        assert os.path.isabs(path)
        assert Path(path).read_text() == f"JPEG of {Path(path).stem}"
    for fact in ("CC0", "arXiv:1605.01397", "'train'", "3 images", "2 benign"):
        assert fact in data.DESCR


def test_test_subset(home):
    data = fetch(home, subset="test")
    assert [Path(path).stem for path in data.paths] == list(TEST_LABELS)
    assert data.target.tolist() == [0, 1]


def test_all_is_train_then_test(home):
    paths, target = fetch(home, subset="all", return_X_y=True)
    assert [Path(p).stem for p in paths] == [*TRAIN_LABELS, *TEST_LABELS]
    assert target.tolist() == [1, 0, 0, 0, 1]


def test_default_data_home_is_the_environment_variable(home, monkeypatch):
    monkeypatch.setenv("SKINEST_DATA", str(home))
    assert len(fetch_isic2016_part3(download_if_missing=False).paths) == 3


def test_relative_data_home_gives_absolute_paths(home, monkeypatch):
    monkeypatch.chdir(home.parent)
    assert all(os.path.isabs(path) for path in fetch("home").paths)


# Labels and images -------------------------------------------------------------


def test_label_without_image(tmp_path):
    labels = {f"ISIC_{i:07d}": "benign" for i in range(9)}
    write_subset(tmp_path, TRAIN, labels, images=list(labels)[:2])
    with pytest.raises(ValueError, match="7 of the 9 labels") as error:
        fetch(tmp_path)
    assert "ISIC_0000002, ISIC_0000003" in str(error.value)
    assert "ISIC_0000008" not in str(error.value)


def test_image_without_label(tmp_path):
    write_subset(tmp_path, TRAIN, TRAIN_LABELS, images=[*TRAIN_LABELS, "ISIC_77"])
    with pytest.raises(ValueError, match=r"1 of the 4 images.*no label.*: ISIC_77\."):
        fetch(tmp_path)


def test_files_that_are_no_images_are_ignored(home):
    with zipfile.ZipFile(home / f"{TRAIN}_Data.zip", "a") as archive:
        archive.writestr(f"{TRAIN}_Data/LICENSE.txt", "CC0")
        archive.writestr(f"{TRAIN}_Data/._ISIC_0000000.jpg", "of a file manager")
        archive.writestr(f"__MACOSX/{TRAIN}_Data/._ISIC_0000000.jpg", "the same")
    assert len(fetch(home).paths) == 3


@pytest.mark.parametrize("line", ["ISIC_0000001,unknown", "ISIC_0000001", "a,benign,1"])
def test_unknown_label(home, line):
    labels = home / f"{TRAIN}_GroundTruth.csv"
    labels.write_text(f"ISIC_0000002,malignant\n\n{line}\n")
    with pytest.raises(ValueError, match=rf"Line 3 of .*{TRAIN}.*'{line}'"):
        fetch(home)


def test_image_labelled_twice(home):
    labels = home / f"{TRAIN}_GroundTruth.csv"
    labels.write_text("ISIC_0000002,malignant\nISIC_0000002,benign\n")
    with pytest.raises(ValueError, match=r"Line 2 of .*second time"):
        fetch(home)


def test_line_ends_and_byte_order_mark_do_not_matter(home):
    labels = home / f"{TRAIN}_GroundTruth.csv"
    text = labels.read_text().replace("\n", "\r\n")
    labels.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert fetch(home).target.tolist() == [1, 0, 0]


def test_two_files_of_one_image(home):
    with zipfile.ZipFile(home / f"{TRAIN}_Data.zip", "a") as archive:
        archive.writestr(f"{TRAIN}_Data/ISIC_0000000.JPG", "another")
    with pytest.raises(ValueError, match=r"it has .*ISIC_0+\.JPG' twice"):
        fetch(home)


@pytest.mark.parametrize("content", ["", "\n\n", "\ufeff"])
def test_table_without_lines(home, content):
    (home / f"{TRAIN}_GroundTruth.csv").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"GroundTruth\.csv has no images"):
        fetch(home)


def test_field_that_is_too_long_for_csv(home):
    labels = home / f"{TRAIN}_GroundTruth.csv"
    labels.write_text("ISIC_0000002,malignant\n" + "x" * 200_000)
    with pytest.raises(ValueError, match=r"Line 2 of .*\.csv is not CSV: field"):
        fetch(home)


def test_long_line_is_shortened_in_the_error(home):
    (home / f"{TRAIN}_GroundTruth.csv").write_text("<html>" * 1000)
    match = r"Line 1 of .*<html>.*\.\.\.', is not"
    with pytest.raises(ValueError, match=match) as error:
        fetch(home)
    assert len(str(error.value)) < 500


def test_hash_of_a_file_that_is_there_is_not_asked(server, home):
    server.hashes[f"{TRAIN}_Data.zip"] = "0" * 64
    assert len(fetch_isic2016_part3(data_home=home).paths) == 3


# get_data_home -----------------------------------------------------------------


def test_get_data_home_makes_the_folder(tmp_path):
    folder = get_data_home(tmp_path / "a" / "b")
    assert folder == str(tmp_path / "a" / "b")
    assert os.path.isdir(folder)


def test_get_data_home_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SKINEST_DATA", str(tmp_path / "named"))
    assert get_data_home() == str(tmp_path / "named")


def test_get_data_home_is_the_cache_by_default(tmp_path, monkeypatch):
    import pooch

    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / name)
    assert get_data_home() == str(tmp_path / "skinest")


def test_get_data_home_knows_the_home_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert get_data_home("~/skin") == str(tmp_path / "skin")


@pytest.mark.parametrize("inner", ["", "skin"])
def test_file_instead_of_a_folder(tmp_path, inner):
    (tmp_path / "file").touch()
    for call in (get_data_home, fetch_isic2016_part3):
        with pytest.raises(
            NotADirectoryError, match=rf"folder, and {tmp_path}/file is"
        ):
            call(tmp_path / "file" / inner)


# The real images ---------------------------------------------------------------


@pytest.mark.skipif(not REAL_DATA, reason="SKINEST_DATA names no folder")
@pytest.mark.parametrize("subset, counts", [("train", (605, 144)), ("test", (242, 63))])
def test_real_data(subset, counts):
    stem = {"train": TRAIN, "test": TEST}[subset]
    if not (Path(REAL_DATA) / f"{stem}_Data.zip").is_file():
        pytest.skip(f"{stem}_Data.zip is not in SKINEST_DATA")
    paths, target = fetch(REAL_DATA, subset=subset, return_X_y=True)
    assert tuple(np.bincount(target)) == counts
    assert all(Path(path).read_bytes()[:3] == b"\xff\xd8\xff" for path in paths)
