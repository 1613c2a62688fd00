"""Libraries' own threads beside ours."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import threading
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

_lock = threading.Lock()
_held = {"depth": 0}


@contextmanager
def one_thread_each():
    """Hold OpenCV and BLAS to one thread, and put their numbers back after.

    Their threads would compete with ours for the same cores. The numbers belong to
    the whole process, so nested and concurrent uses are counted: the first to enter
    sets them, the last to leave puts them back.
    """
    with _lock:
        if _held["depth"] == 0:
            _hold()
        _held["depth"] += 1
    try:
        yield
    finally:
        with _lock:
            _held["depth"] -= 1
            if _held["depth"] == 0:
                _release()


def _hold():
    import cv2

    _held["opencv"] = cv2.getNumThreads()
    _held["blas"] = threadpool_limits(1, user_api="blas")
    cv2.setNumThreads(1)


def _release():
    import cv2

    cv2.setNumThreads(_held.pop("opencv"))
    _held.pop("blas").restore_original_limits()
