"""Files of images and masks: checks that they are there, and decoding."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import stat

import numpy as np

_N_NAMED = 3  # how many offending files an error names


def check_files(paths, name="X"):
    """Check that all files can be read, and return what tells versions of them apart.

    Parameters
    ----------
    paths : list of str
        The files. None of them is opened.

    name : str, default="X"
        What errors call the list of paths.

    Returns
    -------
    file_stats : list of (int, int)
        Size in bytes and modification time in nanoseconds of each file.

    Raises
    ------
    FileNotFoundError
        If paths are missing, are folders or may not be read.
    ValueError
        If files are empty. Both errors name the first few files.
    """
    file_stats, missing, empty = [], [], []
    for position, path in enumerate(paths):
        location = f"{name}[{position}]: {path!r}"
        try:
            info = os.stat(path)
        except PermissionError:
            missing.append(f"{location} may not be reached by this user")
            continue
        except (OSError, ValueError):  # ValueError: a null character in the name
            missing.append(f"{location} does not exist")
            continue
        if not stat.S_ISREG(info.st_mode):
            kind = "a folder" if stat.S_ISDIR(info.st_mode) else "not a regular file"
            missing.append(f"{location} is {kind}")
        elif not os.access(path, os.R_OK):
            missing.append(f"{location} may not be read by this user")
        elif info.st_size == 0:
            empty.append(f"{location} is empty")
        file_stats.append((info.st_size, info.st_mtime_ns))
    _raise_for_files(missing, paths, name, FileNotFoundError, "are not files to read")
    _raise_for_files(empty, paths, name, ValueError, "are files of 0 bytes")
    return file_stats


def _raise_for_files(problems, paths, name, error, fault):
    if problems:
        named = "; ".join(problems[:_N_NAMED])
        more = len(problems) - _N_NAMED
        raise error(
            f"{len(problems)} of {len(paths)} paths {fault}: {named}"
            f"{f'; and {more} more' if more > 0 else ''}. Remove them from {name} or "
            f"mend them; relative paths start from {os.getcwd()!r}."
        )


def read_file(path, location, *, as_labels=False) -> tuple[np.ndarray, str]:
    """Read and decode a file.

    Parameters
    ----------
    path : str
        The file.

    location : str
        What errors call the file.

    as_labels : bool, default=False
        Whether the values are labels, see :func:`skinest._formats.decode`.

    Returns
    -------
    pixels : ndarray of shape (height, width) or (height, width, n_channels)
        The image. Channels are grey, grey and alpha, RGB, or RGB and alpha.

    format_name : str
        The name of the format, whatever the file is called.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, damaged, too large, or of a format that is not read.
    """
    from ._formats import decode

    check_files([path])
    with open(path, "rb") as file:
        content = file.read()
    return decode(content, location, as_labels=as_labels)
