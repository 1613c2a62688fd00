"""TensorFlow's warnings of functions that are traced too often."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import logging
import threading
from contextlib import contextmanager

_here = threading.local()


@contextmanager
def quiet_tracing():
    """Leave out TensorFlow's warnings of retracing, in this thread only.

    TensorFlow has to trace each new model once. It counts the traces of all models
    together, so after a few models it warns of a function that is traced too often.
    """
    logging.getLogger("tensorflow").addFilter(_is_wanted)  # adds it once
    before = getattr(_here, "is_quiet", False)
    _here.is_quiet = True
    try:
        yield
    finally:
        _here.is_quiet = before


def _is_wanted(record) -> bool:
    is_quiet = getattr(_here, "is_quiet", False)
    return not (is_quiet and "triggered tf.function retracing" in record.getMessage())
