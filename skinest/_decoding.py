"""Checking and decoding of image and mask files."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import stat

import numpy as np

_N_NAMED = 3  # how many offending files an error names
_JPEG = b"\xff\xd8"  # how such a file begins


def check_files(paths, name="X"):
    """Check that all files can be read, and return their sizes and modification times.

    Parameters
    ----------
    paths : list of str
        The files. They are not opened.

    name : str, default="X"
        Name of the argument in error messages.

    Returns
    -------
    file_stats : list of (int, int)
        Size in bytes and modification time in nanoseconds of each file.

    Raises
    ------
    FileNotFoundError
        If files are missing, are folders or cannot be read.
    ValueError
        If files are empty. Both errors list the first few files.
    """
    file_stats, missing, empty = [], [], []
    for position, path in enumerate(paths):
        location = f"{name}[{position}]: {path!r}"
        try:
            info = os.stat(path)
        except PermissionError:
            missing.append(f"{location} cannot be reached by this user")
            continue
        except (OSError, ValueError):  # ValueError: a null character in the name
            missing.append(f"{location} does not exist")
            continue
        if not stat.S_ISREG(info.st_mode):
            kind = "a folder" if stat.S_ISDIR(info.st_mode) else "not a regular file"
            missing.append(f"{location} is {kind}")
        elif not os.access(path, os.R_OK):
            missing.append(f"{location} cannot be read by this user")
        elif info.st_size == 0:
            empty.append(f"{location} is empty")
        file_stats.append((info.st_size, info.st_mtime_ns))
    _raise_for_files(missing, paths, name, FileNotFoundError, "cannot be read")
    _raise_for_files(empty, paths, name, ValueError, "are files of 0 bytes")
    return file_stats


def _raise_for_files(problems, paths, name, error, fault):
    if problems:
        named = "; ".join(problems[:_N_NAMED])
        more = len(problems) - _N_NAMED
        raise error(
            f"{len(problems)} of {len(paths)} paths {fault}: {named}"
            f"{f'; and {more} more' if more > 0 else ''}. Remove them from {name} or "
            f"correct them; relative paths start from {os.getcwd()!r}."
        )


def decode_file(path, flags, location):
    """Decode a file by OpenCV.

    `imdecode`, unlike `imread`, works with non-ASCII file names on every system and
    detects truncated files.

    Parameters
    ----------
    path : str
        The file.

    flags : int
        Flags of OpenCV for decoding.

    location : str
        Name of the file in error messages.

    Returns
    -------
    pixels : ndarray of shape (height, width) or (height, width, n_channels)
        The values as OpenCV returns them, with colours in the order BGR.

    is_jpeg : bool
        Whether the file is a JPEG, whatever its extension.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is empty, truncated, not an image or larger than OpenCV's limit of
        pixels.
    """
    import cv2

    content = np.fromfile(path, dtype=np.uint8)
    if not content.size:
        raise ValueError(f"{location} is a file of 0 bytes. Remove or replace it.")
    try:
        pixels = cv2.imdecode(content, flags)
    except cv2.error as error:
        if "IO_MAX_IMAGE" not in str(error):
            raise ValueError(
                f"{location} cannot be decoded by OpenCV: {error}"
            ) from None
        raise ValueError(
            f"{location} is larger than OpenCV's limit of pixels. Shrink it, or raise "
            "the limit by the environment variable OPENCV_IO_MAX_IMAGE_PIXELS."
        ) from None
    if pixels is None:
        raise ValueError(
            f"{location} is truncated or not an image that OpenCV can decode. Remove "
            "or replace it."
        )
    return pixels, content[:2].tobytes() == _JPEG
