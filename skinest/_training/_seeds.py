"""Randomness from given seeds alone."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import random
from contextlib import contextmanager

import numpy as np


@contextmanager
def preserved_random_state():
    """Put the state of Python's `random` back, from which Keras draws seeds."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def reset_seeds(model, seed):
    """Start the generators of a model's layers, such as Dropout's, from a seed."""
    generator = np.random.default_rng(seed)
    for variable in model.non_trainable_variables:
        if variable.name == "seed_generator_state":
            drawn = generator.integers(2**31, dtype=np.uint32)
            variable.assign(np.array([drawn, 0], dtype=np.uint32))
