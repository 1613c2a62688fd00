"""Forms of X, and errors of bad input."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import sys
import threading
import time
import warnings
from pathlib import Path

import cv2
import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skinest.images import (
    ImageCollection,
    check_images,
    list_unreadable,
    read_image,
)
from skinest.masks import check_masks, read_mask


@pytest.fixture
def rgb():
    """Return three smooth colour images."""
    small = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3), dtype=np.uint8)
    return np.stack([cv2.resize(image, (40, 30)) for image in small])


@pytest.fixture
def paths(rgb, tmp_path):
    names = [str(tmp_path / f"{i}.png") for i in range(len(rgb))]
    for name, image in zip(names, rgb, strict=True):
        Image.fromarray(image).save(name)
    return names


def assert_reads(X, expected):
    images = check_images(X)
    assert len(images) == len(expected)
    for image, wanted in zip(images, expected, strict=True):
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, wanted)


def object_array(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


ARRAY_FORMS = {
    "uint8": lambda rgb: rgb,
    "uint16": lambda rgb: rgb.astype(np.uint16) * 257,
    "big endian uint16": lambda rgb: (rgb.astype(np.uint16) * 257).astype(">u2"),
    "float64": lambda rgb: rgb / 255,
    "float32": lambda rgb: (rgb / 255).astype(np.float32),
    "alpha": lambda rgb: np.concatenate([rgb, 255 - rgb[..., :1]], axis=-1),
    "list": lambda rgb: list(rgb),
    "tuple": lambda rgb: tuple(rgb),
    "object array": lambda rgb: object_array(list(rgb)),
    "object column": lambda rgb: object_array(list(rgb)).reshape(-1, 1),
    "Fortran order": np.asfortranarray,
}


@pytest.mark.parametrize("form", ARRAY_FORMS)
def test_every_form_of_arrays_reads_as_the_same_uint8_rgb(form, rgb):
    assert_reads(ARRAY_FORMS[form](rgb), rgb)


def test_16_bits_are_rounded_to_the_nearest_of_8():
    values = np.arange(2**16, dtype=np.uint16).reshape(1, 256, 256)
    expected = np.repeat(np.rint(values / 257)[..., np.newaxis], 3, axis=-1)
    assert_reads(values, expected)


@pytest.mark.parametrize("largest", [255, 4095])
def test_16_bits_that_would_be_black_are_warned_of_once(largest, tmp_path):
    X = np.full((2, 4, 5), largest, dtype=np.uint16)
    with pytest.warns(UserWarning, match=f"X is uint16.* {largest} to {largest}.*12 b"):
        check_images(X)
    with pytest.warns(UserWarning, match="X_val is uint16"):
        check_images(list(X.astype(">u2")), name="X_val")
    cv2.imwrite(str(tmp_path / "dark.png"), X[0])
    with pytest.warns(UserWarning, match=r"dark\.png' is uint16 with values from"):
        read_image(tmp_path / "dark.png")


@pytest.mark.filterwarnings("error")
def test_black_and_bright_images_of_16_bits_are_not_warned_of():
    black = np.zeros((2, 4, 5), dtype=np.uint16)
    check_images(black)
    check_images([black[0], black[0] + 65535])


def test_half_floats_are_rounded_as_others(rgb):
    halves = (rgb / 255).astype(np.float16)
    assert_reads(halves, np.rint(halves.astype(float) * 255))


def test_floats_that_leave_the_range_by_rounding_are_clipped():
    X = np.full((1, 4, 5, 3), [-0.0009, 0.5, 1.0009])
    assert_reads(X, np.full((1, 4, 5, 3), [0, 128, 255]))


def test_grey_is_repeated_to_three_channels(rgb):
    grey = rgb[..., 0]
    wanted = np.repeat(grey[..., np.newaxis], 3, axis=-1)
    assert_reads(grey, wanted)
    assert_reads(grey[..., np.newaxis], wanted)
    assert_reads(list(grey), wanted)


def test_arrays_of_different_sizes(rgb):
    X = [rgb[0], rgb[1, :11], rgb[2, :, :13, 0]]
    assert [image.shape for image in check_images(X)] == [
        (30, 40, 3),
        (11, 40, 3),
        (30, 13, 3),
    ]


PATH_FORMS = {
    "list": list,
    "tuple": tuple,
    "Path": lambda paths: [Path(path) for path in paths],
    "str array": np.array,
    "object array": object_array,
    "variable length str": lambda paths: np.array(paths, np.dtypes.StringDType()),
    "column": lambda paths: np.array(paths, dtype=object).reshape(-1, 1),
    "Series": pd.Series,
    "Series with an index": lambda paths: pd.Series(paths, index=[7, 5, 9]),
    "DataFrame": lambda paths: pd.DataFrame({"path": paths}),
}


@pytest.mark.parametrize("form", PATH_FORMS)
def test_every_form_of_paths_reads_as_the_same_images(form, paths, rgb):
    assert_reads(PATH_FORMS[form](paths), rgb)


def test_read_only_arrays_and_memory_maps(rgb, tmp_path):
    np.save(tmp_path / "rgb.npy", rgb)
    mapped = np.load(tmp_path / "rgb.npy", mmap_mode="r")
    assert_reads(mapped, rgb)
    rgb.setflags(write=False)
    assert_reads(rgb, rgb)


def save(folder, name, image, **options):
    path = folder / name
    image.save(path, **options)
    return str(path)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "RGB", "I;16"])
def test_files_of_every_colour_mode(mode, rgb, tmp_path):
    image = Image.fromarray(rgb[0])
    if mode == "I;16":
        sixteen = Image.fromarray(rgb[0, ..., 0].astype(np.uint16) * 257)
        path = save(tmp_path, "16.png", sixteen)
        wanted = np.repeat(rgb[0, ..., :1], 3, axis=-1)
    else:
        image = image.convert(mode)
        path = save(tmp_path, "image.png", image)
        # Pillow pastes alpha away by dropping it, as we do.
        wanted = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read_image(path), wanted)


def test_cmyk_jpeg_is_read_as_pillow_reads_it(rgb, tmp_path):
    path = save(tmp_path, "cmyk.jpg", Image.fromarray(rgb[0]).convert("CMYK"))
    wanted = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert np.abs(read_image(path) - wanted).max() <= 2  # rounding of K


@pytest.mark.parametrize("suffix", ["jpg", "bmp", "tif", "webp", "gif", "ppm"])
def test_files_of_other_formats(suffix, rgb, tmp_path):
    path = save(tmp_path, f"image.{suffix}", Image.fromarray(rgb[0]))
    wanted = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert np.abs(read_image(path) - wanted).max() <= 3  # decoders of JPEG differ


def test_names_that_are_not_ascii(rgb, tmp_path):
    path = save(tmp_path, "Läsion 痣 №1.png", Image.fromarray(rgb[0]))
    assert_reads([path], rgb[:1])


def test_files_are_decoded_only_when_asked_for(paths, decoded):
    images = check_images(paths * 1000)
    batches = list(images.batches(7))
    assert decoded.counts(paths) == [0, 0, 0]
    assert sum(len(batch) for batch in batches) == 3000
    assert batches[1][0].shape == (30, 40, 3)
    assert decoded.counts(paths) == [0, 1, 0]


def test_checked_images_are_checked_again(rgb, paths):
    arrays = check_images(rgb)
    assert check_images(arrays) is arrays
    images = check_images(paths, name="X_val")
    assert check_images(images, [0, 1, 1]).key(1) == images.key(1)
    Path(paths[1]).touch()
    again = check_images(images)
    assert again.key(0) == images.key(0) and again.key(1) != images.key(1)
    assert again.where(1) == f"X_val[1]: {paths[1]!r}"
    with pytest.raises(ValueError, match="X has 3 images, but y has 2 entries"):
        check_images(images, [0, 1])
    with pytest.raises(ValueError, match="X is empty"):
        check_images(images[:0])


def test_a_batch_knows_the_positions_in_X(paths):
    Path(paths[2]).write_bytes(b"this is text")
    batch = check_images(paths)[1:][1:]
    assert isinstance(batch, ImageCollection)
    with pytest.raises(ValueError, match=r"X\[2\].*2\.png"):
        batch[0]


def test_slices_with_a_step_are_refused(rgb):
    with pytest.raises(ValueError, match="steps of one"):
        check_images(rgb)[::2]


# Images of other libraries, and paths in other forms.


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "L", "LA", "1"])
def test_images_of_pillow_are_read_as_their_files(mode, rgb, tmp_path):
    image = Image.fromarray(rgb[0]).convert(mode)
    wanted = np.asarray(image.convert("RGB"))
    assert_reads([image, image], [wanted, wanted])


def test_tensors_are_read_as_arrays(rgb):
    tensorflow = pytest.importorskip("tensorflow")
    assert_reads([tensorflow.constant(image) for image in rgb], rgb)
    assert_reads(tensorflow.constant(rgb), rgb)


def test_channels_that_come_first_are_named(rgb):
    with pytest.raises(ValueError, match=r"\(3, 30, 40\).*np\.moveaxis"):
        check_images([np.moveaxis(rgb[0], -1, 0)])


def test_home_and_bytes_in_paths(paths, rgb, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))

    class BytesPath:
        def __fspath__(self):
            return os.fsencode(paths[1])

    for path, image in (("~/0.png", rgb[0]), (BytesPath(), rgb[1])):
        assert_reads([path], [image])
        np.testing.assert_array_equal(read_image(path), image)
    check_images(paths)
    mask = Path(paths[0]).with_name("mask.png")
    Image.fromarray(np.eye(4, dtype=np.uint8)).save(mask)
    np.testing.assert_array_equal(read_mask("~/mask.png"), np.eye(4))
    np.testing.assert_array_equal(check_masks(["~/mask.png"])[0], np.eye(4))


def test_threads_that_list_unreadable_files_leave_the_filters_of_warnings(paths):
    is_second_reading = threading.Event()

    def read(path):
        if path == paths[0]:
            is_second_reading.wait(0.3)
        else:
            is_second_reading.set()
            time.sleep(0.3)  # until the first one has left

    before = list(warnings.filters)
    with joblib.parallel_config("threading"):
        assert list_unreadable(paths[:2], read=read, n_jobs=2) == []
    assert warnings.filters == before


def test_all_unreadable_files_are_listed_with_reasons(paths, rgb, tmp_path):
    smooth = np.add.outer(np.arange(128), np.arange(128)).astype(np.uint8) // 2
    damaged = Path(save(tmp_path, "damaged.jpg", Image.fromarray(smooth)))
    content = damaged.read_bytes()
    damaged.write_bytes(content[: len(content) * 3 // 4] + b"\xff\xd9")
    (tmp_path / "text.png").write_text("text")
    files = [paths[0], tmp_path / "text.png", paths[1], damaged, tmp_path / "none.png"]
    found = list_unreadable(files, n_jobs=2)
    assert [each.position for each in found] == [1, 3, 4]
    assert [each.path for each in found] == [str(files[k]) for k in (1, 3, 4)]
    for each, says in zip(found, ("not an image", "damaged", "not exist"), strict=True):
        assert says in each.reason
    assert [each.position for each in list_unreadable(files[:3], read=read_mask)] == [
        0,
        1,
        2,
    ]


# Keys, by which caches know an image.


def test_key_of_an_array_is_its_content(rgb):
    images = check_images(rgb)
    assert images.key(0) == check_images(list(rgb / 255)).key(0)
    assert len({images.key(0), images.key(1), images.key(2)}) == 3
    flat = check_images(rgb.reshape(3, 40, 30, 3))
    assert flat.key(0) != images.key(0)


def test_key_of_a_file_changes_with_the_file(paths):
    before = check_images(paths).key(0)
    assert before == check_images([Path(paths[0])]).key(0)
    os.utime(paths[0], ns=(1, 1))
    assert check_images(paths).key(0) != before


def test_key_of_a_file_changes_where_size_and_modification_time_do_not(tmp_path):
    path = tmp_path / "lesion.bmp"  # uncompressed: the size says nothing
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    os.utime(path, ns=(10**18, 10**18))
    before = check_images([path]).key(0)
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(tmp_path / "other.bmp")
    os.utime(tmp_path / "other.bmp", ns=(10**18, 10**18))
    os.replace(tmp_path / "other.bmp", path)
    after = check_images([path]).key(0)
    assert before[:3] == after[:3] and before != after


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_key_of_a_file_changes_where_a_linked_folder_does(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        shade = np.full((8, 8), len(name), np.uint8)
        Image.fromarray(shade).save(tmp_path / name / "a.bmp")
        os.utime(tmp_path / name / "a.bmp", ns=(10**18, 10**18))
    keys = []
    for name in ("first", "second"):
        (tmp_path / "data").symlink_to(tmp_path / name)
        keys.append(check_images([tmp_path / "data" / "a.bmp"]).key(0))
        (tmp_path / "data").unlink()
    assert keys[0] != keys[1]


def test_key_of_a_relative_path_is_absolute(paths, monkeypatch):
    monkeypatch.chdir(Path(paths[0]).parent)
    assert check_images(["0.png"]).key(0) == check_images(paths).key(0)


# Bad input.


def test_missing_files_and_folders_are_one_error_before_any_work(paths, tmp_path):
    (tmp_path / "folder.png").mkdir()
    missing = [str(tmp_path / f"missing{i}.png") for i in range(10)]
    X = [paths[0], *missing, str(tmp_path / "folder.png")]
    with pytest.raises(FileNotFoundError) as caught:
        check_images(X)
    message = str(caught.value)
    assert "11 of 12" in message
    assert "missing0.png" in message and "missing2.png" in message
    assert "missing3.png" not in message and "8 more" in message
    with pytest.raises(FileNotFoundError, match=r"X\[1\].*folder\.png.*is a folder"):
        check_images([paths[0], str(tmp_path / "folder.png")])
    with pytest.raises(FileNotFoundError, match=r"X\[0\]: 'no\.png' does not exist"):
        check_images(np.array(["no.png"]))  # whose elements are np.str_
    with pytest.raises(FileNotFoundError, match="does not exist"):
        check_images(["a\0b.png"])
    with pytest.raises(FileNotFoundError, match="is not a regular file"):
        check_images([os.devnull])


def test_an_empty_file_is_an_error_before_any_work(paths):
    Path(paths[1]).write_bytes(b"")
    with pytest.raises(ValueError, match=r"X\[1\].*1\.png.*is empty"):
        check_images(paths)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp", "gif"])
@pytest.mark.parametrize("share", [0.03, 0.5, 0.98])
def test_a_truncated_file_is_named_with_its_position(suffix, share, rgb, tmp_path):
    path = save(tmp_path, f"image.{suffix}", Image.fromarray(rgb[0]))
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: int(len(content) * share)])
    images = check_images([path])
    with pytest.raises(ValueError, match=rf"X\[0\].*image\.{suffix}.*truncated"):
        images[0]


def test_a_file_that_is_no_image_is_named_also_from_a_worker_process(paths):
    Path(paths[1]).write_text("a letter, not an image")
    images = check_images(paths)
    with pytest.raises(ValueError, match=r"X\[1\].*1\.png.*not an image"):
        joblib.Parallel(n_jobs=2)(
            joblib.delayed(images.__getitem__)(i) for i in range(3)
        )


def test_read_image_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_image(tmp_path / "nowhere.png")
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(ValueError, match=r"text\.png"):
        read_image(tmp_path / "text.png")


IMAGE = np.zeros((8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("image.png", r"single path.*\['image.png'\]|single path.*\[path\]"),
        (Path("image.png"), "single path"),
        (b"image.png", "single path"),
        (b"\x89PNG\r\n" + bytes(77_000), r"^X is of type bytes, 77006 long.{,100}$"),
        ([b"\x89PNG\r\n" + bytes(77_000)], r"^X\[0\] is of type bytes\. Pass.{,100}$"),
        (os.path.dirname(__file__), r"is a folder.*glob\('\*\.jpg'.*load_image_folder"),
        (IMAGE, r"\(8, 8, 3\).*one colour image.*X\[np.newaxis\]"),
        (np.zeros((9, 8, 1), np.uint8), "stack of very narrow grey"),
        (np.zeros((9, 8, 4), np.uint8), "one colour image"),
        (np.zeros((9, 8), np.uint8), "table of features"),
        (np.zeros(9, np.uint8), r"\(n_images, height, width\[, 3\]\)"),
        (np.zeros((2, 2, 8, 8, 3), np.uint8), r"\(n_images, height, width\[, 3\]\)"),
        (np.zeros((2, 8, 8, 2), np.uint8), r"X\[0\] has shape \(8, 8, 2\)"),
        (np.zeros((2, 8, 8, 5), np.uint8), r"X\[0\] has shape \(8, 8, 5\)"),
        ([IMAGE, IMAGE[..., :2]], r"X\[1\] has shape \(8, 8, 2\)"),
        ([IMAGE, IMAGE[np.newaxis]], r"X\[1\] has shape \(1, 8, 8, 3\)"),
        ([IMAGE, IMAGE[0, :, 0]], r"X\[1\] has shape \(8,\)"),
        (np.zeros((2, 0, 8, 3), np.uint8), "has no pixels"),
        (np.zeros((0, 8, 8, 3), np.uint8), "X is empty"),
        ([], "X is empty"),
        (np.array([], dtype=object), "X is empty"),
        (pd.Series([], dtype=object), "X is empty"),
        (np.array([]), "X is empty"),
        ([IMAGE * 1.0 + 255], r"X\[0\].*values from 255 to 255.*astype\(np.uint8\)"),
        ([IMAGE, IMAGE - 0.01], r"X\[1\].*values from -0.01.*standardised"),
        ([IMAGE, IMAGE + np.nan], r"X\[1\] has NaN or infinite"),
        ([IMAGE, IMAGE + np.inf], r"X\[1\] has NaN or infinite"),
        ([IMAGE.astype(np.int64) + 7], r"int64.*from 7 to 7.*astype\(np.uint8\)"),
        ([IMAGE.astype(np.int16)], "int16"),
        (np.zeros((2, 8, 8), dtype=bool), r"bool.*astype\(np.uint8\) \* 255"),
        (np.zeros((2, 8, 8), dtype=complex), "complex128"),
        ([IMAGE.astype(object)], r"X\[0\] is of dtype object"),
        (np.zeros((2, 8, 8, 3), dtype=object), "np.stack"),
        ([IMAGE, "image.png"], r"X\[1\] is of type str"),
        (["image.png", IMAGE], r"X\[1\] is of type ndarray"),
        (["image.png", None], r"X\[1\] is of type NoneType \(None\)"),
        (["image.png", float("nan")], r"X\[1\] is of type float \(nan\)"),
        ([[0, 1], [2, 3]], r"X\[0\] is of type list"),
        ([[[1, 2], [3]]], r"X\[0\] is of type list"),
        ([(IMAGE, 0), (IMAGE, 1)], r"X\[0\] is of type tuple"),
        (np.ma.masked_array(IMAGE[np.newaxis]), "masked array"),
        ([IMAGE, np.ma.masked_array(IMAGE)], r"X\[1\] is a masked array.*filled"),
        (object_array([np.ma.masked_array(IMAGE)] * 2), r"X\[0\] is a masked array"),
        (np.array([b"image.png"]), "bytes"),
        ([1, 2, 3], r"X\[0\] is of type int"),
        (iter([IMAGE]), "list_iterator"),
        ({"image": IMAGE}, "dict"),
        (None, "NoneType"),
        (pd.DataFrame({"path": ["a"], "mask": ["b"]}), "table of 2 columns"),
        (np.array([["a", "b"]], dtype=object), r"shape \(1, 2\)"),
    ],
)
def test_what_cannot_be_images_says_what_to_pass(X, message):
    with pytest.raises(ValueError, match=message):
        check_images(X)


def test_X_and_y_of_different_length(rgb):
    with pytest.raises(ValueError, match="X has 3 images, but y has 2 entries"):
        check_images(rgb, [0, 1])
    check_images(rgb, [0, 1, 1])


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX")
@pytest.mark.skipif(
    hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read all files"
)
def test_a_file_without_permission_is_named(paths):
    os.chmod(paths[0], 0)
    with pytest.raises(FileNotFoundError, match=r"X\[0\].*0\.png.*cannot be read"):
        check_images(paths)
