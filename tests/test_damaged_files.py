"""Damage that decoders do not notice, or report in their own way."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from skinest.images import check_images, read_image
from skinest.masks import check_masks, read_mask

from .image_files import CASES, INDICES, RGB, set_tag


def write(path, name):
    CASES[name].write(path)
    return bytearray(path.read_bytes())


def set_png_header(content, position, value):
    """Change a byte of the header of a PNG, and its checksum."""
    content[16 + position] = value
    struct.pack_into(">I", content, 29, zlib.crc32(content[12:29]))


@pytest.mark.parametrize("planes", [0, 1792])
def test_a_tiff_of_unknown_planes_is_damaged(planes, tmp_path):
    """Most pixels would be what was in memory before."""
    path = tmp_path / "lesion.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", tile=(16, 16))
    content = bytearray(path.read_bytes())
    set_tag(content, 284, planes)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"lesion\.tif' is damaged.*planar"):
        read_image(path)


def test_a_jpeg_whose_decoder_gives_up_is_damaged(tmp_path):
    """Its pixels would be what was in memory before."""
    path = tmp_path / "lesion.jpg"
    content = write(path, "progressive.jpg")
    start, half = content.index(b"\xff\xc2"), len(content) // 2
    path.write_bytes(content[:half] + content[start:])  # a second header
    with pytest.raises(ValueError, match=r"lesion\.jpg' is truncated or damaged.*two"):
        read_image(path)


def test_libpng_s_messages_are_not_printed(tmp_path):
    paths = []
    for position in (8, 10, 11, 12):  # depth and methods
        content = write(tmp_path / "lesion.png", "rgb.png")
        set_png_header(content, position, 77)
        paths.append(str(tmp_path / f"{position}.png"))
        (tmp_path / paths[-1]).write_bytes(content)
    code = (
        "from skinest.images import list_unreadable\n"
        f"assert len(list_unreadable({paths})) == 4"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.parametrize("size", [b"0 5", b"5 0"])
@pytest.mark.parametrize("read", [read_image, read_mask])
def test_an_image_without_pixels_is_damaged(read, size, tmp_path):
    path = tmp_path / "lesion.pgm"
    path.write_bytes(b"P5\n" + size + b"\n255\n" + bytes(25))
    with pytest.raises(ValueError, match=r"lesion\.pgm' is (damaged|truncated)"):
        read(path)


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize(
    "content",
    [
        b"P5\n3 1\n100\n\1\2\xd5",
        b"P2\n3 1\n100\n1 2 213\n",
        b"P6\n1 1\n100\n\1\2\xd5",
        b"P5\n1 1\n300\n\3\xe8",
    ],
)
def test_a_value_above_the_largest_one_of_the_header_is_damage(content, read, tmp_path):
    (tmp_path / "lesion.pnm").write_bytes(content)
    says = r"lesion\.pnm' is damaged.* value (213|1000),.* largest is (100|300)"
    with pytest.raises(ValueError, match=says):
        read(tmp_path / "lesion.pnm")


@pytest.mark.filterwarnings("error")
def test_a_mask_of_three_channels_with_nan_is_a_colour_image(tmp_path):
    path = tmp_path / "mask.tif"
    pixels = np.full((4, 5, 3), np.nan, dtype=np.float32)
    tifffile.imwrite(path, pixels, photometric="rgb")
    with pytest.raises(ValueError, match=r"mask\.tif' is a colour image"):
        read_mask(path)


def test_an_error_stays_short_if_a_header_holds_many_numbers(tmp_path):
    path = tmp_path / "lesion.tif"
    bits = (258, 3, 300, (8, *range(1, 300)), True)
    tifffile.imwrite(path, RGB, photometric="rgb")
    content = bytearray(path.read_bytes())
    (start,) = struct.unpack_from("<I", content, 4)
    (n_tags,) = struct.unpack_from("<H", content, start)
    for entry in range(start + 2, start + 2 + 12 * n_tags, 12):
        if struct.unpack_from("<H", content, entry) == (bits[0],):
            struct.pack_into("<HHII", content, entry, *bits[:3], len(content))
    path.write_bytes(content + struct.pack("<300H", *bits[3]))
    with pytest.raises(ValueError, match=r"lesion\.tif' is a TIFF of \(8, 1") as raised:
        read_image(path)
    assert len(str(raised.value)) < 400


@pytest.fixture(params=["truncated", "closed", "left"])
def unreadable(request, tmp_path):
    """Return an image of Pillow whose file cannot be read any more."""
    path = tmp_path / "grey.png"
    content = write(path, "grey.png")
    if request.param == "truncated":
        path.write_bytes(content[: len(content) // 2])
        return Image.open(path)
    with Image.open(path) as image:
        pass
    if request.param == "closed":
        image.close()
    return image


@pytest.mark.parametrize("check", [check_images, check_masks])
def test_an_image_of_pillow_that_cannot_be_read_has_a_position(check, unreadable):
    images = [Image.fromarray(INDICES), unreadable]
    with pytest.raises(ValueError, match=r"[Xy]\[1\] is of .*cannot be converted"):
        check(images)


@pytest.mark.filterwarnings("error")
def test_pillow_s_warnings_of_transparency_are_not_shown():
    image = Image.fromarray(INDICES).convert("P")
    image.info["transparency"] = b"\0\1"
    np.testing.assert_array_equal(check_masks([image])[0], INDICES)
    assert check_images([image])[0].shape == RGB.shape
