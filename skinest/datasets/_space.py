"""Room on the disk."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
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
    if n_bytes > _count_free(folder):
        raise _make_full_error(folder, n_bytes, what)


@contextlib.contextmanager
def explain_if_full(folder, count_bytes, what):
    """Say how much room is needed if the disk is full after all.

    Parameters
    ----------
    folder, what
        As for :func:`check_free_space`.

    count_bytes : callable
        Returns how many bytes are still to be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _make_full_error(folder, count_bytes(), what) from error


def _make_full_error(folder, n_bytes, what):
    return OSError(
        errno.ENOSPC,
        f"{what} needs {format_size(n_bytes)} in {folder}, where "
        f"{format_size(_count_free(folder))} are free; make room there",
    )


def _count_free(folder):
    return shutil.disk_usage(nearest_existing(folder)).free


def format_size(n_bytes):
    """Write a number of bytes with three digits or so."""
    size = float(n_bytes)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.{0 if unit == 'bytes' else 1}f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
