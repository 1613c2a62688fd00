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

    TensorFlow counts the functions of all Keras models as one, so it takes the first
    use of several small models, each of which it has to trace, for one that is traced
    again and again.
    """
    logging.getLogger("tensorflow").addFilter(_is_wanted)  # has no effect twice
    before = getattr(_here, "is_quiet", False)
    _here.is_quiet = True
    try:
        yield
    finally:
        _here.is_quiet = before


def _is_wanted(record) -> bool:
    is_quiet = getattr(_here, "is_quiet", False)
    return not (is_quiet and "triggered tf.function retracing" in record.getMessage())
