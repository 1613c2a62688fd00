"""Use of OpenCV beside other threads."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import threading
from contextlib import contextmanager

_lock = threading.Lock()
_state = {"depth": 0, "n_threads": 0}


@contextmanager
def one_opencv_thread():
    """Hold OpenCV to one thread, and put its number of threads back after.

    The number belongs to the whole process, so nested and concurrent uses are
    counted: the first to enter sets it, the last to leave puts it back.
    """
    import cv2

    with _lock:
        if _state["depth"] == 0:
            _state["n_threads"] = cv2.getNumThreads()
            cv2.setNumThreads(1)
        _state["depth"] += 1
    try:
        yield
    finally:
        with _lock:
            _state["depth"] -= 1
            if _state["depth"] == 0:
                cv2.setNumThreads(_state["n_threads"])
