"""Reuse of Keras models for training and prediction.

TensorFlow never frees tens of MB per model that has run. So all fits of a process share
one model per architecture: a fit borrows the model, replaces its weights, and returns
it.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import ctypes
import gc
import threading
import weakref
from collections.abc import Hashable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np

from .._compat import (
    list_seed_states,
    preserved_random_state,
    rounds_by_place,
)
from ._jax_state import make_turn, share_state
from ._onednn import warn_without_onednn
from ._tracing import quiet_tracing

_MAX_IDLE = 32  # models
_MAX_BYTES = 2**30  # total size of idle models; a single one may be larger
_MAX_LEASES = 2  # models of one architecture that predict with different weights
_lock = threading.Condition()
_idle: list = []  # (key, model), the one returned last at the end
_leases: list = []


class LoadedModel:
    """A model that predicts with the weights that were loaded last.

    A subclass has `_set_weights`, `predict` and `free`.

    Attributes
    ----------
    n_bytes : int
        Approximate size of its weights.
    """

    n_bytes: int

    def __init__(self):
        self._loaded = []  # weak references to the arrays that are its weights

    def has_loaded(self, arrays) -> bool:
        """Return whether the weights are these arrays."""
        return are_same([array() for array in self._loaded], arrays)

    def load(self, arrays):
        """Set the weights, unless the same arrays are already set."""
        if not self.has_loaded(arrays):
            self._loaded = []
            self._set_weights(arrays)
            self._loaded = list(map(weakref.ref, arrays))

    def _set_weights(self, arrays):
        raise NotImplementedError


class ReusableModel(LoadedModel):
    """A Keras model that can be reset and used again.

    Parameters
    ----------
    model : keras.Model
        The model, which is compiled if it will be trained.

    settings : dict of str to keras.Variable, default={}
        Settings of the training that can be changed.

    Attributes
    ----------
    n_bytes : int
        Approximate size of its weights and those of its optimizer.
    """

    def __init__(self, model, settings=()):
        super().__init__()
        warn_without_onednn()
        self.model = model
        self._settings = dict(settings)
        self._whole = None
        self._loaded_base = []
        self._variables = list(model.weights)
        dtypes = set(map(attrgetter("compute_dtype"), model.layers))
        self._rounds_by_place = rounds_by_place("bfloat16" in dtypes)
        self._turn = make_turn()
        self._optimizer_start = []
        optimizer = getattr(model, "optimizer", None)
        if optimizer is not None:
            optimizer.build(model.trainable_variables)
            for variable in optimizer.variables:
                value = _copy_value(variable)
                # One number instead of an array that repeats it.
                repeats = value.size and (value == value.flat[0]).all()
                self._optimizer_start.append(value.flat[0] if repeats else value)
            self._variables += optimizer.variables
        self.n_bytes = _count_bytes(self._variables)

    def _set_weights(self, arrays):
        _assign(self.model.weights, arrays)

    def load_whole(self, build, objective, base, settings):
        """Return the whole network, which shares the trained layers and the optimizer.

        Parameters
        ----------
        build : callable
            Function from the model to the network, if it is not yet built.

        objective : callable
            Function that returns a dict of arguments for its `compile`.

        base : tuple of ndarray
            The weights of the network that the model lacks. They come first.

        settings : dict of str to float
            Values of the settings.

        Returns
        -------
        network : keras.Model
        """
        from ..networks._adjustable import write_settings

        if self._whole is None:
            with preserved_random_state():
                self._whole = build(self.model)
            share_state(self._whole, self.model)
            weights = self._whole.weights[: len(base)]
            self._variables += weights
            self.n_bytes += _count_bytes(weights)
        if not are_same([array() for array in self._loaded_base], base):
            self._loaded_base = []
            _assign(self._whole.weights[: len(base)], base)
            self._loaded_base = list(map(weakref.ref, base))
        write_settings(self._whole, settings)
        # Before each training, because Keras loses the optimizer when it saves .h5.
        with preserved_random_state():
            self._whole.compile(optimizer=self.model.optimizer, **objective())
        return self._whole

    def read_base(self, base) -> tuple[np.ndarray, ...]:
        """Return the weights that are not trained, if a callback has changed them."""
        weights = self._whole.weights[: len(base)]
        if all(map(_has_value, weights, base)):
            return ()
        self._loaded_base = []
        return tuple(map(_copy_value, weights))

    def reset(self, learning_rate, settings, seed):
        """Reset the optimizer, set the settings, and seed the layers."""
        self._loaded = []  # training changes the weights
        for name, value in settings.items():
            self._settings[name].assign(value)
        optimizer = self.model.optimizer
        start = zip(optimizer.variables, self._optimizer_start, strict=True)
        for variable, value in start:
            variable.assign(np.broadcast_to(value, variable.shape))
        if learning_rate is not None:
            optimizer.learning_rate = learning_rate
        generator = np.random.default_rng(seed)
        for variable in list_seed_states(self.model):
            state = generator.integers(2**31, dtype=np.uint32)
            variable.assign(np.array([state, 0], dtype=np.uint32))

    def read_state(self) -> dict[str, list]:
        """Return the state of a training besides the weights."""
        return {
            "optimizer": list(map(_copy_value, self.model.optimizer.variables)),
            "seeds": list(map(_copy_value, list_seed_states(self.model))),
        }

    def write_state(self, weights, optimizer, seeds):
        """Set the weights and what :meth:`read_state` returned."""
        _assign(self.model.weights, weights)
        _assign(self.model.optimizer.variables, optimizer)
        _assign(list_seed_states(self.model), seeds)

    def free(self):
        """Free the values of all variables; the model cannot be used any more."""
        free_variables(self._variables)

    def predict(self, batch, batch_size) -> np.ndarray:
        """Apply the model to a batch, so that rows do not affect each other.

        The output of a row does not depend on the other rows or on their number:

        - oneDNN computes a batch of one row differently from larger ones, so batches
          are padded with zeros to a power of two, but at most to `batch_size`, and at
          least to 2;
        - with TensorFlow's own operations, rounding depends on the position of a row,
          so each row is one batch.

        There are few batch sizes, because TensorFlow compiles the model for each.
        """
        n_rows = len(batch)
        with self._turn, quiet_tracing():
            if self._rounds_by_place:
                rows = np.split(batch, n_rows)
                return np.concatenate(list(map(self.model.predict_on_batch, rows)))
            size = max(2, min(batch_size, 1 << (n_rows - 1).bit_length()))
            padding = [(0, size - n_rows)] + [(0, 0)] * (batch.ndim - 1)
            padded = np.pad(batch, padding)
            return np.asarray(self.model.predict_on_batch(padded))[:n_rows]


@contextmanager
def borrow_model(key, build):
    """Borrow the model of a key; no other code can use it until it is returned.

    After an error it is not used again, and its values are freed.

    Parameters
    ----------
    key : hashable
        Key of the architecture and of the compile arguments.

    build : callable
        Function that builds the Keras model, and the variables of its settings, if
        there is no idle one.

    Yields
    ------
    reusable : ReusableModel
    """
    with _lock:
        reusable = _take_idle(key)
    if reusable is None:
        reusable = ReusableModel(*build())
    try:
        yield reusable
    except BaseException:
        reusable.free()  # its state is unknown
        raise
    with _lock:
        _keep_idle(key, reusable)


@dataclass(eq=False)
class _Lease:
    """A model that predicts, with its weights and the threads that use it."""

    key: Hashable
    arrays: Sequence
    reusable: ReusableModel | None
    threads: list = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def share_model(key, build, arrays, make=ReusableModel):
    """Use a model for predictions, together with all threads that need its weights.

    Threads with other weights use another model of the same architecture. At most
    `_MAX_LEASES` of them are used at the same time; further threads wait.

    Parameters
    ----------
    key : hashable
        Key of the architecture.

    build : callable
        Function that builds the Keras model if there is no idle one.

    arrays : sequence of ndarray
        Its weights.

    make : callable, default=ReusableModel
        Function from the Keras model to the LoadedModel that predicts.

    Yields
    ------
    loaded : LoadedModel
    """
    key, thread = ("predicting", key), threading.get_ident()
    with _lock:
        lease = _find_lease(key, arrays, thread)
        while lease is None:
            _lock.wait()
            lease = _find_lease(key, arrays, thread)
        lease.threads.append(thread)
    try:
        with lease.lock:
            if lease.reusable is None:
                lease.reusable = make(build())
            lease.reusable.load(arrays)
        yield lease.reusable
    finally:
        with _lock:
            lease.threads.remove(thread)
            if not lease.threads:
                _leases.remove(lease)
                if lease.reusable is not None:
                    _keep_idle(key, lease.reusable)
                _lock.notify_all()


def _find_lease(key, arrays, thread):
    """Return a model with these weights, or None if the thread has to wait."""
    leases = [lease for lease in _leases if lease.key == key]
    for lease in leases:
        if are_same(lease.arrays, arrays):
            return lease
    # A thread that would wait for itself gets one more model.
    is_own = any(thread in lease.threads for lease in leases)
    if len(leases) >= _MAX_LEASES and not is_own:
        return None
    _leases.append(_Lease(key, arrays, _take_idle(key, arrays)))
    return _leases[-1]


def _take_idle(key, arrays=()):
    """Return the idle model that was returned last, if possible with these weights."""
    places = [place for place, (other, _) in enumerate(_idle) if other == key]
    if not places:
        return None
    loaded = [place for place in places if _idle[place][1].has_loaded(arrays)]
    return _idle.pop((loaded or places)[-1])[1]


def _keep_idle(key, reusable):
    """Keep a model, and free those that were not used for longest."""
    _idle.append((key, reusable))
    n_bytes = 0
    for _, idle in _idle:
        n_bytes += idle.n_bytes
    while len(_idle) > 1 and (len(_idle) > _MAX_IDLE or n_bytes > _MAX_BYTES):
        dropped = _idle.pop(0)[1]
        n_bytes -= dropped.n_bytes
        dropped.free()


def clear_models() -> None:
    """Free the memory of networks that wait to be used again.

    One network of each architecture that has been trained or applied is kept in a
    process, up to 1 GiB of weights in all, so that a search builds it once. Call this
    when a process goes on to other things. Fitted estimators have weights of their own
    and predict as before; what they need is built again. Networks that are in use, in
    another thread, are left alone.

    Call it also after you have changed a value that your own loss or optimizer reads,
    such as a global variable. A network that is kept was compiled with the old value.

    Notes
    -----
    TensorFlow's allocator keeps what is freed for the networks that come next. The
    environment variable ``TF_ONEDNN_USE_SYSTEM_ALLOCATOR=1``, set before TensorFlow is
    loaded, has it go back to the system.

    Examples
    --------
    >>> import skinest
    >>> skinest.clear_models()
    """
    with _lock:
        dropped = _idle.copy()
        _idle.clear()
    while dropped:
        dropped.pop()[1].free()
    gc.collect()  # Keras' models hold each other in cycles
    _trim_heap()


def _trim_heap():
    """Return free memory to the system, if the C library is glibc.

    After a network was used, glibc holds hundreds of MB of small, free blocks.
    """
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (AttributeError, OSError):
        pass


def copy_weights(model) -> tuple[np.ndarray, ...]:
    """Return the weights of a model as read-only arrays."""
    arrays = tuple(map(_copy_value, model.weights))
    for array in arrays:
        array.flags.writeable = False
    return arrays


def free_variables(variables):
    """Free the values of variables; their model cannot be used any more.

    TensorFlow keeps them beyond the life of the model, so each gets an empty one.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        return
    import tensorflow as tf

    for variable in variables:
        tf.raw_ops.AssignVariableOp(
            resource=variable.value.handle, value=tf.zeros(0, variable.dtype)
        )


def _count_bytes(variables) -> int:
    return 4 * int(sum(map(np.prod, map(attrgetter("shape"), variables))))


def are_same(arrays, others) -> bool:
    """Return whether two sequences have the same objects."""
    if len(arrays) != len(others):
        return False
    return all(one is other for one, other in zip(arrays, others, strict=True))


def _assign(variables, arrays):
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _has_value(variable, array) -> bool:
    return np.array_equal(_copy_value(variable), array)


def _copy_value(variable):
    """Copy the value of a variable, because Keras may use its memory again."""
    import keras

    return np.array(keras.ops.convert_to_numpy(variable.value))
