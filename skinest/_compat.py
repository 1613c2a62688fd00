"""The processor and other packages, as far as results depend on them.

What they tell under private names alone is imported here and nowhere else, with what
it is for.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import ctypes
import random
import threading
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

_lock = threading.Lock()
_preserved: dict = {"depth": 0, "state": None}


@contextmanager
def preserved_random_state():
    """Put the state of Python's `random` back, from which Keras draws seeds.

    The state belongs to the whole process, so nested and concurrent uses are
    counted: the first to enter keeps it, the last to leave puts it back.
    """
    with _lock:
        if _preserved["depth"] == 0:
            _preserved["state"] = random.getstate()
        _preserved["depth"] += 1
    try:
        yield
    finally:
        with _lock:
            _preserved["depth"] -= 1
            if _preserved["depth"] == 0:
                random.setstate(_preserved["state"])


def resolve_compute_dtype(compute_dtype, preferred):
    """Return what "auto" stands for: `preferred` where the processor has it."""
    if compute_dtype != "auto":
        return compute_dtype
    return preferred if cpu_has_bfloat16() else "float32"


@lru_cache
def cpu_has_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16; False where that is not known."""
    return _cpu_has({"AVX512BF16", "AMX_BF16"}, {"avx512_bf16", "amx_bf16", "bf16"})


def cpu_has_avx512() -> bool:
    """Tell whether the processor has AVX512; False where that is not known."""
    return _cpu_has({"AVX512F"}, {"avx512f"})


def _cpu_has(numpy_names, linux_names) -> bool:
    """Tell whether the processor has one of some features, as NumPy or Linux name them.

    NumPy's table of features knows x86 on every system, but has no public name.
    """
    try:
        from numpy._core._multiarray_umath import __cpu_features__ as features
    except ImportError:
        features = {}
    if any(map(features.get, numpy_names)):
        return True
    try:
        listed = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return not linux_names.isdisjoint(listed)


@lru_cache
def rounds_by_place(in_bfloat16) -> bool:
    """Tell whether the place of a row in its batch changes the last bits of outputs.

    TensorFlow's own operations do so on a processor. They compute what oneDNN does
    not: all without it, and bfloat16 where the processor does not have that.
    TensorFlow decides by the processor and an environment variable when it is loaded,
    and has no public name for the outcome (`IsMklEnabled` since 2.5).
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return False
    try:
        from tensorflow.python.util._pywrap_util_port import IsMklEnabled
    except ImportError:
        return True
    return not IsMklEnabled() or (in_bfloat16 and not cpu_has_bfloat16())


def trim_heap():
    """Give memory that is free back to the system, where the C library is glibc.

    glibc keeps hundreds of MB of small pieces that a network leaves.
    """
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (AttributeError, OSError):
        pass
