"""Checking and reading of image and mask files."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import stat

import numpy as np

_N_NAMED = 3  # number of wrong files that an error lists


def check_files(paths, name="X"):
    """Check that all files can be read, and return data that change with a file.

    Parameters
    ----------
    paths : list of str
        The files. They are not opened.

    name : str, default="X"
        Name of the argument in error messages.

    Returns
    -------
    file_stats : list of tuple
        For each file its absolute path, the size in bytes, the times in nanoseconds
        when its content and its entry changed, and its inode. If a file is replaced by
        another one of the same size and modification time, the other values change.
        The path is right in worker processes too, which may be in another folder.

    Raises
    ------
    FileNotFoundError
        If files are missing, are folders or cannot be read.
    ValueError
        If files are empty. Both errors list the first few files.
    """
    file_stats, missing, empty = [], [], []
    for position, path in enumerate(paths):
        info, fault = _stat_file(path)
        if fault:
            missing.append(f"{name}[{position}]: {path!r} {fault}")
        elif info.st_size == 0:
            empty.append(f"{name}[{position}]: {path!r} is empty")
        else:
            times = info.st_mtime_ns, info.st_ctime_ns
            place = os.path.abspath(path)
            file_stats.append((place, info.st_size, *times, info.st_ino))
    _raise_for_files(missing, paths, name, FileNotFoundError, "cannot be read")
    _raise_for_files(empty, paths, name, ValueError, "are files of 0 bytes")
    return file_stats


def are_files(items) -> bool:
    """Return whether entries are paths of files, not labels.

    Several entries may be the same file, such as one mask without foreground.
    """
    if not isinstance(items[0], str):
        return isinstance(items[0], os.PathLike)
    return all(
        isinstance(item, str) and os.path.isfile(to_path(item)) for item in set(items)
    )


def to_path(item) -> str:
    """Return a path as a string, with ``~`` and bytes resolved."""
    return str(os.path.expanduser(os.fsdecode(item)))  # no np.str_ in errors


def _stat_file(path):
    """Return the status of a file, and why it cannot be read, or None."""
    try:
        info = os.stat(path)
    except PermissionError:
        return None, "cannot be reached by this user"
    except (OSError, ValueError):  # ValueError: a null character in the name
        return None, "does not exist"
    if not stat.S_ISREG(info.st_mode):
        kind = "a folder" if stat.S_ISDIR(info.st_mode) else "not a regular file"
        return info, f"is {kind}"
    return info, None if os.access(path, os.R_OK) else "cannot be read by this user"


def _raise_for_files(problems, paths, name, error, fault):
    if problems:
        named = "; ".join(problems[:_N_NAMED])
        more = len(problems) - _N_NAMED
        raise error(
            f"{len(problems)} of {len(paths)} paths {fault}: {named}"
            f"{f'; and {more} more' if more > 0 else ''}. Remove them from {name} or "
            f"correct them; relative paths start from {os.getcwd()!r}."
        )


def read_file(path, location, *, as_labels=False) -> tuple[np.ndarray, str]:
    """Read and decode a file.

    Parameters
    ----------
    path : str
        The file.

    location : str
        Name of the file in error messages.

    as_labels : bool, default=False
        Whether the values are labels, see :func:`skinest._reading._formats.decode`.

    Returns
    -------
    pixels : ndarray of shape (height, width) or (height, width, n_channels)
        The image. Channels are grey, grey and alpha, RGB, or RGB and alpha.

    format_name : str
        The name of the format, whatever the extension of the file.

    Raises
    ------
    FileNotFoundError
        If the file does not exist or cannot be read.
    ValueError
        If the file is empty, damaged, too large or of another format.
    """
    from ._formats import decode

    _, fault = _stat_file(path)
    if fault:
        raise FileNotFoundError(
            f"{location} {fault}. Relative paths start from {os.getcwd()!r}."
        )
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise FileNotFoundError(f"{location} cannot be read: {error}") from error
    if not content:
        raise ValueError(
            f"{location} is a file of 0 bytes. Remove it from the list or replace it."
        )
    return decode(content, location, as_labels=as_labels)
