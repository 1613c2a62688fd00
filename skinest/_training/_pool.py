"""Keras models that are used again.

TensorFlow keeps tens of MB for each model that has run, whatever is collected. So
one model for each architecture serves all fits of a process: it is borrowed, its
weights are replaced, and it is given back.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import threading
from contextlib import contextmanager

import numpy as np

_MAX_IDLE = 32  # models
_MAX_BYTES = 2**30  # of what idle models hold; the last one may hold more
_lock = threading.Lock()
_idle: list = []  # (key, model), the one given back last at the end


class ReusableModel:
    """A Keras model that forgets what it was used for.

    Parameters
    ----------
    model : keras.Model
        The model; compiled if it is for training.

    Attributes
    ----------
    n_bytes : int
        What its weights and those of its optimizer hold, about.
    """

    def __init__(self, model):
        self.model = model
        self._loaded = None
        self._optimizer_start = None
        variables = list(model.weights)
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None:
            optimizer.build(model.trainable_variables)
            self._optimizer_start = [
                _compact(_copied(variable)) for variable in optimizer.variables
            ]
            variables += optimizer.variables
        self.n_bytes = 4 * sum(int(np.prod(variable.shape)) for variable in variables)

    def load(self, arrays, digest=None):
        """Set the weights, unless those of this digest are there already."""
        if digest is None or digest != self._loaded:
            for weight, array in zip(self.model.weights, arrays, strict=True):
                weight.assign(array)
        self._loaded = digest

    def reset_optimizer(self, learning_rate=None):
        """Put the optimizer back to its start, with this learning rate."""
        optimizer = self.model.optimizer
        start = self._optimizer_start
        for variable, value in zip(optimizer.variables, start, strict=True):
            variable.assign(np.broadcast_to(value, variable.shape))
        if learning_rate is not None:
            optimizer.learning_rate = learning_rate


def weights_of(model) -> list[np.ndarray]:
    """Arrays of a model's weights."""
    return [_copied(weight) for weight in model.weights]


@contextmanager
def borrowed(key, build):
    """Borrow the model of a key; nobody else has it until it is given back.

    Parameters
    ----------
    key : hashable
        Names the architecture, and for training what it is compiled with.

    build : callable
        Builds the Keras model where none is idle.

    Yields
    ------
    reusable : ReusableModel
    """
    reusable = _take(key)
    if reusable is None:
        reusable = ReusableModel(build())
    yield reusable
    _give_back(key, reusable)  # not after an error, whatever state it is in


def _take(key):
    with _lock:
        for place in reversed(range(len(_idle))):
            if _idle[place][0] == key:
                return _idle.pop(place)[1]
    return None


def _give_back(key, reusable):
    with _lock:
        _idle.append((key, reusable))
        while len(_idle) > 1 and (
            len(_idle) > _MAX_IDLE
            or sum(model.n_bytes for _, model in _idle) > _MAX_BYTES
        ):
            del _idle[0]


def _copied(variable):
    """A copy of a variable's value, whose memory Keras may go on using."""
    import keras

    return np.array(keras.ops.convert_to_numpy(variable.value))


def _compact(array):
    """One number in place of an array that repeats it."""
    if array.size and (array == array.flat[0]).all():
        return array.flat[0]
    return array
