"""Arrays that need not fit in memory."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import math
import shutil
from contextlib import contextmanager
from tempfile import TemporaryFile, gettempdir

import numpy as np

_MAX_IN_MEMORY = 2**30  # bytes; larger arrays go into a temporary file


@contextmanager
def gathered(batches, shape):
    """Gather batches of features into one array, as :func:`allocated` makes it.

    Parameters
    ----------
    batches : iterable of ndarray
        What is gathered.

    shape : tuple of int
        (n_images, n_views, n_features).

    Yields
    ------
    features : ndarray of this shape, dtype float32

    Raises
    ------
    OSError
        If the folder of temporary files has too little space left.
    """
    with allocated(shape, np.float32) as features:
        start = 0
        for batch in batches:
            features[start : start + len(batch)] = batch
            start += len(batch)
        yield features


@contextmanager
def allocated(shape, dtype):
    """An array, in a temporary file where it is large.

    The file has no name, or loses it with the last use of the array, so that nothing
    is left behind even if the process is killed.

    Parameters
    ----------
    shape : tuple of int
        Its shape.

    dtype : dtype
        Its type.

    Yields
    ------
    array : ndarray of this shape and type

    Raises
    ------
    OSError
        If the folder of temporary files has too little space left.
    """
    n_bytes = np.dtype(dtype).itemsize * math.prod(shape)
    if n_bytes <= _MAX_IN_MEMORY:
        yield np.empty(shape, dtype)
        return
    _check_space(n_bytes)
    with TemporaryFile(prefix="skinest-") as file:
        yield np.memmap(file, dtype, "w+", shape=shape)


def _check_space(n_bytes):
    """Raise OSError where a file would not fit: its map would end the process."""
    folder = gettempdir()
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise OSError(
            errno.ENOSPC,
            f"{n_bytes / 1e9:.1f} GB are needed in the folder of temporary files, "
            f"{folder!r}, which has {free / 1e9:.1f} GB left. Name another by the "
            "environment variable TMPDIR, or choose a smaller image_size; for features "
            "pooling='avg' or fewer n_views",
        )
