"""Keras models that are used again.

TensorFlow keeps tens of MB for each model that has run, whatever is collected. So
one model for each architecture serves all fits of a process: it is borrowed, its
weights are replaced, and it is given back.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import threading
from collections import OrderedDict
from contextlib import contextmanager

import numpy as np

_MAX_IDLE = 6  # two fits' worth of models for training and applying
_lock = threading.Lock()
_idle: OrderedDict = OrderedDict()  # key -> list of models, last used last


class ReusableModel:
    """A Keras model that forgets what it was used for.

    Parameters
    ----------
    model : keras.Model
        The model; compiled if it is for training.
    """

    def __init__(self, model):
        self.model = model
        self._loaded = None
        self._optimizer_start = None
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None:
            optimizer.build(model.trainable_variables)
            self._optimizer_start = [
                _compact(_copied(variable)) for variable in optimizer.variables
            ]

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
        models = _idle.get(key)
        if not models:
            return None
        model = models.pop()
        if not models:
            del _idle[key]
        return model


def _give_back(key, model):
    with _lock:
        _idle.setdefault(key, []).append(model)
        _idle.move_to_end(key)
        while sum(map(len, _idle.values())) > _MAX_IDLE:
            oldest = next(iter(_idle))
            _idle[oldest].pop(0)
            if not _idle[oldest]:
                del _idle[oldest]


def _copied(variable):
    """A copy of a variable's value, whose memory Keras may go on using."""
    import keras

    return np.array(keras.ops.convert_to_numpy(variable.value))


def _compact(array):
    """One number in place of an array that repeats it."""
    if array.size and (array == array.flat[0]).all():
        return array.flat[0]
    return array
