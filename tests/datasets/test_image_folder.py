# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import shutil
import sys
import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.datasets import load_files

from skinest.datasets import load_image_folder
from skinest.images import read_image

EXTENSIONS = [
    *(".avif", ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm"),
    *(".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
]


def fill(folder, *files):
    """Write an image, or what is called so, into each of the files."""
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"image")


@pytest.fixture
def folder(tmp_path):
    fill(
        tmp_path / "skin",
        *("nevus/b.jpg", "nevus/a.PNG", "melanoma/c.jpg"),
        *("nevus/2019/d.tif", "nevus/2019/may/e.webp"),
    )
    return tmp_path / "skin"


@pytest.fixture
def split(tmp_path):
    fill(
        tmp_path / "skin",
        *("train/nevus/a.jpg", "train/nevus/b.jpg", "train/melanoma/c.jpg"),
        *("Validation/nevus/d.jpg", "Validation/melanoma/e.jpg"),
        *("test/nevus/f.jpg", "test/melanoma/g.jpg"),
    )
    return tmp_path / "skin"


def relative(paths, folder):
    return [Path(path).relative_to(folder).as_posix() for path in paths]


def get_error(*args, error=ValueError, **options):
    with pytest.raises(error) as raised:
        load_image_folder(*args, **options)
    return str(raised.value)


# What is found -----------------------------------------------------------------


def test_classes_are_folders(folder):
    data = load_image_folder(folder)
    assert relative(data.paths, folder) == [
        "melanoma/c.jpg",
        "nevus/a.PNG",
        "nevus/b.jpg",
        "nevus/2019/d.tif",
        "nevus/2019/may/e.webp",
    ]
    assert data.target.tolist() == [0, 1, 1, 1, 1]
    assert data.target_names == ["melanoma", "nevus"]
    assert data.n_ignored == 0
    assert data.paths.dtype == object
    assert data.target.dtype == int
    assert all(type(path) is str and os.path.isabs(path) for path in data.paths)
    paths, target = load_image_folder(str(folder), return_X_y=True)
    np.testing.assert_array_equal(paths, data.paths)
    np.testing.assert_array_equal(target, data.target)


def test_same_as_load_files_of_scikit_learn(tmp_path):
    fill(tmp_path, "b/1.png", "b/2.png", "a/3.png", "c c/4.png")
    data = load_image_folder(tmp_path)
    theirs = load_files(tmp_path, load_content=False, shuffle=False)
    assert data.paths.tolist() == theirs.filenames.tolist()
    assert data.target.tolist() == theirs.target.tolist()
    assert data.target_names == theirs.target_names


def test_what_is_no_image_is_left_out_and_counted(folder):
    fill(
        folder,
        *("README.txt", "nevus/Thumbs.db", "nevus/notes.txt", "melanoma/LICENSE"),
        *("nevus/.DS_Store", "nevus/._a.jpg", ".git/x.jpg", "__MACOSX/nevus/a.jpg"),
        "nevus/.ipynb_checkpoints/a-checkpoint.jpg",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load_image_folder(folder)
    assert len(data.paths) == 5
    assert data.n_ignored == 9
    assert (
        "Ignored files: 9 (5 hidden, 2 .txt, 1 without extension, 1 .db)" in data.DESCR
    )


def test_description(folder):
    description = load_image_folder(folder).DESCR
    assert description.startswith(f"Images of {folder}\n---")
    assert "5 images of 2 classes: 1 melanoma, 4 nevus." in description
    assert "Ignored files: 0 (none)." in description


def test_relative_folder_and_home_of_the_user(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("USERPROFILE", str(folder.parent))
    expected = load_image_folder(folder).paths.tolist()
    assert load_image_folder("skin").paths.tolist() == expected
    assert load_image_folder("~/skin").paths.tolist() == expected


def test_every_extension_is_found(tmp_path):
    files = [f"a/{i}{end}" for i, end in enumerate([*EXTENSIONS, ".jp2"])]
    fill(tmp_path, *files, "b/0.jpg")
    data = load_image_folder(tmp_path)
    assert sorted(relative(data.paths, tmp_path)) == sorted([*files, "b/0.jpg"])
    assert data.n_ignored == 0


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_every_extension_is_one_that_the_reader_reads(tmp_path, extension):
    image = np.full((8, 8, 3), 255, np.uint8)
    writer = ".jpg" if extension == ".jfif" else extension
    grey = extension in (".pbm", ".pgm")
    cv2.imencode(writer, image[..., 0] if grey else image)[1].tofile(
        tmp_path / f"a{extension}"
    )
    assert (read_image(tmp_path / f"a{extension}") > 250).all()


def test_jpeg_2000_is_one_too(tmp_path):
    cv2.imwrite(str(tmp_path / "a.jp2"), np.full((64, 64, 3), 255, np.uint8))
    assert (read_image(tmp_path / "a.jp2") == 255).all()


def test_allowed_extensions(tmp_path):
    fill(tmp_path, "a/1.jpg", "a/1_mask.png", "b/2.JPG", "b/2_mask.png")
    data = load_image_folder(tmp_path, allowed_extensions=[".Jpg"])
    assert relative(data.paths, tmp_path) == ["a/1.jpg", "b/2.JPG"]
    assert data.n_ignored == 2
    assert "2 .png" in data.DESCR


def test_extensions_of_two_parts(tmp_path):
    fill(tmp_path, "a/1.ome.tif", "a/2.tif", "b/3.OME.TIF")
    data = load_image_folder(tmp_path, allowed_extensions=[".ome.tif"])
    assert relative(data.paths, tmp_path) == ["a/1.ome.tif", "b/3.OME.TIF"]
    assert "1 .tif" in data.DESCR


# Subsets -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "subset, expected",
    [
        ("train", ["train/melanoma/c.jpg", "train/nevus/a.jpg", "train/nevus/b.jpg"]),
        ("valid", ["Validation/melanoma/e.jpg", "Validation/nevus/d.jpg"]),
        ("test", ["test/melanoma/g.jpg", "test/nevus/f.jpg"]),
    ],
)
def test_subset(split, subset, expected):
    data = load_image_folder(split, subset=subset)
    assert relative(data.paths, split) == expected
    assert data.target_names == ["melanoma", "nevus"]
    assert f"Images of {split}" in data.DESCR


@pytest.mark.parametrize(
    "name, subset",
    [
        *(("training", "train"), ("Train", "train"), ("val", "valid")),
        *(("validation", "valid"), ("valid", "valid"), ("TEST", "test")),
    ],
)
def test_names_of_subsets(tmp_path, name, subset):
    fill(tmp_path, f"{name}/a/1.jpg", f"{name}/b/2.jpg")
    assert len(load_image_folder(tmp_path, subset=subset).paths) == 2


def test_a_number_means_the_same_class_in_all_subsets(split):
    fill(split, "test/keratosis/h.jpg")
    with pytest.warns(UserWarning, match=r"train has no .*other subsets have: kera"):
        train = load_image_folder(split, subset="train")
    test = load_image_folder(split, subset="test")
    names = ["keratosis", "melanoma", "nevus"]
    assert train.target_names == test.target_names == names
    assert train.target.tolist() == [1, 2, 2]
    assert test.target.tolist() == [0, 1, 2]


def test_subset_must_be_chosen(split):
    error = get_error(split)
    assert "use subset='train' or subset='valid' or subset='test', not None" in error


def test_subset_that_is_not_there(tmp_path):
    fill(tmp_path, "train/a/1.jpg", "train/b/2.jpg")
    error = get_error(tmp_path, subset="test")
    assert error == f"{tmp_path} has subsets: use subset='train', not 'test'."


def test_subset_of_a_folder_without(folder):
    error = get_error(folder, subset="train")
    assert "has no folders for subsets, such as train and test" in error
    assert "leave out subset='train'" in error


def test_two_folders_for_one_subset(split):
    fill(split, "val/nevus/x.jpg")
    error = get_error(split, subset="train")
    assert f"{split / 'Validation'} and {split / 'val'} are folders for the" in error


def test_subsets_beside_classes(split):
    fill(split, "nevus/x.jpg")
    error = get_error(split, subset="train")
    assert "has 'Validation', the name of a subset, and other folders: nevus." in error


# What is wrong -----------------------------------------------------------------


def test_missing_folder(tmp_path):
    error = get_error(tmp_path / "no", error=FileNotFoundError)
    assert error == f"There is no folder {tmp_path / 'no'}."


def test_file_instead_of_a_folder(tmp_path):
    fill(tmp_path, "a.jpg")
    get_error(tmp_path / "a.jpg", error=NotADirectoryError)


def test_no_class_folder(tmp_path):
    assert "has no class folders" in get_error(tmp_path)


def test_no_class_folder_in_one_subset(split):
    shutil.rmtree(split / "test")
    (split / "test").mkdir()
    error = get_error(split, subset="test")
    assert error.startswith(f"{split / 'test'} has no class folders")


@pytest.mark.parametrize("inner", ["", "train"])
def test_images_beside_class_folders(split, inner):
    fill(split / inner, "x.jpg", "y.jpg", "z.jpg", "w.jpg")
    error = get_error(split, subset="train")
    assert error.startswith(f"4 images are in {split / inner} itself")
    assert ": w.jpg, x.jpg, y.jpg and 1 more. Move each" in error


def test_class_without_an_image(folder):
    fill(folder, "keratosis/notes.txt")
    error = get_error(folder)
    assert error.startswith(f"{folder} has classes without an image: keratosis. Rem")


def test_one_class_is_most_often_the_wrong_folder(folder):
    with pytest.warns(UserWarning, match="one class only, 'skin'") as caught:
        data = load_image_folder(folder.parent)
    assert data.target.tolist() == [0] * 5
    assert caught[0].filename == __file__


@pytest.mark.parametrize("extensions", [["jpg"], [3]])
def test_wrong_extensions(folder, extensions):
    assert "with their dots" in get_error(folder, allowed_extensions=extensions)


@pytest.mark.parametrize(
    "wrong",
    [
        {"container_path": 3},
        {"subset": "all"},
        {"allowed_extensions": ".jpg"},
        {"return_X_y": "yes"},
    ],
)
def test_wrong_arguments(folder, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        load_image_folder(**{"container_path": folder, **wrong})


# Links -------------------------------------------------------------------------


@pytest.fixture
def link(folder):
    """Return a function that makes a link, where the system can."""

    def make_link(name, target):
        try:
            (folder / name).symlink_to(target)
        except OSError:
            pytest.skip("no symbolic links here")

    return make_link


def test_links_are_followed(folder, link, tmp_path):
    fill(tmp_path / "else", "x.jpg", "y.jpg")
    fill(tmp_path / "other", "z.jpg")
    link("keratosis", tmp_path / "else")
    link("nevus/z.jpg", tmp_path / "other" / "z.jpg")
    data = load_image_folder(folder)
    assert np.bincount(data.target).tolist() == [2, 1, 5]


def test_each_real_file_is_listed_once(folder, link):
    link("nevus/again", folder / "nevus" / "2019")
    link("nevus/same.jpg", next((folder / "nevus").glob("*.jpg")))
    data = load_image_folder(folder)
    assert len(data.paths) == 5
    assert data.n_ignored == 2


def test_a_file_in_two_classes_is_an_error(folder, link):
    link("keratosis", folder / "nevus")
    says = r"keratosis.* and .*nevus.* are one file in two classes|nevus.* and .*kera"
    with pytest.raises(ValueError, match=says):
        load_image_folder(folder)


def test_class_folders_that_link_to_each_other_end(tmp_path):
    names = [f"class{k}" for k in range(9)]
    for name in names:
        fill(tmp_path / name, f"{name}.jpg")
    for name in names:
        for other in names:
            try:
                (tmp_path / name / other).symlink_to(tmp_path / other)
            except OSError:
                pytest.skip("no symbolic links here")
    with pytest.raises(ValueError, match="one file in two classes"):
        load_image_folder(tmp_path)


@pytest.fixture
def nested(tmp_path):
    """Return class folders, each with an image in more folders than Python recurses."""
    here, depth = os.getcwd(), 1200
    for name in ("a", "b"):
        fill(tmp_path / "skin" / name, "flat.jpg")
        os.chdir(tmp_path / "skin" / name)
        for _ in range(depth):
            os.mkdir("n")
            os.chdir("n")
        fill(Path("."), "deep.jpg")
    os.chdir(here)
    yield tmp_path / "skin"
    for name in ("a", "b"):  # shutil.rmtree cannot
        os.chdir(tmp_path / "skin" / name)
        for _ in range(depth):
            os.chdir("n")
        os.remove("deep.jpg")
        for _ in range(depth):
            os.chdir("..")
            os.rmdir("n")
    os.chdir(here)


@pytest.mark.skipif(sys.platform == "win32", reason="paths are short there")
def test_folders_in_more_folders_than_python_recurses(nested):
    assert len(load_image_folder(nested).paths) == 4


@pytest.mark.parametrize("target", [".", "..", "../..", "2019"])
def test_link_back_to_a_folder_above(folder, link, target):
    link("nevus/2019/back", folder / "nevus" / target)
    data = load_image_folder(folder)
    assert len(data.paths) == 5
    assert data.n_ignored == 1
    assert "1 link to another folder of the class" in data.DESCR


def test_link_to_nothing(folder, link):
    link("nevus/gone.jpg", folder / "nowhere.jpg")
    error = get_error(folder, error=FileNotFoundError)
    assert error.startswith(f"{folder / 'nevus' / 'gone.jpg'} is a broken link.")


def test_link_to_nothing_may_have_been_a_class(folder, link):
    link("keratosis", folder / "unmounted" / "keratosis")
    assert "keratosis is a broken link" in get_error(folder, error=FileNotFoundError)


def test_link_to_itself(folder, link):
    link("nevus/self.jpg", folder / "nevus" / "self.jpg")
    assert "is a broken link" in get_error(folder, error=FileNotFoundError)


# Order and kind of classes -----------------------------------------------------


def test_target_names_order_the_classes(folder):
    names = ["nevus", "melanoma"]
    data = load_image_folder(folder, target_names=names)
    assert data.target_names == names
    plain = load_image_folder(folder)
    assert plain.target_names == names[::-1]
    classes = {
        path: names[label] for path, label in zip(data.paths, data.target, strict=True)
    }
    for path, label in zip(plain.paths, plain.target, strict=True):
        assert classes[path] == plain.target_names[label]
    for wrong in (["nevus"], ["nevus", "nevus"], ["nevus", "mole"]):
        with pytest.raises(ValueError, match=r"target_names=.*\['melanoma', 'nevus'\]"):
            load_image_folder(folder, target_names=wrong)
    fill(folder, "Nevus /f.jpg")
    assert get_error(folder, target_names=names).endswith("It lacks 'Nevus '.")


@pytest.mark.parametrize("typed", ["Nevus", "nevus ", "NEVUS "])
def test_folders_whose_names_differ_in_case_or_spaces_only_are_warned_of(folder, typed):
    fill(folder, f"{typed}/f.jpg")
    says = rf"has the classes .*'nevus'.*An image of '{typed}' is .*f\.jpg"
    with pytest.warns(UserWarning, match=says) as caught:
        data = load_image_folder(folder)
    assert len(data.target_names) == 3
    assert [warning.filename for warning in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_image_folder(folder, target_names=["nevus", typed, "melanoma"])


def test_similar_folders_of_other_subsets_are_warned_of_too(split):
    fill(split, "test/Keratosis/h.jpg", "test/keratosis/i.jpg")
    with pytest.warns(UserWarning) as caught:
        load_image_folder(split, subset="train")
    assert any(
        "'Keratosis' and 'keratosis', which differ" in str(warning.message)
        for warning in caught
    )


def test_folders_named_like_parts_are_warned_of(tmp_path):
    for part in ("HAM10000_images_part_1", "HAM10000_images_part_2"):
        fill(tmp_path / part, f"{part}.jpg")
    with pytest.warns(UserWarning, match="parts of one data set.*load_image_table"):
        load_image_folder(tmp_path)
