"""Damage to the content of files, the same for the same seed."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import struct
import zlib

import numpy as np

HEADER = 512  # bytes in which most headers lie
EXTREMES = (0, 1, 2, 7, 8, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1)


def mutate(contents, rng):
    """Damage one of several contents, in one to three ways."""
    content = bytearray(contents[rng.integers(len(contents))])
    for _ in range(rng.integers(1, 4)):
        change = CHANGES[rng.integers(len(CHANGES))]
        content = bytearray(change(content, rng, contents))
    return bytes(repair_png(content) if rng.random() < 0.7 else content)


def flip_bits(content, rng, contents):
    for _ in range(rng.integers(1, 9)):
        if content:
            content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    return content


def flip_bits_of_the_header(content, rng, contents):
    return flip_bits(content[:HEADER], rng, contents) + content[HEADER:]


def set_number_of_the_header(content, rng, contents):
    """Overwrite 1, 2 or 4 bytes near the start by an extreme number."""
    size, order = rng.choice([1, 2, 4]), rng.choice(["big", "little"])
    number = EXTREMES[rng.integers(len(EXTREMES))] % 256 ** int(size)
    start = rng.integers(max(1, min(HEADER, len(content) - size)))
    content[start : start + size] = number.to_bytes(int(size), str(order))
    return content


def cut(content, rng, contents):
    return content[: rng.integers(len(content) + 1)]


def cut_the_start(content, rng, contents):
    return content[rng.integers(min(HEADER, len(content)) + 1) :]


def cut_out(content, rng, contents):
    start, end = choose_range(content, rng)
    return content[:start] + content[end:]


def insert(content, rng, contents):
    start, _ = choose_range(content, rng)
    return content[:start] + rng.bytes(rng.integers(1, 65)) + content[start:]


def overwrite(content, rng, contents):
    start, end = choose_range(content, rng)
    content[start:end] = rng.bytes(end - start)
    return content


def set_to_zero(content, rng, contents):
    start, end = choose_range(content, rng)
    content[start:end] = bytes(end - start)
    return content


def repeat(content, rng, contents):
    start, end = choose_range(content, rng)
    return content[:end] + content[start:end] * rng.integers(1, 9) + content[end:]


def splice(content, rng, contents):
    """Continue with the rest of another content."""
    other = contents[rng.integers(len(contents))]
    return content[: rng.integers(len(content) + 1)] + other[rng.integers(len(other)) :]


def concatenate(content, rng, contents):
    return content + contents[rng.integers(len(contents))]


def choose_range(content, rng):
    start = rng.integers(len(content) + 1)
    return int(start), int(min(len(content), start + rng.integers(1, 257)))


CHANGES = (
    flip_bits,
    flip_bits_of_the_header,
    set_number_of_the_header,
    set_number_of_the_header,
    cut,
    cut_the_start,
    cut_out,
    insert,
    overwrite,
    set_to_zero,
    repeat,
    splice,
    concatenate,
)


def repair_png(content):
    """Correct the checksums of a PNG, so that decoders look at what is in it."""
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        return content
    start = 8
    while start + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, start)
        end = start + 8 + length
        if end + 4 > len(content):
            break
        struct.pack_into(">I", content, end, zlib.crc32(content[start + 4 : end]))
        start = end + 4
    return content


def make_rng(seed, number):
    return np.random.default_rng([seed, number])
