"""The folders that data sets are kept in."""

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
    """Return the folder that data sets are kept in; make it if it is missing.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder; ``~`` is the user's home. With None it is the one named by
        the environment variable ``SKINEST_DATA``, else the folder ``skinest``
        in the user's cache, as `pooch.os_cache` gives it.

    Returns
    -------
    data_home : str
        The absolute path of the folder.

    Raises
    ------
    NotADirectoryError
        If `data_home`, or what it would lie in, is a file.

    Notes
    -----
    What has come of an unfinished download is kept there too, in the folder
    ``.unfinished``.

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
            "Name the folder that holds, or shall hold, the files of data sets."
        )
    return folder


def resolve_cache_home():
    """Return the absolute path of the cache, for archives of read-only folders."""
    return _absolute(os.environ.get("SKINEST_CACHE") or _user_cache())


def check_cache(folder, what):
    """Raise OSError unless a folder of the cache, where `what`, can be written."""
    place = nearest_existing(folder)
    if not (place.is_dir() and is_writable(place)):
        raise OSError(
            f"{place}, where {what}, is not a folder that can be written; name another "
            "one by the environment variable SKINEST_CACHE"
        )


def nearest_existing(path):
    """Return the path if it exists, else the nearest of its parents that does."""
    return next(place for place in (path, *path.parents) if place.exists())


def is_writable(folder):
    """Tell whether files may be added to an existing folder.

    A folder without any write permission counts as read-only for the superuser
    too, whom the system would let write.
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
