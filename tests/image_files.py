"""Image files of many formats, and the pixels that they were written from.

``CASES`` maps the name of a file to a `Case`, which writes it and knows the right
pixels, as RGB of 8 bits: they follow from the array alone, not from a decoder.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import struct
import zlib
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import NamedTuple

import imageio.v3 as imageio
import numpy as np
import tifffile
from PIL import Image

HEIGHT, WIDTH = 37, 53


class Case(NamedTuple):
    write: Callable
    rgb: np.ndarray
    tolerance: int = 0


CASES: dict[str, Case] = {}

_rng = np.random.default_rng(0)
RGB = _rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
RGB_16 = _rng.integers(0, 2**16, (HEIGHT, WIDTH, 3), dtype=np.uint16)
UNIT_RGB = _rng.random((HEIGHT, WIDTH, 3)).astype(np.float32)
ALPHA = _rng.integers(1, 255, (HEIGHT, WIDTH), dtype=np.uint8)
GREY, GREY_16, UNIT_GREY = RGB[..., 0], RGB_16[..., 0], UNIT_RGB[..., 0]
BITS = GREY > 127
INDICES = GREY // 16
PALETTE = _rng.integers(0, 256, (16, 3), dtype=np.uint8)


def to_rgb(pixels, largest=None):
    """Return what pixels mean: their share of the largest value, in 8 bits."""
    if largest is None:
        largest = 1 if pixels.dtype.kind in "bf" else np.iinfo(pixels.dtype).max
    scaled = np.rint(pixels.astype(np.float64) / largest * 255).astype(np.uint8)
    return np.repeat(scaled[..., np.newaxis], 3, axis=2) if pixels.ndim == 2 else scaled


def add(name, write, rgb, tolerance=0):
    CASES[name] = Case(write, rgb, tolerance)


def add_tiff(name, pixels, rgb, **options):
    options.setdefault("photometric", "rgb" if pixels.ndim == 3 else "minisblack")
    add(f"{name}.tif", partial(tifffile.imwrite, data=pixels, **options), rgb)


def add_pillow(name, pixels, rgb, **options):
    def write(path):
        Image.fromarray(pixels).save(path, **options)

    add(name, write, rgb)


def add_bytes(name, content, rgb):
    def write(path):
        path.write_bytes(content)

    add(name, write, rgb)


def planar(rgb):
    return np.ascontiguousarray(np.moveaxis(rgb, -1, 0))


_COMPRESSIONS = {
    "raw": {},
    "lzw": {"compression": "lzw"},
    "lzw-predictor": {"compression": "lzw", "predictor": True},
    "deflate": {"compression": "deflate"},
    "deflate-predictor": {"compression": "deflate", "predictor": True},
    "packbits": {"compression": "packbits"},
    "zstd": {"compression": "zstd"},
}
for (_kind, _options), _tile in product(_COMPRESSIONS.items(), (None, (16, 16))):
    _name = f"{_kind}-{'tiles' if _tile else 'strips'}"
    _options = {**_options, "tile": _tile}
    _planar = {**_options, "photometric": "rgb", "planarconfig": "separate"}
    add_tiff(f"{_name}-rgb8", RGB, RGB, **_options)
    add_tiff(f"{_name}-rgb16", RGB_16, to_rgb(RGB_16), **_options)
    add_tiff(f"{_name}-grey8", GREY, to_rgb(GREY), **_options)
    add_tiff(f"{_name}-grey16", GREY_16, to_rgb(GREY_16), **_options)
    add_tiff(f"{_name}-float32", UNIT_RGB, to_rgb(UNIT_RGB), **_options)
    add_tiff(f"{_name}-planes8", planar(RGB), RGB, **_planar)
    add_tiff(f"{_name}-planes16", planar(RGB_16), to_rgb(RGB_16), **_planar)
    add_tiff(f"{_name}-planes-float", planar(UNIT_RGB), to_rgb(UNIT_RGB), **_planar)

for _dtype in ("float16", "float32", "float64"):
    _unit = UNIT_GREY.astype(_dtype)
    add_tiff(f"grey-{_dtype}", _unit, to_rgb(_unit))
add_tiff("rgb-float64", UNIT_RGB.astype(float), to_rgb(UNIT_RGB))
add_tiff("big-endian-8", RGB, RGB, byteorder=">")
add_tiff("big-endian-16", RGB_16, to_rgb(RGB_16), byteorder=">")
add_tiff("bigtiff", RGB, RGB, bigtiff=True)
add_tiff("white-8", GREY, to_rgb(255 - GREY), photometric="miniswhite")
add_tiff("white-16", GREY_16, to_rgb(65535 - GREY_16), photometric="miniswhite")
add_tiff("bits", BITS, to_rgb(BITS))
add_tiff("white-bits", BITS, to_rgb(~BITS), photometric="miniswhite")
for _orientation in range(2, 9):
    _tag = {"extratags": [(274, 3, 1, _orientation, True)]}
    add_tiff(f"orientation-{_orientation}-rgb", RGB, RGB, **_tag)
    add_tiff(f"orientation-{_orientation}-grey16", GREY_16, to_rgb(GREY_16), **_tag)
RGBA = np.dstack([RGB, ALPHA])
RGBA_16 = np.dstack([RGB_16, ALPHA.astype(np.uint16) * 257])
for _alpha in ("unassalpha", "assocalpha", "unspecified"):
    add_tiff(f"rgba8-{_alpha}", RGBA, RGB, extrasamples=[_alpha])
    add_tiff(f"rgba16-{_alpha}", RGBA_16, to_rgb(RGB_16), extrasamples=[_alpha])
GREY_ALPHA = np.dstack([GREY, ALPHA])
add_tiff(
    "grey-alpha",
    GREY_ALPHA,
    to_rgb(GREY),
    photometric="minisblack",
    planarconfig="contig",
    extrasamples=["unassalpha"],
)
_colours = _rng.integers(0, 256, (3, 256), dtype=np.uint8)
add_tiff(
    "palette",
    GREY,
    np.moveaxis(_colours[:, GREY], 0, -1),
    photometric="palette",
    colormap=_colours.astype(np.uint16) * 257,
)
add_tiff("two-pages", np.stack([RGB, 255 - RGB]), RGB, photometric="rgb")
add_tiff("cmyk", np.dstack([255 - RGB, 0 * GREY]), RGB, photometric="separated")
add("imageio.tif", partial(imageio.imwrite, image=RGB), RGB)
add("imageio.png", partial(imageio.imwrite, image=RGB), RGB)

for _name, _options in {
    "rgb.png": {},
    "rgb.bmp": {},
    "rgb.ppm": {},
    "rgb.webp": {"lossless": True},
    "rgb.jp2": {},
    "interlaced.gif": {},
}.items():
    _pixels = GREY if _name.endswith("gif") else RGB
    add_pillow(_name, _pixels, to_rgb(_pixels), **_options)
for _suffix in ("png", "bmp", "pgm", "jp2", "gif"):
    add_pillow(f"grey.{_suffix}", GREY, to_rgb(GREY))
add_pillow("grey16.png", GREY_16, to_rgb(GREY_16))
add_pillow("rgba.png", RGBA, RGB)
add_pillow("grey-alpha.png", GREY_ALPHA, to_rgb(GREY))
add_pillow("rgba.webp", RGBA, RGB, lossless=True, exact=True)
add_pillow("bits.png", BITS, to_rgb(BITS))
add_pillow("bits.pbm", BITS, to_rgb(BITS))
add_pillow("bits.bmp", BITS, to_rgb(BITS))


def write_palette(path, **options):
    image = Image.frombytes("P", (WIDTH, HEIGHT), INDICES.tobytes())
    image.putpalette(PALETTE.tobytes())
    image.save(path, **options)


for _name, _options in {
    "palette-4.png": {},
    "palette-8.png": {"bits": 8},
    "palette-transparent.png": {"transparency": 0},
    "palette.gif": {},
    "palette.bmp": {},
}.items():
    add(_name, partial(write_palette, **_options), PALETTE[INDICES])


def write_turned(path, **options):
    image = Image.fromarray(RGB)
    exif = image.getexif()
    exif[274] = 6  # to be shown turned by 90 degrees
    image.save(path, exif=exif.tobytes(), **options)


add("turned.png", write_turned, RGB)
add("turned.webp", partial(write_turned, lossless=True), RGB)


def make_png(pixels, n_bits, colour_type=0, extra=b""):
    """Return a PNG of any number of bits, which Pillow does not write."""

    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    flat = pixels.reshape(len(pixels), -1)
    bits = np.unpackbits(
        flat.astype(">u2").view(np.uint8).reshape(*flat.shape, 2), axis=2
    )
    rows = np.packbits(bits[..., 16 - n_bits :].reshape(len(flat), -1), axis=1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    size = struct.pack(
        ">IIBBBBB", pixels.shape[1], len(flat), n_bits, colour_type, 0, 0, 0
    )
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size)
        + extra
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


for _n_bits in (1, 2, 4, 8, 16):
    _values = GREY_16 >> (16 - _n_bits)
    _rgb = to_rgb(_values, 2**_n_bits - 1)
    add_bytes(f"grey-{_n_bits}-bits.png", make_png(_values, _n_bits), _rgb)
add_bytes("rgb16.png", make_png(RGB_16, 16, 2), to_rgb(RGB_16))

for _largest in (1, 15, 255, 1000, 4095, 65535):
    _values = _rng.integers(0, _largest + 1, (HEIGHT, WIDTH, 3))
    _stored = _values.astype("u1" if _largest < 256 else ">u2")
    _size = b"# a comment\n%d %d\n%d\n" % (WIDTH, HEIGHT, _largest)
    for _kind, _pixels in (("grey", _stored[..., 0]), ("rgb", _stored)):
        _binary, _ascii = (5, 2) if _kind == "grey" else (6, 3)
        _text = b" ".join(b"%d" % value for value in _pixels.ravel())
        _rgb = to_rgb(_pixels, _largest)
        _name = f"{_kind}-to-{_largest}"
        add_bytes(f"{_name}.pnm", b"P%d\n" % _binary + _size + _pixels.tobytes(), _rgb)
        add_bytes(f"{_name}-ascii.pnm", b"P%d\n" % _ascii + _size + _text, _rgb)

# JPEG keeps colours nearly; blocks of one colour nearly to the last value.
BLOCKS = np.repeat(np.repeat(RGB[:4, :6], 8, axis=0), 8, axis=1)
_jpeg = {"quality": 100, "subsampling": 0}
for _name, _pixels, _options in (
    ("rgb.jpg", BLOCKS, {}),
    ("progressive.jpg", BLOCKS, {"progressive": True}),
    ("grey.jpg", BLOCKS[..., 0], {}),
    ("rgb.avif", BLOCKS, {"subsampling": "4:4:4"}),
):
    add_pillow(_name, _pixels, to_rgb(_pixels), **{**_jpeg, **_options})
    CASES[_name] = CASES[_name]._replace(tolerance=4)


def write_cmyk(path):
    Image.fromarray(BLOCKS).convert("CMYK").save(path, quality=100, subsampling=0)


add("cmyk.jpg", write_cmyk, BLOCKS, tolerance=4)


def set_tag(content, code, value):
    """Change the value of a tag of a small TIFF with 16-bit values."""
    (start,) = struct.unpack_from("<I", content, 4)
    (n_tags,) = struct.unpack_from("<H", content, start)
    for entry in range(start + 2, start + 2 + 12 * n_tags, 12):
        if struct.unpack_from("<H", content, entry) == (code,):
            struct.pack_into("<I", content, entry + 8, value)
