# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from skinest.datasets import fetch_isic2018_task3

from .ham10000_archives import (
    DIAGNOSES,
    FILES,
    LABEL_HEADER,
    LESION_HEADER,
    LESIONS,
    NAMES,
    STEM,
    TARGET,
    label_lines,
    make_home,
    write_images,
    write_labels,
    write_lesions,
)

REAL_DATA = os.environ.get("SKINEST_DATA")


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path)


def fetch(home, **options):
    return fetch_isic2018_task3(data_home=home, download_if_missing=False, **options)


def get_error(home):
    with pytest.raises(ValueError) as error:
        fetch(home)
    return str(error.value)


# Reading what is there ---------------------------------------------------------


def test_everything_in_the_order_of_the_ground_truth(home):
    data = fetch(home)
    names = [Path(path).stem for path in data.paths]
    assert names == list(DIAGNOSES)
    assert data.target.tolist() == TARGET
    assert data.target.dtype == int
    assert data.target_names == NAMES
    assert data.groups.tolist() == [LESIONS[name] for name in names]
    for array in (data.paths, data.groups):
        assert array.shape == (8,)
        assert array.dtype == object
        assert all(type(value) is str for value in array)
    for path in data.paths:
        assert os.path.isabs(path)
        assert Path(path).read_text() == f"JPEG of {Path(path).stem}"
    paths, target = fetch(home, return_X_y=True)
    np.testing.assert_array_equal(paths, data.paths)
    assert target.tolist() == TARGET


def test_description(home):
    for fact in (
        "8 images of 7 lesions were found",
        "Subset 'train'",
        "10,015 training images of 7,470 lesions",
        "1 MEL, 2 NV, 1 BCC, 1 AKIEC, 1 BKL, 1 DF, 1 VASC",
        "CC BY-NC 4.0",
        "doi:10.1038/sdata.2018.161",
        "doi:10.7910/DVN/DBW86T",
        "arXiv:1902.03368",
        "pass the lesions as",
    ):
        assert fact in fetch(home).DESCR


def test_changing_the_target_names_leaves_later_ones_alone(home):
    fetch(home).target_names.clear()
    assert fetch(home).target_names == NAMES


# Subsets -----------------------------------------------------------------------

MORE = {
    "valid": ("ISIC2018_Task3_Validation", {"ISIC_0034321": "NV"}),
    "test": ("ISIC2018_Task3_Test", {"ISIC_0034525": "DF", "ISIC_0034524": "NV"}),
}


@pytest.fixture
def whole_home(home):
    for stem, diagnoses in MORE.values():
        write_labels(home, label_lines(diagnoses), stem=stem)
        write_images(home, diagnoses, stem=stem)
    return home


@pytest.mark.parametrize("subset", MORE)
def test_subset(whole_home, subset):
    stem, diagnoses = MORE[subset]
    data = fetch(whole_home, subset=subset)
    assert [Path(path).stem for path in data.paths] == list(diagnoses)
    assert {Path(path).parent.name for path in data.paths} == {f"{stem}_Input"}
    assert data.target.tolist() == [NAMES.index(name) for name in diagnoses.values()]
    assert f"Subset {subset!r}: {len(diagnoses)} images were found" in data.DESCR


def test_all_is_train_then_valid_then_test(whole_home):
    paths, target = fetch(whole_home, subset="all", return_X_y=True)
    more = [name for _, diagnoses in MORE.values() for name in diagnoses]
    assert [Path(path).stem for path in paths] == [*DIAGNOSES, *more]
    assert target.tolist() == [*TARGET, 1, 5, 1]


