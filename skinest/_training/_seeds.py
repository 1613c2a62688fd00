"""Randomness from given seeds alone."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import random
import threading
from contextlib import contextmanager

import numpy as np

_lock = threading.Lock()
_held: dict = {"depth": 0, "state": None}


@contextmanager
def preserved_random_state():
    """Put the state of Python's `random` back, from which Keras draws seeds.

    The state belongs to the whole process, so nested and concurrent uses are
    counted: the first to enter keeps it, the last to leave puts it back.
    """
    with _lock:
        if _held["depth"] == 0:
            _held["state"] = random.getstate()
        _held["depth"] += 1
    try:
        yield
    finally:
        with _lock:
            _held["depth"] -= 1
            if _held["depth"] == 0:
                random.setstate(_held["state"])


def reset_seeds(model, seed):
    """Start the generators of a model's layers, such as Dropout's, from a seed."""
    generator = np.random.default_rng(seed)
    for variable in model.non_trainable_variables:
        if variable.name == "seed_generator_state":
            drawn = generator.integers(2**31, dtype=np.uint32)
            variable.assign(np.array([drawn, 0], dtype=np.uint32))
