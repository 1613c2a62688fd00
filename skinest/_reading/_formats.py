"""Decoders of image files, one for each format.

A decoder takes the content of a file and returns its first image as an array of shape
(height, width) or (height, width, n_channels): grey, grey and alpha, RGB, or RGB and
alpha. The values are those that the file stores: the orientation tag is ignored, and
colours are not multiplied by alpha. A decoder prints nothing.

With ``as_labels=True`` an image with a palette gives the indices of its colours, and a
maximum other than that of the type changes no value. Only grey values of fewer than 8
bits are always multiplied, so that the largest one is white, as libraries for PNG do.
To read a new format, add a decoder, a row to ``FORMATS`` and its ``EXTENSIONS``.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import io
import logging
import math
import os
import struct
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ._bmp import take_palette
from ._warning_filters import without_pillow_warnings

MAX_PIXELS = 2**27  # 134 megapixels, more than any camera of a clinic has
MAX_PIXELS_VARIABLE = "SKINEST_MAX_IMAGE_PIXELS"
_MAX_ITEMSIZE = 8  # bytes of a pixel for which the limit holds: RGB of 16 bits
_CHANNELS = (), (1,), (2,), (3,), (4,)  # shapes of one pixel


class DecodingError(ValueError):
    """Error of a file that cannot be decoded. The message follows the file name."""


class Format(NamedTuple):
    """A format: its name, the first bytes of its files, and their decoder.

    A file of the format has one of the `starts`, each an offset and bytes.
    """

    name: str
    starts: tuple[tuple[int, bytes], ...]
    decode: Callable


class ImageFile(NamedTuple):
    """The arguments of a decoder."""

    content: bytes
    location: str
    as_labels: bool


def decode(content, location, *, as_labels=False) -> tuple[np.ndarray, str]:
    """Decode the content of an image file.

    Parameters
    ----------
    content : bytes
        The whole file.

    location : str
        Name of the file in error messages.

    as_labels : bool, default=False
        Whether the values are labels: those of an image with a palette are then its
        indices, not its colours.

    Returns
    -------
    pixels : ndarray of shape (height, width) or (height, width, n_channels)
        The image. Channels are grey, grey and alpha, RGB, or RGB and alpha.

    format_name : str
        The name of the format.

    Raises
    ------
    ValueError
        If the content is damaged, too large, or of a format that is not read.

    Warns
    -----
    UserWarning
        If a part of the content is damaged and the rest can be decoded.
    """
    row = next((row for row in FORMATS if _starts_as(content, row.starts)), None)
    if row is None:
        raise ValueError(f"{location} {_name_other_format(content)}")
    try:
        with np.errstate(all="ignore"):  # damaged headers can have any number
            pixels = row.decode(ImageFile(content, location, as_labels))
        _check_shape(pixels)
        return pixels, row.name
    except DecodingError as error:
        raise ValueError(f"{location} {error}") from None
    except Exception as error:  # decoders raise errors of all types
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(
            f"{location} is truncated or damaged: the decoder of {row.name} says "
            f"{reason!r}. Remove or replace it."
        ) from None


def _check_shape(pixels):
    """Raise DecodingError if a damaged header has led to an array without an image."""
    if not pixels.size or pixels.ndim < 2 or pixels.shape[2:] not in _CHANNELS:
        raise DecodingError(
            f"is damaged: its pixels are an array of shape {pixels.shape}. Remove or "
            "replace it."
        )


def _starts_as(content, starts) -> bool:
    return any(content[offset : offset + len(s)] == s for offset, s in starts)


def _check_size(height, width, itemsize=1):
    """Raise DecodingError if an image is larger than the limit.

    Pixels of more than 8 bytes, as of RGB in float32, count as several.
    """
    limit = _read_limit()
    if height * width * max(1.0, itemsize / _MAX_ITEMSIZE) > limit:
        raise DecodingError(
            f"is an image of {height} x {width} pixels, more than the limit of "
            f"{limit:,}. Shrink it, or raise the limit by the environment variable "
            f"{MAX_PIXELS_VARIABLE}."
        )


def _read_limit():
    text = os.environ.get(MAX_PIXELS_VARIABLE, "")
    try:
        return int(text) if text else MAX_PIXELS
    except ValueError:
        raise DecodingError(
            f"is not read: the environment variable {MAX_PIXELS_VARIABLE} is {text!r}. "
            "Set it to a whole number of pixels."
        ) from None


def _decode_jpeg(file):
    import simplejpeg

    header = simplejpeg.decode_jpeg_header(file.content, strict=False)
    height, width, colorspace, _ = header
    _check_size(height, width)
    if colorspace in ("CMYK", "YCCK"):
        inks = _decode_jpeg_pixels(file, "CMYK", (height, width, 4))
        return _convert_colours("CMYK", ~inks)  # 0 is all ink
    if colorspace == "Gray":
        return _decode_jpeg_pixels(file, "GRAY", (height, width, 1))[..., 0]
    return _decode_jpeg_pixels(file, "RGB", (height, width, 3))


def _decode_jpeg_pixels(file, colorspace, shape):
    """Decode a JPEG; warn if a part is damaged, and raise if it has no pixels there."""
    import simplejpeg

    try:
        pixels = simplejpeg.decode_jpeg(file.content, colorspace)
    except ValueError as error:
        if "Premature end of JPEG file" in str(error):
            raise
        pixels, others = (
            simplejpeg.decode_jpeg(
                file.content,
                colorspace,
                buffer=np.full(shape, value, np.uint8),
                strict=False,
            )
            for value in (0, 255)
        )
        if not np.array_equal(pixels, others):  # the decoder left pixels unwritten
            raise
        warnings.warn(
            f"{file.location} is damaged in part: the decoder of JPEG says "
            f"{str(error)!r}. Pixels may be wrong: look at the image, and remove or "
            "replace it.",
            stacklevel=2,
        )
    return pixels


def _decode_png(file):
    import imagecodecs

    width, height, _, colour_type = struct.unpack(">IIBB", file.content[16:26])
    _check_size(height, width)
    if file.as_labels and colour_type == 3:
        return _decode_by_pillow(file)
    return imagecodecs.png_decode(file.content)


def _decode_jpeg2000(file):
    import imagecodecs

    _check_header(file)
    pixels = imagecodecs.jpeg2k_decode(file.content)
    start = file.content.index(b"\xff\x4f\xff\x51")  # of the codestream
    if b"pclr" in file.content[:start]:  # a palette, whose indices have other bits
        return pixels
    n_bits = _read_jpeg2000_bits(file.content[start:])
    return _scale(pixels, 2**n_bits - 1, file.as_labels)


def _read_jpeg2000_bits(codestream):
    """Return the largest number of bits of a channel (ISO 15444-1, section A.5.1)."""
    (n_channels,) = struct.unpack_from(">H", codestream, 40)
    return max((bits & 127) + 1 for bits in codestream[42 : 42 + 3 * n_channels : 3])


def _decode_webp(file):
    import imagecodecs

    _check_header(file)
    return imagecodecs.webp_decode(file.content)


def _check_header(file):
    """Raise DecodingError if the header, read by Pillow, promises too many pixels."""
    with _open_by_pillow(file):
        pass


def _open_by_pillow(file):
    """Return an image of Pillow, not decoded yet, of a size within the limit."""
    from PIL import Image

    try:
        with without_pillow_warnings():
            image = Image.open(io.BytesIO(file.content))
    except Image.DecompressionBombError as error:
        raise DecodingError(
            f"is larger than Pillow's limit of pixels: {error} Shrink it, or raise "
            f"both PIL.Image.MAX_IMAGE_PIXELS and {MAX_PIXELS_VARIABLE}."
        ) from None
    _check_size(image.height, image.width)
    return image


def _decode_by_pillow(file):
    with _open_by_pillow(file) as image, without_pillow_warnings():
        if image.mode == "1":
            return np.asarray(image).astype(np.uint8) * np.uint8(255)
        if image.mode not in ("L", "LA", "RGB", "RGBA", "I;16", "I;16B"):
            image.load()
            if not (file.as_labels and image.mode == "P"):
                return np.array(image.convert("RGB"))
        return np.array(image)


def _decode_bmp(file):
    content, colours = take_palette(file.content)
    pixels = _decode_by_pillow(ImageFile(content, file.location, as_labels=True))
    if colours is None:
        return pixels
    if len(colours) == 2 and (colours == [[0], [255]]).all():
        return pixels * np.uint8(255)
    return pixels if file.as_labels else colours[pixels]


def _decode_netpbm(file):
    import netpbmfile

    with netpbmfile.NetpbmFile(io.BytesIO(file.content)) as image:
        _check_size(image.height, image.width, image.depth * image.dtype.itemsize)
        is_ascii = image.magicnumber in ("P1", "P2", "P3")
        least_bits = 8 if is_ascii else image.maxval.bit_length()
        n_values = image.height * image.width * image.depth
        if len(file.content) - len(image.header) < n_values * least_bits // 8:
            raise DecodingError(
                "is truncated: it ends within the pixels. Remove or replace it."
            )
        pixels = image.asarray()
        pixels = pixels[0] if image.frames > 1 else pixels
        if pixels.dtype == bool:  # 1 is black
            return np.where(pixels, 0, 255).astype(np.uint8)
        if pixels.max() > image.maxval:
            raise DecodingError(
                f"is damaged: it has the value {pixels.max()}, but its header says "
                f"that the largest is {image.maxval}. Remove or replace it."
            )
        return _scale(pixels, image.maxval, file.as_labels)


def _decode_tiff(file):
    import tifffile

    with tifffile.TiffFile(io.BytesIO(file.content)) as tiff:
        page = tiff.pages.first
        _check_tiff(page, len(file.content))
        pixels = page.asarray()
        if page.planarconfig == 2 and page.samplesperpixel > 1:
            pixels = np.moveaxis(pixels, 0, -1)
        return _TIFF_COLOURS[page.photometric.name](page, pixels, file.as_labels)


def _check_tiff(page, n_bytes):
    """Raise DecodingError if a TIFF cannot be read, before its pixels are decoded."""
    if page.dtype is None:
        raise DecodingError(
            f"is a TIFF of {page.bitspersample!s:.60} bits for each value, which is "
            "not read. Save it with 8 or 16 bits."
        )
    if page.imagedepth != 1 or page.photometric.name not in _TIFF_COLOURS:
        kind = page.photometric.name if page.imagedepth == 1 else "volume"
        raise DecodingError(
            f"is a TIFF of kind {kind}, which is not read. Save it as RGB or grey."
        )
    if page.planarconfig not in (1, 2):  # some pixels would be left undecoded
        raise DecodingError(
            f"is damaged: it has the planar configuration {page.planarconfig!r}. "
            "Remove or replace it."
        )
    if page.samplesperpixel > _MAX_SAMPLES.get(page.photometric.name, 4):
        raise DecodingError(
            f"is a TIFF of {page.samplesperpixel} channels, more than grey or RGB with "
            "alpha. Save those that are meant."
        )
    if page.photometric.name == "MINISWHITE" and page.dtype.kind not in ("b", "u"):
        raise DecodingError(
            f"is a TIFF of {page.dtype} whose 0 is white, which is not read, because "
            "black may be any value. Save it with 0 as black."
        )
    itemsize = page.samplesperpixel * page.dtype.itemsize
    _check_size(page.imagelength, page.imagewidth, itemsize)
    ends = np.add(page.dataoffsets, page.databytecounts, dtype=np.float64)
    n_chunks = math.prod(page.chunked)
    if len(ends) < n_chunks or ends.max() > n_bytes or min(page.databytecounts) == 0:
        raise DecodingError(
            "is truncated: it ends before the last pixels. Remove or replace it."
        )


def _read_tiff_grey(page, pixels, as_labels):
    if page.samplesperpixel > 1:
        pixels = pixels[..., 0]
    largest = 2**page.bitspersample - 1
    if page.photometric.name == "MINISWHITE":
        pixels = ~pixels if pixels.dtype == bool else largest - pixels
    if pixels.dtype == bool:
        return pixels * np.uint8(255)
    if page.bitspersample < 8:
        return pixels * np.uint8(255 // largest)
    return _scale(pixels, largest, as_labels)


def _read_tiff_rgb(page, pixels, as_labels):
    if pixels.dtype == bool:
        return pixels[..., :3] * np.uint8(255)
    return _scale(pixels[..., :3], 2**page.bitspersample - 1, as_labels)


def _read_tiff_ycbcr(page, pixels, as_labels):
    if page.compression in _TO_RGB:
        return _read_tiff_rgb(page, pixels, as_labels)
    return _convert_colours("YCbCr", pixels[..., :3])


def _read_tiff_palette(page, pixels, as_labels):
    if pixels.dtype == bool:
        pixels = pixels.view(np.uint8)
    if as_labels:
        return pixels
    colours = page.colormap
    if colours.max() > 255:  # some programs write 8 bits; others scale by 256 or 257
        colours = colours >> 8
    return np.moveaxis(colours.astype(np.uint8)[:, pixels], 0, -1)


def _read_tiff_cmyk(page, pixels, as_labels):
    return _convert_colours("CMYK", pixels[..., :4])


def _convert_colours(mode, pixels):
    """Convert pixels in the colours of a mode of Pillow to RGB."""
    from PIL import Image

    if pixels.dtype != np.uint8:
        raise DecodingError(f"is a {mode} image of more than 8 bits. Save it as RGB.")
    height, width = pixels.shape[:2]
    image = Image.frombytes(mode, (width, height), pixels.tobytes())
    return np.array(image.convert("RGB"))


_TIFF_COLOURS = {
    "MINISBLACK": _read_tiff_grey,
    "MINISWHITE": _read_tiff_grey,
    "RGB": _read_tiff_rgb,
    "YCBCR": _read_tiff_ycbcr,
    "PALETTE": _read_tiff_palette,
    "SEPARATED": _read_tiff_cmyk,
}
_TO_RGB = {6, 7, 33007, 34892}  # kinds of JPEG, which tifffile decodes to RGB
# With alpha; the others have 3 colours and alpha.
_MAX_SAMPLES = {"MINISBLACK": 2, "MINISWHITE": 2, "PALETTE": 1, "SEPARATED": 5}


def _scale(pixels, largest, as_labels):
    """Scale unsigned integers whose largest value is not that of their type."""
    native = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    is_full = native.dtype.kind != "u" or largest == np.iinfo(native.dtype).max
    return native if as_labels or is_full else native / largest


FORMATS = (
    Format("JPEG", ((0, b"\xff\xd8\xff"),), _decode_jpeg),
    Format("PNG", ((0, b"\x89PNG\r\n\x1a\n"),), _decode_png),
    Format(
        "TIFF",
        ((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"), (0, b"MM\0+")),
        _decode_tiff,
    ),
    Format("BMP", ((0, b"BM"),), _decode_bmp),
    Format("GIF", ((0, b"GIF87a"), (0, b"GIF89a")), _decode_by_pillow),
    Format("WebP", ((8, b"WEBP"),), _decode_webp),
    Format(
        "PNM",
        tuple((0, b"P%d%c" % (k, end)) for k in range(1, 7) for end in b"\n\r\t #"),
        _decode_netpbm,
    ),
    Format(
        "JPEG 2000",
        ((0, b"\0\0\0\x0cjP  "), (0, b"\xff\x4f\xff\x51")),
        _decode_jpeg2000,
    ),
    Format("AVIF", ((4, b"ftypavif"), (4, b"ftypavis")), _decode_by_pillow),
)

# The usual endings of the names of their files.
EXTENSIONS = (
    *(".avif", ".bmp", ".dib", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
)

# Other files that are often in folders of images, with advice.
_OTHER_FORMATS = (
    ("a DICOM file", ((128, b"DICM"),), "Read it by pydicom and pass its pixels"),
    (
        "an HEIC image",
        tuple((4, b"ftyp" + kind) for kind in (b"heic", b"heix", b"hevc", b"mif1")),
        "Save it as JPEG or PNG, e.g. by Pillow with pillow-heif",
    ),
    ("a JPEG XL image", ((0, b"\xff\x0a"), (4, b"JXL ")), "Save it as JPEG or PNG"),
    (
        "an OpenEXR image",
        ((0, b"v/1\x01"),),
        "Scale its values to [0, 1] and pass them",
    ),
    ("a PDF document", ((0, b"%PDF"),), "Save its images as PNG"),
    ("a NumPy file", ((0, b"\x93NUMPY"),), "Pass the array: numpy.load(file)"),
    ("a zip archive", ((0, b"PK\x03\x04"),), "Unpack it"),
    ("a gzip archive", ((0, b"\x1f\x8b"),), "Unpack it"),
    (
        "an HTML page",
        ((0, b"<!DOC"), (0, b"<!doc"), (0, b"<html")),
        "Download it again",
    ),
    ("an SVG picture", ((0, b"<svg"), (0, b"<?xml")), "Save it as PNG"),
)


def _name_other_format(content):
    for name, starts, advice in _OTHER_FORMATS:
        if _starts_as(content, starts):
            return f"is {name}, which is not read. {advice}."
    names = ", ".join(row.name for row in FORMATS)
    return (
        f"is truncated or not an image of a format that is read ({names}). Remove "
        "or replace it."
    )


# Without a handler, logging would print messages about unusual tags and headers.
for _name in ("imagecodecs", "tifffile"):
    logging.getLogger(_name).addHandler(logging.NullHandler())
