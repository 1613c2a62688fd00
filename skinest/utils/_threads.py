"""Control of the threads of libraries, and threads that can be stopped."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import threading
from contextlib import contextmanager

import joblib
from threadpoolctl import threadpool_info, threadpool_limits

_lock = threading.Lock()
_held = {"depth": 0}
_used: set = set()  # libraries that have threads in this process
_lost: set = set()  # libraries whose threads this process lacks, as a forked copy


def _note_fork():
    _lost.update(_used)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def check_not_forked(library="OpenCV"):
    """Raise a RuntimeError if this process is a copy of one that used a library.

    A copy made by `fork` does not have the threads of the original, and the library
    would wait for them forever.
    """
    if library in _lost:
        raise RuntimeError(
            f"This process was forked after skinest had used {library}, whose threads "
            "do not exist in the copy. Use joblib's default backend, "
            "joblib.parallel_config('loky'), or start processes by 'spawn'."
        )
    _used.add(library)


def count_threads() -> int:
    """Count the threads that a library may use, which does not read the usual limits.

    These are the processors of this process; OMP_NUM_THREADS, which joblib sets in its
    workers, and `threadpoolctl`; and TensorFlow's TF_NUM_INTRAOP_THREADS.
    """
    limits = [joblib.cpu_count()]
    for library in threadpool_info():
        if library["user_api"] == "openmp":
            limits.append(library["num_threads"])
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
        value = os.environ.get(name, "")
        if value.isdecimal() and int(value):
            limits.append(int(value))
    return min(limits)


@contextmanager
def hold_library_threads():
    """Limit OpenCV and BLAS to one thread, and restore their settings at the end.

    Otherwise their threads and ours would compete for the same cores. The settings are
    those of the whole process, so nested and concurrent uses are counted: the first one
    changes the settings, and the last one restores them.
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


class Workers:
    """Threads for one pass over images.

    Use it as a context manager around the pass. At the end, also after an error or an
    interruption, the threads stop, and the manager waits for them. A worker process has
    its own copy, which is never stopped.

    Attributes
    ----------
    is_stopped : bool
        Whether the threads must stop.
    """

    def __init__(self):
        self.is_stopped = False
        self._n_working = 0
        self._changed = threading.Condition()

    def __reduce__(self):
        return Workers, ()

    def __enter__(self):
        self._hold = hold_library_threads()
        self._hold.__enter__()
        return self

    def __exit__(self, *error):
        try:
            with self._changed:
                self.is_stopped = True
                self._changed.wait_for(lambda: self._n_working == 0)
        finally:
            self._hold.__exit__(*error)

    @contextmanager
    def work(self):
        """Limit the threads of libraries while a worker runs."""
        with self._changed:
            self.check()
            self._n_working += 1
        try:
            with hold_library_threads():
                yield
        finally:
            with self._changed:
                self._n_working -= 1
                self._changed.notify_all()

    def check(self):
        """Raise a RuntimeError if the pass has been stopped."""
        if self.is_stopped:
            raise RuntimeError("This pass over the images has been stopped.")
