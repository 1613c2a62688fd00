"""Places of files to write."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from pathlib import Path


def find_place(path) -> Path:
    """Return the absolute path of a file to write.

    Raises
    ------
    FileNotFoundError
        If its folder does not exist.
    """
    place = make_absolute(path)
    if not place.parent.is_dir():
        raise FileNotFoundError(
            f"path={str(path)!r}: there is no folder {str(place.parent)!r}. Create it "
            "first."
        )
    return place


def make_absolute(path) -> Path:
    """Return the absolute path of a file or folder; it may begin with "~"."""
    return Path(os.path.abspath(os.path.expanduser(os.fsdecode(path))))


def check_free(place, overwrite):
    """Raise FileExistsError if no file may be written to a place."""
    if place.is_dir():
        raise FileExistsError(f"{str(place)!r} is a folder. Pass another path.")
    check_replaceable(place, overwrite)


def check_replaceable(place, overwrite):
    """Raise FileExistsError if something is there that may not be replaced."""
    if place.exists() and not overwrite:
        raise FileExistsError(
            f"{str(place)!r} exists. Pass overwrite=True to replace it."
        )
