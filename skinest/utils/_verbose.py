"""Lines that tell how far a long piece of work is."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import time
from contextlib import contextmanager


@contextmanager
def announce(estimator, what):
    """Print a line after a pass over the images, if the estimator is to.

    Parameters
    ----------
    estimator : estimator
        Has `verbose`.

    what : str
        What is done in the pass.

    Yields
    ------
    None
    """
    start = time.perf_counter()
    yield
    print_line(estimator, what, start)


def print_line(estimator, what, start):
    """Print a line of a pass that began at a time of `time.perf_counter`."""
    if estimator.verbose:
        seconds = time.perf_counter() - start
        print(f"[{type(estimator).__name__}] {what}: {seconds:.1f} s")
