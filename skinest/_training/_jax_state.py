"""The weights of Keras models on JAX, which are not always in their variables."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import threading
from contextlib import nullcontext


def make_turn():
    """Return a context manager in which one thread at a time uses a model.

    With JAX, Keras gives the memory of the weights away while a model predicts, and
    another thread would find arrays that are deleted. On other backends, threads use a
    model together.
    """
    import keras

    return threading.Lock() if keras.backend.backend() == "jax" else nullcontext()


def share_state(network, model) -> None:
    """Let callbacks of Keras find the weights of a model that is trained.

    With JAX, its variables are empty within an epoch. Before a callback uses its own
    model, Keras calls the `jax_state_sync` of that model, which writes the values into
    the variables. On other backends, this does nothing.

    Parameters
    ----------
    network : keras.Model
        The model of the callbacks, which has layers of `model`.

    model : keras.Model
        The model that is trained.
    """
    if not hasattr(model, "jax_state_sync"):
        return
    write_own = network.jax_state_sync

    def write_both():
        model.jax_state_sync()
        write_own()

    network.jax_state_sync = write_both
