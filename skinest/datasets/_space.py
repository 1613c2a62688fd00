"""Room on the disk."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import shutil

from ._base import nearest_existing


def check_free_space(folder, n_bytes, what):
    """Raise OSError unless `folder`, which may not exist yet, has room.

    Parameters
    ----------
    folder : Path
        Where something shall be written.

    n_bytes : int
        Its size.

    what : str
        What the error says that needs so much.
    """
    n_free = shutil.disk_usage(nearest_existing(folder)).free
    if n_bytes > n_free:
        raise OSError(
            errno.ENOSPC,
            f"{what} needs {format_size(n_bytes)} in {folder}, where "
            f"{format_size(n_free)} are free; make room there",
        )


def format_size(n_bytes):
    """Write a number of bytes with three digits or so."""
    size = float(n_bytes)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.{0 if unit == 'bytes' else 1}f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
