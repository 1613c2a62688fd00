"""Palettes of BMP files, which Pillow is not trusted with.

Pillow takes some palettes of greys to mean that rows have 1 bit, or 8 bits, for each
pixel, whatever the header says.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import struct

import numpy as np

_N_FILE_HEADER = 14  # bytes before the header of the image
_NOT_GREY = b"\1\2\3\0"


def take_palette(content):
    """Return a BMP whose palette Pillow does not understand as greys, and its own.

    Parameters
    ----------
    content : bytes
        A BMP file.

    Returns
    -------
    content : bytes
        The file with a palette of one colour, so that Pillow decodes the indices.

    palette : ndarray of shape (2 ** n_bits, 3), dtype uint8, or None
        The colours of the indices in RGB, black where the file has none. None if the
        pixels are colours.
    """
    start, n_header = struct.unpack_from("<II", content, 10)
    is_old = n_header == 12  # of OS/2
    (n_bits,) = struct.unpack_from("<H", content, 24 if is_old else 28)
    if n_bits not in (1, 4, 8):
        return content, None
    n_entry, n_colours = 3 if is_old else 4, 0
    header = bytearray(content[: _N_FILE_HEADER + n_header])
    if not is_old:
        (n_colours,) = struct.unpack_from("<I", header, 46)
        struct.pack_into("<I", header, 46, 0)  # as many as there are indices
    n_stored = n_colours or 2**n_bits
    if start in (0, len(header)):  # as some programs write it, and Pillow reads it
        start = len(header) + n_entry * n_stored
    stored = content[len(header) : start][: n_entry * min(n_stored, 2**n_bits)]
    struct.pack_into("<I", header, 10, len(header) + n_entry * 2**n_bits)
    decodable = bytes(header) + _NOT_GREY[:n_entry] * 2**n_bits + content[start:]
    return decodable, _read_colours(stored, n_entry, 2**n_bits)


def _read_colours(stored, n_entry, n_colours):
    """Return the colours of a palette in RGB; those that are missing are black."""
    entries = np.frombuffer(stored[: len(stored) // n_entry * n_entry], np.uint8)
    entries = entries.reshape(-1, n_entry)
    colours = np.zeros((n_colours, 3), np.uint8)
    colours[: len(entries)] = entries[:, 2::-1]  # blue comes first
    return colours
