"""Changes of the filters of warnings, which all threads share."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import threading
import warnings
from contextlib import contextmanager

# Reentrant, because Python may close a generator that changes the filters at any time.
_lock = threading.RLock()


@contextmanager
def own_filters():
    """Restore the filters of warnings at the end, and let other threads wait.

    The last of two threads would otherwise restore what the first one has set. Use it
    for short work only, and do not wait for another thread inside of it.
    """
    with _lock, warnings.catch_warnings():
        yield


@contextmanager
def without_pillow_warnings():
    """Hide warnings of Pillow, because they do not name the file. Our checks do."""
    with own_filters():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
