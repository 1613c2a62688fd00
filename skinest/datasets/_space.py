"""Free space on the disk."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import shutil

from ._base import nearest_existing


def check_free_space(folder, n_bytes, what):
    """Raise OSError if the disk of `folder` has not enough free space.

    Parameters
    ----------
    folder : Path
        Folder to write to. It may not exist yet.

    n_bytes : int
        Number of bytes to write.

    what : str
        Name of the data in the error message.
    """
    n_free = shutil.disk_usage(nearest_existing(folder)).free
    if n_bytes > n_free:
        raise OSError(
            errno.ENOSPC,
            f"{what} needs {format_size(n_bytes)} in {folder}, where "
            f"{format_size(n_free)} are free; make space there",
        )


def format_size(n_bytes):
    """Return a number of bytes as text, with about three digits."""
    size = float(n_bytes)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.{0 if unit == 'bytes' else 1}f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