@pytest.mark.parametrize("subset", [*MORE, "all"])
def test_groups_are_known_of_the_training_images_only(whole_home, subset):
    (whole_home / f"{STEM}_LesionGroupings.csv").unlink()
    data = fetch(whole_home, subset=subset)
    assert "groups" not in data
    with pytest.raises(AttributeError, match=r"training images only: use subset='tr"):
        _ = data.groups
    with pytest.raises(AttributeError, match="lesion_ids"):
        _ = data.lesion_ids
    restored = pickle.loads(pickle.dumps(data))
    np.testing.assert_array_equal(restored.paths, data.paths)
    assert not hasattr(restored, "groups")


def test_groups_can_be_set_where_they_are_not_known(whole_home):
    data = fetch(whole_home, subset="valid")
    data.groups = ["HAM_1"]
    assert data.groups == ["HAM_1"]


def test_an_image_of_two_subsets_is_there_twice(whole_home):
    name = next(iter(DIAGNOSES))
    stem = MORE["valid"][0]
    write_labels(whole_home, label_lines({name: "DF"}), stem=stem)
    write_images(whole_home, [name], stem=stem)
    paths, target = fetch(whole_home, subset="all", return_X_y=True)
    assert len(paths) == len(DIAGNOSES) + 1 + 2
    is_named = [Path(path).stem == name for path in paths]
    assert target[is_named].tolist() == [TARGET[0], NAMES.index("DF")]
    assert f"{stem}_Input" in paths[is_named][1]


def test_lesions_are_read_before_the_images_are_extracted(home):
    (home / f"{STEM}_LesionGroupings.csv").write_text("image,lesion\n")
    assert "is not the header" in get_error(home)
    assert not (home / f"{STEM}_Input").exists()


def test_download_of_a_subset(server, whole_home, tmp_path):
    fetch_isic2018_task3(data_home=tmp_path / "new", subset="valid")
    stem = "ISIC2018_Task3_Validation"
    assert server.requested == [f"{stem}_GroundTruth.zip", f"{stem}_Input.zip"]


# Labels, lesions and images ----------------------------------------------------


def test_part_of_the_images_with_the_table_of_all_lesions(home):
    some = {name: DIAGNOSES[name] for name in list(DIAGNOSES)[1:4]}
    write_labels(home, label_lines(some))
    write_images(home, some)
    data = fetch(home)
    assert [Path(path).stem for path in data.paths] == list(some)
    assert data.groups.tolist() == ["HAM_1", "HAM_5", "HAM_3"]
    assert "3 images of 3 lesions" in data.DESCR
    assert "1 MEL, 1 NV, 0 BCC" in data.DESCR


def test_label_without_image(home):
    write_images(home, list(DIAGNOSES)[2:])
    with pytest.raises(ValueError, match=r"2 of the 8 labels.*1\. If files were"):
        fetch(home)


def test_image_without_label(home):
    write_labels(home, label_lines(DIAGNOSES)[1:])
    with pytest.raises(ValueError, match=r"1 of the 8 images.*no label.*0005\. Add"):
        fetch(home)


def test_image_without_lesion(home):
    write_lesions(home, [f"{k},{v}," for k, v in LESIONS.items() if v != "HAM_5"])
    error = get_error(home)
    assert error.startswith("2 of the 8 images in ")
    assert f"no lesion in {home / f'{STEM}_LesionGroupings.csv'}: " in error
    assert ": ISIC_0000005, ISIC_0000002. Add their lines" in error


def test_integers_are_labels_too(home):
    write_labels(home, [line.replace(".0", "") for line in label_lines(DIAGNOSES)])
    assert fetch(home).target.tolist() == TARGET


