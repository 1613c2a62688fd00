"""Images and masks that are matched by the names of their files."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from pathlib import Path

import pytest

from skinest.datasets import load_mask_folder


def make_files(folder, *names):
    """Make empty files, because none is read."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def load_names(folder, masks="masks", **options):
    found = load_mask_folder(folder / "images", folder / masks, **options)
    pairs = zip(found.paths, found.mask_paths, strict=True)
    return [(Path(path).name, Path(mask).name) for path, mask in pairs], found


def test_masks_have_the_name_of_their_image_or_begin_with_it(tmp_path):
    make_files(tmp_path, "images/b.jpg", "images/a.JPG", "images/more/c.d.png")
    make_files(
        tmp_path, "masks/a.png", "masks/b_segmentation.png", "masks/c.d.mask.png"
    )
    make_files(tmp_path, "images/without.jpg", "masks/notes.txt")
    names, found = load_names(tmp_path)
    assert names == [
        ("a.JPG", "a.png"),
        ("b.jpg", "b_segmentation.png"),
        ("c.d.png", "c.d.mask.png"),
    ]
    assert found.n_without_mask == 1
    assert "3 images with a mask, 1 images without one" in found.DESCR


def test_the_longest_name_counts(tmp_path):
    make_files(tmp_path, "images/1.jpg", "images/1_2.jpg", "images/12.jpg")
    make_files(tmp_path, "masks/1_2_mask.png", "masks/1_mask.png", "masks/12-mask.png")
    names, _ = load_names(tmp_path)
    assert names == [
        ("1.jpg", "1_mask.png"),
        ("12.jpg", "12-mask.png"),
        ("1_2.jpg", "1_2_mask.png"),
    ]


def test_a_suffix_chooses_masks_even_beside_the_images(tmp_path):
    make_files(tmp_path, "images/a.jpg", "images/a_globules.png", "images/b.jpg")
    make_files(tmp_path, "images/b_globules.png", "images/b_streaks.png")
    names, _ = load_names(tmp_path, "images", mask_suffix="_globules")
    assert names == [("a.jpg", "a_globules.png"), ("b.jpg", "b_globules.png")]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["images/a.jpg", "masks/a.png", "masks/b.png"], "No image has the name"),
        (["images/a.jpg", "masks/a_1.png", "masks/a_2.png"], "a.jpg has two masks"),
        (["images/1/a.jpg", "images/2/a.jpg", "masks/a.png"], "have the same name"),
        (["images/a.jpg", "masks/a.txt"], "No image in .* has a mask"),
    ],
)
def test_names_that_do_not_match_are_refused(tmp_path, files, message):
    make_files(tmp_path, *files)
    with pytest.raises(ValueError, match=message):
        load_names(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    make_files(tmp_path, "images/a.jpg")
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*masks"):
        load_names(tmp_path)


def test_paths_only(tmp_path):
    make_files(tmp_path, "images/a.jpg", "masks/a.png")
    paths, masks = load_mask_folder(
        tmp_path / "images", tmp_path / "masks", return_X_y=True
    )
    assert paths.tolist() == [str(tmp_path / "images/a.jpg")]
    assert masks.tolist() == [str(tmp_path / "masks/a.png")]
