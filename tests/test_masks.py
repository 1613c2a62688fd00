"""Forms of masks, and errors of what is none."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import re

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

from skinest.masks import check_masks, read_mask
from skinest.metrics import dice_score, iou_score, segmentation_report
from skinest.sampling import has_foreground


@pytest.fixture
def masks():
    masks = np.zeros((3, 20, 30), dtype=np.uint8)
    for i, mask in enumerate(masks):
        mask[2 : 8 + i, 5:25] = 255
    return masks


@pytest.fixture
def paths(masks, tmp_path):
    names = [str(tmp_path / f"{i}_segmentation.png") for i in range(3)]
    for name, mask in zip(names, masks, strict=True):
        cv2.imwrite(name, mask)
    return names


def as_objects(items):
    objects = np.empty(len(items), dtype=object)
    objects[:] = list(items)
    return objects


@pytest.mark.parametrize("form", [np.array, list, tuple, as_objects])
def test_forms_of_arrays(masks, form):
    found = check_masks(form(masks))
    assert len(found) == 3
    for mask, expected in zip(found, masks, strict=True):
        np.testing.assert_array_equal(mask, expected)


def test_forms_of_paths(masks, paths, tmp_path):
    pd = pytest.importorskip("pandas")
    column = pd.DataFrame({"mask": paths})
    as_paths = [tmp_path / name for name in paths]
    for form in (paths, as_paths, np.array(paths), column["mask"], column):
        for mask, expected in zip(check_masks(form), masks, strict=True):
            np.testing.assert_array_equal(mask, expected)


def test_lists_of_pillow_images_and_tensors(masks):
    palette = [
        Image.frombytes("P", mask.shape[::-1], (mask // 255).tobytes())
        for mask in masks
    ]
    for image in palette:
        image.putpalette([0, 0, 0, 250, 10, 10])
    for given, expected in (
        (list(map(Image.fromarray, masks)), masks),
        ([Image.fromarray(mask == 255) for mask in masks], masks == 255),
        (palette, masks // 255),
        ([keras.ops.convert_to_tensor(mask) for mask in masks], masks),
    ):
        found = list(check_masks(given))
        np.testing.assert_array_equal(found, expected)
        assert found[0].dtype == expected.dtype
    with pytest.raises(ValueError, match=r"y\[0\] has shape \(20, 30, 3\)"):
        check_masks([Image.fromarray(mask).convert("RGB") for mask in masks])


def test_masks_of_different_sizes_and_types():
    given = [np.eye(3, dtype=bool), np.full((2, 5), 7), np.ones((4, 4), np.uint16)]
    found = check_masks(given)
    assert [mask.dtype for mask in found] == [mask.dtype for mask in given]
    assert found.read(1)[1].tolist() == [7]
    assert found.read(0)[1].tolist() == [False, True]


def test_files_keep_their_labels(tmp_path):
    deep = np.array([[0, 1000, 65535]], dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    np.testing.assert_array_equal(read_mask(tmp_path / "deep.png"), deep)
    bits = np.array([[0, 255, 255, 0]], dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "bits.png"), bits, [cv2.IMWRITE_PNG_BILEVEL, 1])
    np.testing.assert_array_equal(read_mask(tmp_path / "bits.png"), bits)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int64, np.uint64])
def test_labels_of_every_type(dtype):
    labels = [0, 3, 100]
    if dtype == np.int64:
        labels = [*labels, 2**40]
    mask = np.random.default_rng(0).choice(np.array(labels, dtype), (50, 60))
    found = check_masks([mask]).read(0)[1]
    assert found.tolist() == labels
    assert found.dtype == dtype


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (None, "y is None"),
        ("a.png", "single path, 'a.png'"),
        (b"\x89PNG" * 9999, "type bytes, 39996 long: the content of a file"),
        ([], "y is empty"),
        (iter([]), "list_iterator"),
        (np.array([0, 1, 1]), r"y\[0\] is 0: one label for each image.*a classifier"),
        (np.zeros((4, 5)), r"shape \(4, 5\).*y\[np.newaxis\]"),
        (np.zeros((2, 4, 5, 1), int), r"shape \(2, 4, 5, 1\).*y\[\.\.\., 0\]"),
        (np.zeros((2, 4, 5)), r"y\[0\] is of dtype float64.*threshold"),
        ([np.zeros((4, 5, 3), np.uint8)], r"y\[0\] has shape \(4, 5, 3\)"),
        ([np.zeros((0, 5), np.uint8)], r"y\[0\].*has no pixels"),
        ([np.zeros((4, 5), np.uint8), None], r"y\[1\] is of type NoneType \(None\)"),
        ([0, 1], r"y\[0\] is 0: one label for each image.*FrozenEstimator"),
        (np.array([0, 1, 1], dtype=object), r"y\[0\] is 0: one label for each image"),
        (np.array([[0], [1]]), r"y has shape \(2, 1\): one label for each image"),
        (
            np.ma.masked_array(np.eye(4, 5, dtype=np.uint8)[np.newaxis]),
            r"y is a masked array.*y\.filled\(label\)",
        ),
        ([np.ma.masked_array(np.eye(4, dtype=np.uint8))], r"y\[0\] is a masked array"),
    ],
)
def test_wrong_arrays(y, says):
    with pytest.raises(ValueError, match=says):
        check_masks(y)


def test_errors_carry_the_given_name():
    with pytest.raises(ValueError, match=r"y_val\[0\] is of dtype"):
        check_masks([np.zeros((4, 5))], name="y_val")


def test_missing_files_are_named_at_once(paths, tmp_path):
    wrong = [*paths, str(tmp_path / "none.png"), str(tmp_path)]
    with pytest.raises(FileNotFoundError, match=r"2 of 5 paths.*y\[3\].*none\.png"):
        check_masks(wrong)
    with pytest.raises(ValueError, match=r"y\[3\] is of type ndarray"):
        check_masks([*paths, np.zeros((4, 5), np.uint8)])


def test_wrong_files_are_named_when_read(tmp_path):
    files = {name: tmp_path / name for name in ("colour.png", "grey.jpg", "text.png")}
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    cv2.imwrite(str(files["colour.png"]), noise)
    cv2.imwrite(str(files["grey.jpg"]), noise[..., 0])
    files["text.png"].write_text("no image")
    says = {
        "colour.png": "colour image of 3 channels",
        "grey.jpg": r"different values from \d+ to \d+.*at most 32.*PNG",
        "text.png": "not an image",
    }
    masks = check_masks(list(files.values()))
    for position, name in enumerate(files):
        place = rf"y\[{position}\]: .*{re.escape(name)}"
        with pytest.raises(ValueError, match=rf"{place}.*{says[name]}"):
            masks[position]
        with pytest.raises(ValueError, match=rf"{re.escape(name)}.*{says[name]}"):
            read_mask(files[name])


@pytest.mark.parametrize("quality", [50, 75, 95, 100])
@pytest.mark.parametrize("foreground", [1, 2, 255])
def test_jpeg_gives_no_labels_that_were_not_drawn(tmp_path, quality, foreground):
    mask = np.zeros((60, 80), dtype=np.uint8)
    cv2.circle(mask, (40, 30), 17, foreground, thickness=-1)
    path = str(tmp_path / "mask.jpg")
    cv2.imwrite(path, mask, [cv2.IMWRITE_JPEG_QUALITY, quality])
    values = np.unique(cv2.imread(path, cv2.IMREAD_UNCHANGED))
    if len(values) <= 2:
        assert read_mask(path).shape == mask.shape
    else:
        with pytest.raises(ValueError, match=r"mask\.jpg.*JPEG.*PNG"):
            read_mask(path)
    if foreground == 255:
        assert len(values) > 2  # or the test shows nothing


def test_smooth_edges_are_refused_in_arrays_too():
    blurred = np.array([[0, 1, 3, 0], [255, 254, 250, 0]], dtype=np.uint8)
    with pytest.raises(
        ValueError, match=r"y\[1\] has 6 different values near 0 and near 255.*> 127"
    ):
        check_masks([blurred > 9, blurred])[1]


NEGATIVE = [
    np.array([[[0, 1, 0]], [[0, -1, -1]]]),
    [np.zeros((2, 2), np.uint8), np.array([[-1, 0], [0, 0]], np.int8)],
]


@pytest.mark.parametrize("y", NEGATIVE, ids=["array", "list"])
def test_negative_labels_are_refused(y):
    other = [np.zeros(mask.shape, np.uint8) for mask in y]
    for name, call in {
        "y": lambda: has_foreground(None, y),
        "y_true": lambda: dice_score(y, other),
        "y_pred": lambda: segmentation_report(other, y),
    }.items():
        says = rf"{name}\[1\] has the label -1, .*pass ignore_label=-1; .* by 0"
        with pytest.raises(ValueError, match=says):
            call()
    assert check_masks(y, ignore_label=-1).read(1)[1].tolist() == [0]


@pytest.mark.parametrize("labels", [[0, 1, 2, 255], [0, 100, 255]])
def test_labels_that_are_meant_are_kept(labels):
    mask = np.array([labels], dtype=np.int16)
    assert check_masks([mask]).read(0)[1].tolist() == labels


def test_thirty_two_labels_are_taken_and_no_more():
    mask = np.arange(33, dtype=np.uint8)[np.newaxis]
    assert len(check_masks([mask[:, :32]]).read(0)[1]) == 32
    with pytest.raises(ValueError, match=r"y\[0\] has 33 different values"):
        check_masks([mask])[0]


# Two codings of one foreground.


@pytest.mark.parametrize(
    ("first", "second"), [(1, 255), (True, 255), (255, 65535), (1, 65535)]
)
def test_masks_of_two_codings_are_named(first, second):
    masks = [np.eye(6, dtype=bool) * np.uint16(value) for value in (first, second, 0)]
    if first is True:
        masks[0] = np.eye(6, dtype=bool)
    says = rf"y_true\[0\] has the foreground {int(first)}, but y_true\[1\] has {second}"
    for score in (dice_score, iou_score, segmentation_report):
        with pytest.raises(ValueError, match=says):
            score(masks, [masks[0]] * 3)
        with pytest.raises(ValueError, match=r"y_pred\[0\] has.*y_pred\[1\] has"):
            score([masks[2]] * 3, masks)


def test_labels_that_differ_on_purpose_are_accepted():
    one, other = np.eye(6, dtype=np.uint8), np.eye(6, dtype=np.uint8) * 255
    both = one + other[::-1]
    pair = [one, other]
    assert dice_score(pair, pair, labels=[1, 255], zero_division=1.0) == 1
    for third in (both, one * 2):
        masks = [*pair, third]
        assert dice_score(masks, masks, zero_division=1.0) == 1
