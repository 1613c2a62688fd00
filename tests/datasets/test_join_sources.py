"""Data sets of several sources, joined into one."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.utils import Bunch

from skinest.datasets import (
    join_sources,
    load_image_folder,
    load_image_table,
    make_dermoscopy,
)
from skinest.images import check_images

X = np.zeros((3, 8, 8, 3), np.uint8)
DIAGNOSES = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]


@pytest.fixture
def folder(tmp_path):
    """Write two sources, each a folder for each class, with the same file names."""
    for source, classes in (
        ("north", {"benign": "ab", "malignant": "c"}),
        ("south", {"mel": "a", "nv": "bc"}),
    ):
        for name, files in classes.items():
            (tmp_path / source / name).mkdir(parents=True)
            for shade, file in enumerate(files):
                pixels = np.full((8, 8, 3), shade, np.uint8)
                cv2.imwrite(str(tmp_path / source / name / f"{file}.png"), pixels)
    return tmp_path


def load(folder):
    return {name: load_image_folder(folder / name) for name in ("north", "south")}


def test_folders_with_other_classes_become_melanoma_or_not(folder):
    data = join_sources(load(folder), labels="melanoma")
    assert data.target_names == ["other", "melanoma"]
    assert data.target.tolist() == [0, 0, 1, 1, 0, 0]
    assert data.source.tolist() == ["north"] * 3 + ["south"] * 3
    assert data.source_names == ["north", "south"]
    assert data.source_labels.tolist()[2:5] == ["malignant", "mel", "nv"]
    assert len(check_images(data.paths, data.target)) == 6
    assert "images" not in data
    assert "north: 3 images, 2 other and 1 melanoma" in data.DESCR


def test_melanoma_or_not_knows_the_labels_of_all_loaders():
    ham = Bunch(images=np.zeros((7, 8, 8, 3), np.uint8), target=np.arange(7))
    ham.target_names = DIAGNOSES
    synthetic = make_dermoscopy(4, image_size=(32, 32), random_state=0, as_frame=True)
    data = join_sources({"HAM10000": ham, "synthetic": synthetic}, labels="melanoma")
    assert data.target.tolist() == [1, 0, 0, 0, 0, 0, 0, *synthetic.target]
    # Images of different sizes.
    assert [len(image) for image in check_images(data.images)] == [8] * 7 + [32] * 4


def test_groups_of_two_sources_never_have_one_name():
    data = join_sources(
        {
            "A": (X, ["0", "1", "1"], [7, 7, 8]),
            "B": (X, ["0", "0", "1"], np.array([7.0, 8.0, 8.0])),  # as with gaps
            "C": (X, ["0", "1", "1"]),
        },
        labels={0: "0", 1: "1"},
    )
    assert data.groups.tolist()[:6] == ["A/7", "A/7", "A/8", "B/7", "B/8", "B/8"]
    assert len(set(data.groups[6:])) == 3  # each image is its own group
    assert data.images.shape == (9, 8, 8, 3)
    assert data.target_names == ["0", "1"]


def test_a_mapping_for_each_source_can_leave_labels_out(folder):
    data = join_sources(
        load(folder),
        labels={
            "north": {"benign": "nevus", "malignant": None},
            "south": {"mel": "melanoma", "nv": "nevus"},
        },
        target_names=["nevus", "melanoma"],
    )
    assert data.target.tolist() == [0, 0, 1, 0, 0]
    assert data.source.tolist() == ["north"] * 2 + ["south"] * 3
    assert [path[-5] for path in data.paths] == ["a", "b", "a", "b", "c"]
    # The names of images that have no group do not depend on those left out.
    whole = join_sources(load(folder), labels="melanoma")
    assert set(data.groups) == set(np.delete(whole.groups, 2))


FORMS = {"series": pd.Series, "frame": pd.DataFrame, "list": list}


@pytest.mark.parametrize("form", FORMS)
def test_paths_may_be_columns_of_a_table(folder, form):
    paths = load(folder)["south"].paths
    X = FORMS[form](paths)
    sources = {"A": (X[:1], ["x"]), "B": (X[1:], ["x", "y"])}
    data = join_sources(sources, target_names=["x", "y"])
    assert data.paths.tolist() == paths.tolist()


@pytest.mark.parametrize("dtype", ["float64", "float32", "Int64", "object"])
def test_whole_numbers_are_the_same_labels_in_any_type(dtype):
    y = pd.Series([0, 1, 1], dtype=dtype)
    sources = {"north": (X, y), "south": (X, [1, 0, 0])}
    with pytest.warns(UserWarning, match="integer labels of 'north', 'south'"):
        assert join_sources(sources).target_names == ["0", "1"]
    data = join_sources(sources, labels={0: "nevus", 1.0: "melanoma"})
    assert data.target_names == ["melanoma", "nevus"]
    assert data.target.tolist() == [1, 0, 0, 0, 1, 1]


def test_numbers_without_names_are_warned_of(folder):
    north = load_image_folder(folder / "north")
    south = load_image_folder(folder / "south", target_names=["nv", "mel"])
    sources = {
        "north": (north.paths, north.target, np.arange(3)),
        "south": (south.paths, south.target, np.arange(3)),
    }
    advice = r"np\.array\(data\.target_names\)\[data\.target\]"
    with pytest.warns(UserWarning, match=rf"'north', 'south'.*{advice}") as seen:
        join_sources(sources)
    assert [warning.filename for warning in seen] == [__file__]


@pytest.mark.parametrize("form", ["names", "mapping", "Bunch"])
def test_named_labels_are_not_warned_of(folder, form, recwarn):
    data = load_image_folder(folder / "north")
    names = np.array(data.target_names)[data.target]
    numbers = [data.target_names.index(name) for name in names]
    if form == "names":
        join_sources({"A": (X, names), "B": (X, names)})
    elif form == "mapping":
        labels = {0: "benign", 1: "malignant"}
        join_sources({"A": (X, numbers), "B": (X, numbers)}, labels=labels)
    else:
        known = Bunch(images=X, target=numbers, target_names=["0", "1"])
        join_sources({"A": (X, numbers), "B": known})
    assert not recwarn.list


def test_unknown_labels_are_refused_by_name(folder):
    labels = {"benign": "other", "malignant": "melanoma", "mel": "melanoma"}
    with pytest.raises(ValueError, match=r"'south'.*\['nv'\].*Add.*None"):
        join_sources(load(folder), labels=labels)
    sources = load(folder)
    sources["south"].target_names = ["UNK", "nv"]
    with pytest.raises(ValueError, match=r"'south'.*\['UNK'\]"):
        join_sources(sources, labels="melanoma")
    with pytest.raises(ValueError, match=r"'benign'.*'north'.*not in 'south'"):
        join_sources(load(folder))


def test_labels_that_are_not_expected_are_named_with_their_source(folder):
    with pytest.raises(ValueError, match=r"It lacks 'benign' \(in 'north'\), 'mal"):
        join_sources(load(folder), target_names=["mel", "nv"])


def test_a_source_of_a_table_has_its_description(folder):
    table = {"image": ["a", "b"], "dx": ["mel", "nv"]}
    columns = {"name_column": "image", "target_column": "dx"}
    sources = {
        "table": load_image_table(table, folder / "north", **columns),
        "south": load_image_folder(folder / "south"),
    }
    described = join_sources(sources).DESCR
    assert "2 images of 2 classes: 1 mel, 1 nv." in described


def test_a_source_that_lacks_a_class_of_others_has_the_same_labels():
    names = ["nevus", "melanoma"]
    nevi = Bunch(images=X, target=np.zeros(3, int), target_names=names)
    both = Bunch(images=X, target=np.array([0, 1, 1]), target_names=names)
    data = join_sources({"A": nevi, "B": both}, target_names=names)
    assert data.target.tolist() == [0, 0, 0, 0, 1, 1]
    assert join_sources({"A": nevi, "B": both}).target_names == sorted(names)


GOOD = X, [0, 1, 1]
BAD = {
    "one source": ({"A": GOOD}, {}, "two sources or more"),
    "slash": ({"A/1": GOOD, "B": GOOD}, {}, "'A/1'.*without '/'"),
    "images alone": ({"A": GOOD, "B": X}, {}, r"\['B'\] is of type ndarray.*Bunch"),
    "no target": ({"A": GOOD, "B": Bunch(images=X)}, {}, r"\['B'\] has no target"),
    "few labels": ({"A": GOOD, "B": (X, [0])}, {}, r"\['B'\] has 3 images"),
    "few groups": ({"A": GOOD, "B": (*GOOD, [0])}, {}, r"groups of sou.*'B'\] has 1"),
    "no class": (
        {"A": GOOD, "B": Bunch(images=X, target=[0, 1, 2], target_names=["a", "b"])},
        {},
        r"\['B'\] has the target 2",
    ),
    "mapping of one": (
        {"A": GOOD, "B": GOOD},
        {"labels": {"A": {0: "x", 1: "y"}}},
        r"labels has dicts for \['A'\], but not for 'B'",
    ),
    "nothing left": (
        {"A": GOOD, "B": GOOD},
        {"labels": {0: None, 1: None}},
        "none is left",
    ),
    "names": ({"A": GOOD, "B": GOOD}, {"target_names": ["0"]}, r"target_names=\['0'\]"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_named(case):
    sources, options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        join_sources(sources, **options)


def test_paths_beside_arrays_and_files_in_two_sources_are_refused(folder):
    north = load(folder)["north"]
    with pytest.raises(ValueError, match="'north' has paths and 'A' has arrays"):
        join_sources({"north": north, "A": GOOD})
    with pytest.raises(ValueError, match=r"'north' and 'again' both have .*\.png"):
        join_sources({"north": north, "again": north})
    with pytest.raises(FileNotFoundError, match="nowhere"):
        join_sources({"north": north, "A": (["nowhere.png"], ["benign"])})