@pytest.mark.parametrize(
    "line, fault",
    [
        ("a,0.0,0.0,0.0,0.0,0.0,0.0,0.0", "is not one-hot"),
        ("a,1.0,1.0,0.0,0.0,0.0,0.0,0.0", "is not one-hot"),
        ("a,0.5,0.5,0.0,0.0,0.0,0.0,0.0", "is not one-hot"),
        ("a,2.0,-1.0,0.0,0.0,0.0,0.0,0.0", "is not one-hot"),
        ("a,1.0,nan,0.0,0.0,0.0,0.0,0.0", "is not one-hot"),
        ("a,MEL,0.0,0.0,0.0,0.0,0.0,0.0", "is not one-hot"),
        ("a,1.0", "has 2 fields instead of 8"),
        ("a,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0", "has 9 fields instead of 8"),
        ("ISIC_0000005,1.0,0.0,0.0,0.0,0.0,0.0,0.0", "has an image a second time"),
    ],
)
def test_wrong_line_of_the_labels(home, line, fault):
    write_labels(home, [label_lines(DIAGNOSES)[0], line])
    file = home / f"{STEM}_GroundTruth" / f"{STEM}_GroundTruth.csv"
    assert get_error(home).startswith(f"Line 3 of {file}, {line!r}, {fault}")


@pytest.mark.parametrize(
    "line, fault",
    [
        ("ISIC_0000002,,histopathology", "has no lesion"),
        ("ISIC_0000002,HAM_5", "has 2 fields instead of 3"),
        ("ISIC_0000005,HAM_6,histopathology", "has an image a second time"),
    ],
)
def test_wrong_line_of_the_lesions(home, line, fault):
    write_lesions(home, ["ISIC_0000005,HAM_5,histopathology", line])
    file = home / f"{STEM}_LesionGroupings.csv"
    assert get_error(home).startswith(f"Line 3 of {file}, {line!r}, {fault}")


@pytest.mark.parametrize(
    "write, header, official",
    [
        (write_labels, "", LABEL_HEADER),
        (write_labels, "image,NV,MEL,BCC,AKIEC,BKL,DF,VASC", LABEL_HEADER),
        (write_lesions, "lesion_id,image_id,dx", LESION_HEADER),
    ],
)
def test_unknown_header(home, write, header, official):
    write(home, [], header=header)
    error = get_error(home)
    assert error.startswith(f"Line 1 of {home}")
    assert f".csv, {header!r}, is not the header {official!r}. Correct it" in error


def test_table_of_a_header_only(home):
    write_lesions(home, [])
    assert "LesionGroupings.csv has no images" in get_error(home)


def test_archive_without_labels(home):
    shutil.copy(home / f"{STEM}_Input.zip", home / f"{STEM}_GroundTruth.zip")
    assert f"has no file {STEM}_GroundTruth.csv" in get_error(home)


# Missing files and downloads ---------------------------------------------------


def test_failed_download_leaves_nothing(server, home, tmp_path):
    (home / f"{STEM}_Input.zip").unlink()
    folder = tmp_path / "new"
    with pytest.raises(OSError, match="by hand") as error:
        fetch_isic2018_task3(data_home=folder)
    assert f"{server.url}{STEM}_Input.zip" in str(error.value)
    found = {path.name for path in folder.iterdir()} - {".unfinished"}
    assert found == set(FILES[:2])


# The real images ---------------------------------------------------------------


@pytest.mark.skipif(not REAL_DATA, reason="SKINEST_DATA names no folder")
def test_real_data():
    if not all((Path(REAL_DATA) / file).is_file() for file in FILES):
        pytest.skip("the archives are not in SKINEST_DATA")
    data = fetch(REAL_DATA)
    assert len(data.paths) == len(data.groups) == 7938
    assert np.bincount(data.target).tolist() == [848, 5354, 418, 259, 854, 84, 121]
    for path in data.paths:
        with open(path, "rb") as file:
            assert file.read(3) == b"\xff\xd8\xff"
    diagnoses = set(zip(data.groups, data.target, strict=True))
    assert len(diagnoses) == len(set(data.groups)) < 7938
    cv = StratifiedGroupKFold(n_splits=2)
    for train, test in cv.split(data.paths, data.target, groups=data.groups):
        assert not set(data.groups[train]) & set(data.groups[test])
        assert set(data.target[test]) == set(range(7))
