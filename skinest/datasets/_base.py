"""Folders for data sets."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from .._compat import validate_params

if TYPE_CHECKING:
    from .._typing import PathLike


@validate_params(
    {"data_home": [str, os.PathLike, None]}, prefer_skip_nested_validation=True
)
def get_data_home(data_home: PathLike | None = None) -> str:
    """Return the folder of the data sets, and create it if it does not exist.

    Parameters
    ----------
    data_home : str or path-like, default=None
        Path of the folder; ``~`` is the user's home. None means the path in the
        environment variable ``SKINEST_DATA`` or, if that is not set, the folder
        ``skinest`` in the user's cache, see `pooch.os_cache`.

    Returns
    -------
    data_home : str
        The absolute path of the folder.

    Raises
    ------
    NotADirectoryError
        If `data_home` or one of its parents is a file.

    Notes
    -----
    Its subfolder ``.unfinished`` stores the parts of unfinished downloads.

    Examples
    --------
    >>> import os, tempfile
    >>> from skinest.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     data_home = get_data_home(os.path.join(folder, "skin"))
    ...     os.path.isdir(data_home)
    True
    """
    folder = resolve_data_home(data_home)
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def resolve_data_home(data_home):
    """Return the absolute path of the data folder, which may not exist yet."""
    folder = _absolute(data_home or os.environ.get("SKINEST_DATA") or _user_cache())
    if not nearest_existing(folder).is_dir():
        raise NotADirectoryError(
            f"data_home must be a folder, and {nearest_existing(folder)} is a file. "
            "Pass the folder for the files of data sets."
        )
    return folder


def resolve_cache_home():
    """Return the absolute path of the cache, for archives in read-only folders."""
    return _absolute(os.environ.get("SKINEST_CACHE") or _user_cache())


def check_cache(folder, what):
    """Raise OSError if a folder of the cache is read-only; `what` says its use."""
    place = nearest_existing(folder)
    if not (place.is_dir() and is_writable(place)):
        raise OSError(
            f"{place}, where {what}, is not a writable folder; set the environment "
            "variable SKINEST_CACHE to another one"
        )


def nearest_existing(path):
    """Return the path if it exists, otherwise its nearest parent that exists."""
    return next(place for place in (path, *path.parents) if place.exists())


def is_writable(folder):
    """Return whether files may be added to an existing folder.

    A folder without any write permission is read-only for the superuser too, although
    the system would allow writing.
    """
    marked_writable = folder.stat().st_mode & (
        stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
    )
    return bool(marked_writable) and os.access(folder, os.W_OK | os.X_OK)


def _absolute(folder):
    return Path(os.path.abspath(os.path.expanduser(folder)))


def _user_cache():
    import pooch

    return pooch.os_cache("skinest")
