"""Files of many formats hold the pixels that were written."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import io
import os
import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from skinest.images import check_images, read_image
from skinest.masks import check_masks, read_mask

from .image_files import CASES, INDICES, make_png, set_tag


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_read_as_it_was_written(name, tmp_path):
    write, rgb, tolerance = CASES[name]
    write(tmp_path / name)
    image = read_image(tmp_path / name)
    assert image.shape == rgb.shape
    assert np.abs(image.astype(int) - rgb).max() <= tolerance
    np.testing.assert_array_equal(check_images([tmp_path / name])[0], image)


def test_values_of_deep_images_of_pillow_are_not_cut_off():
    values = np.array([[0, 70], [255, 128]], np.uint8)
    deep = values.astype(np.uint16) * 257
    image = Image.frombytes("I;16B", (2, 2), deep.astype(">u2").tobytes())
    np.testing.assert_array_equal(check_images([image])[0][..., 0], values)
    with pytest.raises(ValueError, match=r"X\[0\] is of dtype int32.*np\.uint16"):
        check_images([Image.fromarray(deep.astype(np.int32))])


def write(path, name):
    CASES[name].write(path)
    return path.read_bytes()


@pytest.mark.parametrize("n_bits", [4, 8, 10, 12, 14, 16])
@pytest.mark.parametrize("form", ["jp2", "j2k"])
def test_jpeg_2000_has_any_number_of_bits(n_bits, form, tmp_path):
    shades = np.linspace(0, 2**n_bits - 1, 16).round()
    rgb = np.stack([shades, shades[::-1], shades], axis=-1)[np.newaxis]
    content = imagecodecs.jpeg2k_encode(
        rgb.astype(np.uint8 if n_bits <= 8 else np.uint16),
        level=0,
        bitspersample=n_bits,
        codecformat=form,
    )
    (tmp_path / "rgb.jp2").write_bytes(content)
    expected = rgb / (2**n_bits - 1) * 255
    np.testing.assert_allclose(read_image(tmp_path / "rgb.jp2"), expected, atol=1)


def test_jpeg_2000_with_a_palette_has_its_colours(tmp_path):
    """Indices of 4 bits, and a box of 8-bit colours before the codestream."""
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colours = np.random.default_rng(0).integers(0, 256, (16, 3), dtype=np.uint8)
    options = {"level": 0, "bitspersample": 4, "codecformat": "jp2"}
    content = bytes(imagecodecs.jpeg2k_encode(indices, **options))
    palette = make_box(
        b"pclr", struct.pack(">HB3B", 16, 3, 7, 7, 7) + colours.tobytes()
    )
    mapping = make_box(
        b"cmap", b"".join(struct.pack(">HBB", 0, 1, i) for i in range(3))
    )
    start = content.index(b"jp2h") - 4
    (size,) = struct.unpack_from(">I", content, start)
    boxes = content[start + 8 : start + size] + palette + mapping
    # A palette has colours, so the colour space of grey becomes sRGB.
    boxes = boxes.replace(
        struct.pack(">4sBBBI", b"colr", 1, 0, 0, 17),
        struct.pack(">4sBBBI", b"colr", 1, 0, 0, 16),
    )
    content = content[:start] + make_box(b"jp2h", boxes) + content[start + size :]
    (tmp_path / "palette.jp2").write_bytes(content)
    np.testing.assert_array_equal(
        read_image(tmp_path / "palette.jp2"), colours[indices]
    )


def make_box(name, content):
    return struct.pack(">I4s", 8 + len(content), name) + content


@pytest.mark.parametrize("factor", [1, 256, 257])
def test_a_tiff_with_a_palette_has_its_colours(factor, tmp_path):
    """Entries of the palette have 16 bits, and programs scale 8 bits to them."""
    indices = np.array([[0, 1, 2], [3, 2, 1]], np.uint8)
    colours = np.zeros((256, 3), np.uint16)
    colours[:4] = [255, 255, 255], [128, 128, 128], [200, 10, 254], [1, 0, 0]
    table = (colours * factor).T.astype(np.uint16)
    path = tmp_path / "palette.tif"
    tifffile.imwrite(path, indices, photometric="palette", colormap=table)
    np.testing.assert_array_equal(read_image(path), colours[indices])


@pytest.mark.parametrize("n_bits", [1, 2, 4, 8])
def test_a_tiff_with_a_palette_has_any_number_of_bits(n_bits, tmp_path):
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 2**n_bits, (5, 4), dtype=np.uint8)
    colours = rng.integers(0, 256, (2**n_bits, 3), dtype=np.uint8)
    table = tuple((colours.T.astype(int) * 257).ravel())
    path = tmp_path / "palette.tif"
    tifffile.imwrite(
        path,
        indices.astype(bool) if n_bits == 1 else indices,
        bitspersample=n_bits,
        photometric="minisblack",
        extratags=[(320, 3, len(table), table, True)],
    )
    content = bytearray(path.read_bytes())
    set_tag(content, 262, 3)  # from grey to colours
    path.write_bytes(content)
    np.testing.assert_array_equal(read_image(path), colours[indices])
    np.testing.assert_array_equal(read_mask(path), indices)


def test_a_tiff_of_colours_may_have_1_bit(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 2, (5, 4, 3)).astype(bool)
    planes = np.moveaxis(rgb, -1, 0)
    options = {"photometric": "rgb", "planarconfig": "separate"}
    tifffile.imwrite(tmp_path / "rgb.tif", planes, **options)
    np.testing.assert_array_equal(read_image(tmp_path / "rgb.tif"), rgb * 255)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "a.avif"])
def test_a_colour_profile_is_ignored(name, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    options = {"lossless": True} if name == "a.webp" else {"quality": 100}
    images = []
    for profile in ({}, {"icc_profile": lab}):
        Image.fromarray(pixels).save(tmp_path / name, **options, **profile)
        images.append(read_image(tmp_path / name))
    assert np.array_equal(*images)
    with Image.open(tmp_path / name) as image:
        assert image.info["icc_profile"] == lab


def test_an_orientation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    Image.new("RGB", (40, 30)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").shape == (30, 40, 3)


# Masks: the labels of a file are never changed.


@pytest.mark.parametrize(
    "name", ["palette-4.png", "palette-8.png", "palette.gif", "palette.bmp"]
)
def test_a_mask_with_a_palette_has_its_indices(name, tmp_path):
    CASES[name].write(tmp_path / name)
    np.testing.assert_array_equal(read_mask(tmp_path / name), INDICES)


def test_labels_in_all_formats_without_loss(tmp_path):
    for name, options in {
        "mask.png": {},
        "mask.bmp": {},
        "mask.pgm": {},
        "mask.gif": {},
        "turned.tif": {"tiffinfo": {274: 6}},
        "lzw.tif": {"compression": "tiff_lzw"},
    }.items():
        Image.fromarray(INDICES).save(tmp_path / name, **options)
        np.testing.assert_array_equal(read_mask(tmp_path / name), INDICES, name)


def test_the_largest_value_of_a_netpbm_mask_changes_no_label(tmp_path):
    labels = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    (tmp_path / "a.pgm").write_bytes(b"P5\n3 2\n2\n" + labels.tobytes())
    (tmp_path / "b.pgm").write_bytes(b"P2\n3 2\n2\n0 1 2\n2 1 0\n")
    for name in ("a.pgm", "b.pgm"):
        np.testing.assert_array_equal(read_mask(tmp_path / name), labels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_mask_whose_zero_is_white_is_read_as_it_is_shown(dtype, tmp_path):
    largest = np.iinfo(dtype).max
    mask = np.array([[0, largest, 0]], dtype)
    tifffile.imwrite(tmp_path / "mask.tif", mask, photometric="miniswhite")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.tif"), largest - mask)


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16])
def test_a_zero_that_is_white_has_a_black_of_integers(dtype, read, tmp_path):
    pixels = np.array([[0, 1, 0]], dtype)
    tifffile.imwrite(tmp_path / "white.tif", pixels, photometric="miniswhite")
    with pytest.raises(ValueError, match=r"white\.tif' is a TIFF of .*0 is white"):
        read(tmp_path / "white.tif")


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "jpeg"])
def test_a_tiff_of_luminance_and_chroma_has_its_colours(compression, tmp_path):
    rows, columns = np.mgrid[:48, :48]
    colours = 40 + 4 * rows, 30 + 4 * columns, 255 - 3 * rows - 2 * columns
    image = np.stack(colours, axis=-1).clip(0, 255).astype(np.uint8)
    options = {} if compression is None else {"compression": compression}
    Image.fromarray(image).convert("YCbCr").save(tmp_path / "image.tif", **options)
    found = read_image(tmp_path / "image.tif").astype(int)
    assert np.abs(found - image).mean() < 2


@pytest.mark.parametrize("compression", ["jpeg2000", "png", "webp", "zstd"])
def test_decoders_of_a_tiff_leave_luminance_and_chroma(compression, tmp_path):
    image = np.full((16, 16, 3), (200, 120, 90), np.uint8)
    pixels = np.asarray(Image.fromarray(image).convert("YCbCr"))
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, pixels, photometric="ycbcr", compression=compression)
    assert np.abs(read_image(path).astype(int) - image).max() <= 4


def make_jpeg(image, mode):
    content = io.BytesIO()
    image = image.convert("RGB").convert("CMYK" if mode == "YCCK" else mode)
    image.save(content, "jpeg", subsampling=0)
    written = bytearray(content.getvalue())
    if mode == "YCCK":
        written[written.index(b"Adobe") + 11] = 2  # the kind of colours
    return bytes(written)


@pytest.mark.parametrize("mode", ["CMYK", "YCCK", "CMYK without a marker"])
def test_a_jpeg_of_inks_has_the_colours_that_pillow_gives(mode, tmp_path):
    colours = CASES["cmyk.jpg"].rgb
    content = make_jpeg(Image.fromarray(colours), mode[:4])
    if mode.endswith("marker"):
        content = content[:2] + content[content.index(b"\xff\xdb") :]
    (tmp_path / "lesion.jpg").write_bytes(content)
    with Image.open(tmp_path / "lesion.jpg") as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "lesion.jpg"), expected)


# Damaged files.


@pytest.mark.parametrize("harm", ["cut, with an end", "zeroes"])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCCK"])
def test_a_damaged_jpeg_is_warned_of(mode, harm, tmp_path, capfd):
    smooth = np.add.outer(np.arange(128), np.arange(128)).astype(np.uint8)
    content = make_jpeg(Image.fromarray(smooth // 2), mode)
    late = len(content) * 3 // 4
    if harm == "zeroes":
        content = content[:late] + bytes(50) + content[late + 50 :]
    else:
        content = content[:late] + b"\xff\xd9"
    (tmp_path / "lesion.jpg").write_bytes(content)
    with pytest.warns(UserWarning, match=r"X\[0\].*lesion\.jpg' is damaged in part"):
        image = check_images([tmp_path / "lesion.jpg"])[0]
    assert image.shape == (128, 128, 3)
    assert capfd.readouterr() == ("", "")


ONE_OF_EACH = [
    "rgb.jpg",
    "cmyk.jpg",
    "raw-strips-rgb8.tif",
    "lzw-tiles-rgb16.tif",
    "rgb.png",
]
ONE_OF_EACH += ["rgb.bmp", "rgb.webp", "grey.gif", "rgb.ppm", "rgb.jp2", "rgb.avif"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_truncated_files_are_named_and_the_terminal_stays_quiet(name, tmp_path, capfd):
    content = write(tmp_path / name, name)
    for share in np.linspace(0.01, 0.99, 15):
        (tmp_path / name).write_bytes(content[: int(share * len(content))])
        with pytest.raises(ValueError, match=rf"X\[0\].*{name}' is .*truncated"):
            check_images([tmp_path / name])[0]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (bytes(128) + b"DICM", "DICOM.*pydicom"),
        (b"\0\0\0\x18ftypheic", "HEIC.*pillow-heif"),
        (b"%PDF-1.7", "PDF"),
        (b"<!DOCTYPE html>", "HTML.*Download it again"),
        (b"PK\x03\x04", "zip archive.*Unpack"),
        (b"a letter", "not an image of a format that is read.*JPEG, PNG, TIFF"),
    ],
)
def test_other_formats_are_named_with_what_to_do(content, says, tmp_path):
    (tmp_path / "file.jpg").write_bytes(content)
    for read in (read_image, read_mask):
        with pytest.raises(ValueError, match=rf"file\.jpg' is .*{says}"):
            read(tmp_path / "file.jpg")


def test_a_tiff_that_is_no_picture_says_what_it_is(tmp_path):
    path = tmp_path / "file.tif"
    for photometric, says in (("minisblack", "3 channels"), ("cielab", "kind CIELAB")):
        pixels = np.zeros((4, 5, 3), np.uint8)
        tifffile.imwrite(path, pixels, photometric=photometric, planarconfig="contig")
        with pytest.raises(ValueError, match=rf"file\.tif' is a TIFF of {says}"):
            read_image(path)
    tifffile.imwrite(path, np.zeros((4, 5), np.int16))
    with pytest.raises(ValueError, match=r"file\.tif' is of dtype int16"):
        read_image(path)
    tifffile.imwrite(path, np.full((4, 5), 2.0, np.float32))
    with pytest.raises(ValueError, match=r"file\.tif' .*values from 2 to 2"):
        read_image(path)


# The limit of pixels: a header of a few bytes can promise any size.


def make_huge(name):
    size = 40_000, 40_000
    if name == "huge.png":
        content = make_png(np.zeros((2, 2), np.uint16), 1)
        return content[:16] + struct.pack(">II", *size) + content[24:]
    if name == "huge.pnm":
        return b"P5\n%d %d\n255\n" % size
    if name == "huge.bmp":
        content = io.BytesIO()
        Image.new("1", (2, 2)).save(content, "bmp")
        content = content.getvalue()
        return content[:18] + struct.pack("<ii", *size) + content[26:]
    content = io.BytesIO()
    options = {"rowsperstrip": 40_000} if name == "huge.tif" else {}
    tifffile.imwrite(content, np.zeros((2, 2), np.uint8), **options)
    content = bytearray(content.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(content))) as file:
        for code, value in zip((256, 257), size, strict=True):
            offset = file.pages.first.tags[code].valueoffset
            n_bytes = file.pages.first.tags[code].valuebytecount
            content[offset : offset + n_bytes] = value.to_bytes(n_bytes, "little")
    return bytes(content)


@pytest.mark.parametrize("name", ["huge.png", "huge.pnm", "huge.bmp", "huge.tif"])
def test_an_image_over_the_limit_of_pixels_is_named(name, tmp_path):
    (tmp_path / name).write_bytes(make_huge(name))
    for read in (read_image, read_mask):
        with pytest.raises(ValueError, match=rf"{name}' is .*limit of.*Shrink it"):
            read(tmp_path / name)


def test_the_limit_of_pixels_can_be_set(tmp_path, monkeypatch):
    CASES["rgb.png"].write(tmp_path / "lesion.png")
    monkeypatch.setenv("SKINEST_MAX_IMAGE_PIXELS", "1960")
    with pytest.raises(ValueError, match=r"lesion\.png.*37 x 53.*limit of 1,960.*SKIN"):
        read_image(tmp_path / "lesion.png")
    for limit in ("1961", ""):
        monkeypatch.setenv("SKINEST_MAX_IMAGE_PIXELS", limit)
        assert read_image(tmp_path / "lesion.png").shape == (37, 53, 3)
    monkeypatch.setenv("SKINEST_MAX_IMAGE_PIXELS", "1e9")
    with pytest.raises(ValueError, match=r"lesion\.png.*PIXELS is '1e9'.*whole number"):
        read_image(tmp_path / "lesion.png")


def test_the_limit_of_pillow_is_named(tmp_path, monkeypatch):
    for name in ("grey.bmp", "cmyk.jpg"):
        CASES[name].write(tmp_path / name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(ValueError, match=r"grey\.bmp.*PIL\.Image\.MAX.*SKINEST_MAX"):
        read_image(tmp_path / "grey.bmp")
    read_image(tmp_path / "cmyk.jpg")  # Pillow does not open it


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ["grey.bmp", "rgb.webp", "rgb.jp2", "cmyk.jpg"])
def test_pillow_s_warnings_of_size_are_not_shown(name, tmp_path, monkeypatch):
    """They name no file; the limit of pixels is another one."""
    CASES[name].write(tmp_path / name)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)
    read_image(tmp_path / name)


# What is no file.


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
def test_a_pipe_in_the_place_of_a_file_is_refused(tmp_path):
    path = tmp_path / "pipe.png"
    CASES["rgb.png"].write(path)
    images, masks = check_images([path]), check_masks([path])
    path.unlink()
    os.mkfifo(path)
    for read in (lambda: images[0], lambda: masks[0], lambda: read_image(path)):
        with pytest.raises(
            FileNotFoundError, match=r"pipe\.png' is not a regular file"
        ):
            read()


def test_a_file_deleted_after_the_check_is_named_with_its_position(tmp_path):
    path = tmp_path / "gone.png"
    CASES["rgb.png"].write(path)
    images, masks = check_images([path]), check_masks([path])
    path.unlink()
    for collection, name in ((images, "X"), (masks, "y")):
        with pytest.raises(
            FileNotFoundError, match=rf"{name}\[0\].*gone\.png' does not"
        ):
            collection[0]
    for wrong, says in ((tmp_path, "is a folder"), ("a\0b", "does not exist")):
        with pytest.raises(FileNotFoundError, match=says):
            read_image(wrong)
        with pytest.raises(FileNotFoundError, match=says):
            read_mask(wrong)
