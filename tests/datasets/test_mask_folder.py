"""Images and masks that are matched by the names of their files."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import warnings
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
        (["images/a.jpg", "images/a.png", "masks/a.png"], "have the same name"),
        (["images/1/a.jpg", "images/2/a.jpg", "masks/3/a.png"], "have the same name"),
        (["images/a.jpg", "masks/a_1.png", "masks/a_2.png"], "a.jpg has two masks"),
        (["images/1/a.jpg", "images/2/a.jpg", "masks/a.png"], "have the same name"),
        (["images/a.jpg", "masks/a.txt"], "No image in .* has a mask"),
    ],
)
def test_names_that_do_not_match_are_refused(tmp_path, files, message):
    make_files(tmp_path, *files)
    with pytest.raises(ValueError, match=message):
        load_names(tmp_path)


@pytest.mark.parametrize(
    ("images", "masks", "suffix"),
    [
        (["L1", "L2"], ["L1_2_mask", "L2_mask"], "_mask"),
        (["L1", "L2", "L3"], ["L1-2", "L2", "L3"], ""),
        (["L1", "L2", "L3"], ["L1_mask", "L2_1_mask", "L3_1_mask"], "_mask"),
        (["L1", "L2"], ["L1_20200131_mask", "L2_20210131_mask"], "_mask"),
        (["l1", "L2"], ["L1.2.jpg", "l2.jpg"], ".jpg"),
        (["a", "b"], ["a_left_mask", "b_mask"], "_mask"),
    ],
)
def test_the_mask_of_a_missing_image_is_not_that_of_another(
    tmp_path, images, masks, suffix
):
    make_files(tmp_path, *(f"images/{name}.jpg" for name in images))
    make_files(tmp_path, *(f"masks/{name}.png" for name in masks))
    with pytest.raises(ValueError, match=r"texts follow.* mask_suffix") as info:
        load_names(tmp_path)
    assert all(f"{name}.png" in str(info.value) for name in masks[:2])
    with pytest.raises(ValueError, match="No image has the name of the mask"):
        load_names(tmp_path, mask_suffix=suffix)


def test_a_missing_image_does_not_matter_if_its_mask_is_missing_too(tmp_path):
    make_files(tmp_path, "images/L1.jpg", "images/L2.jpg", "images/L2_1.jpg")
    make_files(tmp_path, "masks/L1_left_mask.png", "masks/L2-Left-mask.png")
    names, found = load_names(tmp_path)
    assert names == [
        ("L1.jpg", "L1_left_mask.png"),
        ("L2.jpg", "L2-Left-mask.png"),
    ]
    assert found.n_without_mask == 1


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


def test_images_without_a_mask_are_warned_of_unless_they_are_counted(tmp_path):
    make_files(tmp_path, "images/a.jpg", "images/b.jpg", "images/c.jpg", "masks/a.png")
    folders = tmp_path / "images", tmp_path / "masks"
    with pytest.warns(
        UserWarning, match=r"2 of the 3 images in .* such as 'b\.jpg'"
    ) as seen:
        paths, _ = load_mask_folder(*folders, return_X_y=True)
    assert [Path(path).name for path in paths] == ["a.jpg"]
    assert [warning.filename for warning in seen] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_mask_folder(*folders).n_without_mask == 2
        (tmp_path / "images" / "b.jpg").unlink()
        (tmp_path / "images" / "c.jpg").unlink()
        load_mask_folder(*folders, return_X_y=True)


@pytest.mark.parametrize(
    ("images", "masks"), [("images", "images/masks"), ("masks/images", "masks")]
)
def test_one_folder_inside_of_the_other_has_no_part_in_it(tmp_path, images, masks):
    make_files(tmp_path, f"{images}/a.jpg", f"{images}/b.jpg", f"{images}/c.jpg")
    make_files(tmp_path, f"{masks}/a.png", f"{masks}/b_mask.png")
    found = load_mask_folder(tmp_path / images, tmp_path / masks)
    assert [Path(path).name for path in found.mask_paths] == ["a.png", "b_mask.png"]
    assert found.n_without_mask == 1


def test_inner_folder_has_no_image_beside_masks_of_a_suffix(tmp_path):
    make_files(tmp_path, "images/a.jpg", "images/masks/a_globules.png")
    make_files(tmp_path, "images/masks/a_streaks.png")
    names, found = load_names(tmp_path, "images/masks", mask_suffix="_globules")
    assert names == [("a.jpg", "a_globules.png")]
    assert found.n_without_mask == 0


def test_an_image_is_never_its_own_mask(tmp_path):
    make_files(tmp_path, "images/a.jpg", "images/a_mask.png")
    with pytest.raises(ValueError, match=r"have the same files.* mask_suffix"):
        load_names(tmp_path, "images")
    assert load_names(tmp_path, "images", mask_suffix="_mask")[0] == [
        ("a.jpg", "a_mask.png")
    ]


def test_masks_of_images_with_the_same_name_are_in_folders_of_the_same_names(tmp_path):
    make_files(tmp_path, "images/a/1.jpg", "images/b/1.jpg", "images/b/2.jpg")
    make_files(tmp_path, "masks/b/1.png", "masks/a/1_mask.png", "masks/2.png")
    _, found = load_names(tmp_path)
    pairs = zip(found.paths, found.mask_paths, strict=True)
    places = [[Path(path).parent.name for path in pair] for pair in pairs]
    assert places == [["a", "a"], ["b", "b"], ["b", "masks"]]


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_images_may_share_the_file_of_an_empty_mask(tmp_path, link):
    make_files(tmp_path, "images/a.jpg", "images/b.jpg", "masks/a.png")
    link(tmp_path / "masks/a.png", tmp_path / "masks/b.png")
    names, found = load_names(tmp_path)
    assert names == [("a.jpg", "a.png"), ("b.jpg", "b.png")]
    assert found.n_without_mask == 0


def test_two_names_of_the_file_of_a_mask_are_one_mask(tmp_path):
    make_files(tmp_path, "images/a.jpg", "masks/a.png")
    os.symlink(tmp_path / "masks/a.png", tmp_path / "masks/a_newest.png")
    assert load_names(tmp_path)[0] == [("a.jpg", "a.png")]
    make_files(tmp_path, "images/b.jpg", "masks/b.png")
    os.symlink(tmp_path / "masks/b.png", tmp_path / "masks/b-newest.png")
    assert [image for image, _ in load_names(tmp_path)[0]] == ["a.jpg", "b.jpg"]


def test_case_of_names_matters_only_between_images(tmp_path):
    make_files(tmp_path, "images/IMG_1.JPG", "images/a.jpg", "images/\u00c9.jpg")
    make_files(tmp_path, "masks/img_1_Mask.png", "masks/A.png")
    make_files(tmp_path, "masks/e\u0301.png")  # as macOS writes it
    assert len(load_names(tmp_path)[0]) == 3
    make_files(tmp_path, "images/A.tif")
    names, _ = load_names(tmp_path)
    assert ("A.tif", "A.png") in names
    assert "a.jpg" not in dict(names)


def test_the_longest_name_counts_before_case(tmp_path):
    make_files(tmp_path, "images/IMG.jpg", "images/img_1.jpg", "masks/IMG_1.png")
    names, found = load_names(tmp_path)
    assert names == [("img_1.jpg", "IMG_1.png")]
    assert found.n_without_mask == 1


def test_exact_case_decides_between_images_of_the_longest_name(tmp_path):
    make_files(tmp_path, "images/A.jpg", "images/A_1.jpg", "images/a_1.jpg")
    make_files(tmp_path, "masks/A_1-mask.png", "masks/a_1-mask.png")
    names, _ = load_names(tmp_path)
    assert names == [("A_1.jpg", "A_1-mask.png"), ("a_1.jpg", "a_1-mask.png")]


def test_case_decides_between_names_in_another_form_of_unicode(tmp_path):
    make_files(tmp_path, "images/\u00c9.jpg", "images/\u00e9.jpg")
    make_files(tmp_path, "masks/e\u0301.png", "masks/E\u0301.png")  # as macOS does
    names, _ = load_names(tmp_path)
    assert names == [
        ("\u00c9.jpg", "E\u0301.png"),
        ("\u00e9.jpg", "e\u0301.png"),
    ]


@pytest.mark.parametrize("suffix", ["_mask.png", "_segmentation"])
@pytest.mark.parametrize("folder", ["masks", "images"])
def test_a_suffix_that_no_mask_has_is_named(tmp_path, folder, suffix):
    make_files(tmp_path, "images/000.jpg", f"{folder}/000_mask.png")
    with pytest.raises(ValueError, match=r"No image in .* has a mask") as info:
        load_names(tmp_path, folder, mask_suffix=suffix)
    said = str(info.value)
    assert f"with mask_suffix={suffix!r}, but" in said
    assert "files such as '000_mask.png'. Pass what masks have after" in said
    assert said.endswith("without the extension.")


def test_a_suffix_that_is_too_short_is_named(tmp_path):
    make_files(tmp_path, "images/000.jpg", "masks/000_mask.png")
    with pytest.raises(ValueError, match=r"000_mask\.png without mask_suffix='mask'\."):
        load_names(tmp_path, mask_suffix="mask")
