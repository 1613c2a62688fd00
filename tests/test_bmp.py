"""BMP files of all depths and palettes hold the pixels that were written."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import struct

import cv2
import numpy as np
import pytest

from skinest.images import read_image
from skinest.masks import read_mask

HEIGHT, WIDTH = 8, 21
_RNG = np.random.default_rng(0)


def make_bmp(indices, n_bits, palette, *, n_header=40, start=None, rows=None):
    """Return a BMP of indices, with as many entries as the palette has.

    `rows` is the content of rows in a compression of runs.
    """
    flipped = indices[::-1, :, np.newaxis]
    bits = np.unpackbits(flipped, axis=2)[..., 8 - n_bits :]
    packed = np.packbits(bits.reshape(len(indices), -1), axis=1)
    padded = np.pad(packed, ((0, 0), (0, -packed.shape[1] % 4)))
    data = padded.tobytes() if rows is None else rows
    is_old = n_header == 12
    entries = np.pad(palette[:, ::-1], ((0, 0), (0, 0 if is_old else 1))).tobytes()
    compression = 0 if rows is None else {8: 1, 4: 2}[n_bits]
    size = indices.shape[1], indices.shape[0], 1, n_bits
    rest = compression, len(data), 0, 0, len(palette), 0
    header = struct.pack("<HHHH", *size) if is_old else b""
    header = header or struct.pack("<iiHHIIiiII", *size, *rest)
    header = struct.pack("<I", n_header) + header.ljust(n_header - 4, b"\0")
    usual = 14 + n_header + len(entries)
    begin = struct.pack(
        "<IHHI", usual + len(data), 0, 0, usual if start is None else start
    )
    return b"BM" + begin + header + entries + data


def make_greys(n_colours, step=1):
    return np.repeat(np.arange(n_colours, dtype=np.uint8)[:, np.newaxis] * step, 3, 1)


PALETTES = {
    "black": make_greys(1),
    "black and white": make_greys(2, 255),
    "white and black": make_greys(2, 255)[::-1],
    "0 and 1": make_greys(2),
    "5 greys": make_greys(5),
    "16 greys": make_greys(16),
    "16 greys to white": make_greys(16, 17),
    "256 greys": make_greys(256),
    "13 colours": _RNG.integers(0, 256, (13, 3), dtype=np.uint8),
}
CASES = [
    (n_bits, name)
    for n_bits in (1, 4, 8)
    for name, palette in PALETTES.items()
    if len(palette) <= 2**n_bits
]


@pytest.mark.parametrize("n_header", [40, 108, 124])
@pytest.mark.parametrize(("n_bits", "name"), CASES)
def test_a_bmp_has_the_colours_of_any_palette(n_bits, name, n_header, tmp_path):
    palette = PALETTES[name]
    least = max(0, len(palette) - 20)  # a mask has at most 32 labels
    indices = _RNG.integers(least, len(palette), (HEIGHT, WIDTH), dtype=np.uint8)
    path = tmp_path / "image.bmp"
    path.write_bytes(make_bmp(indices, n_bits, palette, n_header=n_header))
    np.testing.assert_array_equal(read_image(path), palette[indices])
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], palette[indices])
    is_white = n_bits == 1 and name == "black and white"
    labels = indices * np.uint8(255 if is_white else 1)
    np.testing.assert_array_equal(read_mask(path), labels)


@pytest.mark.parametrize("n_bits", [1, 4, 8])
def test_a_bmp_of_os_2_has_its_colours(n_bits, tmp_path):
    palette = _RNG.integers(0, 256, (2**n_bits, 3), dtype=np.uint8)
    indices = _RNG.integers(0, 2**n_bits, (HEIGHT, WIDTH), dtype=np.uint8)
    path = tmp_path / "image.bmp"
    path.write_bytes(make_bmp(indices, n_bits, palette, n_header=12))
    np.testing.assert_array_equal(read_image(path), palette[indices])


@pytest.mark.parametrize("n_bits", [4, 8])
def test_a_bmp_of_runs_has_its_colours(n_bits, tmp_path):
    palette = PALETTES["black and white"]
    indices = np.repeat(_RNG.integers(0, 2, (HEIGHT, 7), dtype=np.uint8), 3, axis=1)
    runs = [
        b"".join(bytes([3, value * (17 if n_bits == 4 else 1)]) for value in row[::3])
        for row in indices[::-1]
    ]
    content = make_bmp(indices, n_bits, palette, rows=b"\0\0".join(runs) + b"\0\1")
    path = tmp_path / "image.bmp"
    path.write_bytes(content)
    np.testing.assert_array_equal(read_image(path), palette[indices])
    np.testing.assert_array_equal(read_mask(path), indices)


@pytest.mark.parametrize("start", [0, 54])
def test_a_bmp_may_lack_the_place_of_its_pixels(start, tmp_path):
    palette = PALETTES["black and white"]
    indices = _RNG.integers(0, 2, (HEIGHT, WIDTH), dtype=np.uint8)
    path = tmp_path / "image.bmp"
    path.write_bytes(make_bmp(indices, 8, palette, start=start))
    np.testing.assert_array_equal(read_image(path), palette[indices])


def test_an_index_without_a_colour_is_black(tmp_path):
    indices = np.array([[0, 1, 2, 3]], np.uint8)
    path = tmp_path / "image.bmp"
    path.write_bytes(make_bmp(indices, 8, PALETTES["white and black"][:1]))
    np.testing.assert_array_equal(read_image(path)[..., 0], [[255, 0, 0, 0]])


@pytest.mark.parametrize("n_bits", [1, 4, 8])
def test_a_bmp_that_ends_early_is_damaged(n_bits, tmp_path):
    indices = np.zeros((HEIGHT, WIDTH), np.uint8)
    content = make_bmp(indices, n_bits, PALETTES["black and white"])
    for size in (*range(2, len(content) - 8, 5),):
        (tmp_path / "image.bmp").write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"image\.bmp' is .*damaged"):
            read_image(tmp_path / "image.bmp")
