"""Reuse of Keras models for training and prediction.

TensorFlow never frees tens of MB per model that has run. So all fits of a process share
one model per architecture: a fit borrows the model, replaces its weights, and returns
it.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import gc
import json
import threading
import time
import weakref
from contextlib import contextmanager
from numbers import Real
from operator import attrgetter

import numpy as np

from .._compat import (
    list_seed_states,
    preserved_random_state,
    rounds_by_place,
    trim_heap,
)
from ..utils._verbose import print_line
from ._batches import as_dataset

_MAX_IDLE = 32  # models
_MAX_BYTES = 2**30  # total size of idle models; a single one may be larger
_lock = threading.Lock()
_idle: list = []  # (key, model), the one returned last at the end


class ReusableModel:
    """A Keras model that can be reset and used again.

    Parameters
    ----------
    model : keras.Model
        The model, which is compiled if it will be trained.

    Attributes
    ----------
    n_bytes : int
        Approximate size of its weights and those of its optimizer.
    """

    def __init__(self, model):
        self.model = model
        self._variables = list(model.weights)
        self._loaded = []  # weak references to the arrays that are its weights
        dtypes = set(map(attrgetter("compute_dtype"), model.layers))
        self._rounds_by_place = rounds_by_place("bfloat16" in dtypes)
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
        sizes = map(np.prod, map(attrgetter("shape"), self._variables))
        self.n_bytes = 4 * int(sum(sizes))

    def load(self, arrays):
        """Set the weights, unless the same arrays are already set."""
        pairs = zip(self._loaded, arrays, strict=False)
        if not self._loaded or any(array() is not new for array, new in pairs):
            for weight, array in zip(self.model.weights, arrays, strict=True):
                weight.assign(array)
            self._loaded = list(map(weakref.ref, arrays))

    def reset(self, learning_rate, seed):
        """Reset the optimizer, and seed the layers."""
        self._loaded = []  # training changes the weights
        optimizer = self.model.optimizer
        start = zip(optimizer.variables, self._optimizer_start, strict=True)
        for variable, value in start:
            variable.assign(np.broadcast_to(value, variable.shape))
        if isinstance(learning_rate, Real):
            optimizer.learning_rate = float(learning_rate)
        generator = np.random.default_rng(seed)
        for variable in list_seed_states(self.model):
            state = generator.integers(2**31, dtype=np.uint32)
            variable.assign(np.array([state, 0], dtype=np.uint32))

    def free(self):
        """Free the values of all variables; the model cannot be used any more.

        TensorFlow keeps them beyond the life of the model, so each gets an empty one.
        """
        import keras

        if keras.backend.backend() != "tensorflow":
            return
        import tensorflow as tf

        for variable in self._variables:
            tf.raw_ops.AssignVariableOp(
                resource=variable.value.handle, value=tf.zeros(0, variable.dtype)
            )

    def predict(self, batch, batch_size) -> np.ndarray:
        """Apply the model to a batch, so that rows do not affect each other.

        The output of a row does not depend on the other rows or on their number:

        - oneDNN computes a batch of one row differently from larger ones, so batches
          are padded with zeros to a power of two, at least 2;
        - with TensorFlow's own operations, rounding depends on the position of a row,
          so each row is one batch.

        There are few batch sizes, because TensorFlow compiles the model for each.
        """
        n_rows = len(batch)
        if self._rounds_by_place:
            rows = np.split(batch, n_rows)
            return np.concatenate(list(map(self.model.predict_on_batch, rows)))
        size = max(2, min(batch_size, 1 << (n_rows - 1).bit_length()))
        padding = [(0, size - n_rows)] + [(0, 0)] * (batch.ndim - 1)
        return np.asarray(self.model.predict_on_batch(np.pad(batch, padding)))[:n_rows]


@contextmanager
def borrow_model(key, build):
    """Borrow the model of a key; no other code can use it until it is returned.

    Parameters
    ----------
    key : hashable
        Key of the architecture and, for training, of the compile arguments.

    build : callable
        Function that builds the Keras model if there is no idle one.

    Yields
    ------
    reusable : ReusableModel
    """
    reusable = None
    with _lock:
        for place in reversed(range(len(_idle))):
            if _idle[place][0] == key:
                reusable = _idle.pop(place)[1]
                break
    if reusable is None:
        reusable = ReusableModel(build())
    yield reusable
    with _lock:  # not reached after an error, when the state of the model is unknown
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
    trim_heap()


def copy_weights(model) -> tuple[np.ndarray, ...]:
    """Return the weights of a model as read-only arrays."""
    arrays = tuple(map(_copy_value, model.weights))
    for array in arrays:
        array.flags.writeable = False
    return arrays


def train_network(
    fitting,
    *,
    key,
    build,
    objective,
    weights,
    batches,
    validation,
    epochs,
    learning_rate,
    has_convolutions,
    attributes_of,
    metrics_callback=None,
) -> tuple[np.ndarray, ...]:
    """Train a network from given weights, and record its history.

    Parameters
    ----------
    fitting : Fitting
        The fit that this stage belongs to. Its records are extended.

    key : hashable
        Key of the architecture, the trained layers and the objective.

    build : callable
        Function that builds the uncompiled Keras model.

    objective : callable
        Function that returns a dict of `loss` and `metrics` for Keras' `compile`.

    weights : sequence of ndarray
        Initial weights.

    batches, validation : Batches
        Training data, and data to evaluate after each epoch or None. Both are released
        at the end.

    epochs : int
        Number of epochs.

    learning_rate : float, schedule or None
        None keeps the learning rate of an optimizer that was passed as an object.

    has_convolutions : bool
        Whether most of the work is convolutions. On a CPU, XLA computes them more
        slowly than TensorFlow's own operations.

    attributes_of : callable
        Function from weights to the fitted attributes of the estimator so far.

    metrics_callback : keras.callbacks.Callback, default=None
        Callback that changes the metrics of each epoch before other callbacks get them.

    Returns
    -------
    weights : tuple of ndarray
        Final weights.

    Raises
    ------
    Exception
        The error that prevented a batch, as it was raised.
    """
    import keras

    estimator = fitting.estimator
    optimizer, own_classes = _describe_optimizer(estimator.optimizer, learning_rate)
    on_tensorflow = keras.backend.backend() == "tensorflow"

    def build_compiled():
        model = build()
        with preserved_random_state():
            model.compile(
                optimizer=keras.optimizers.deserialize(optimizer, own_classes),
                jit_compile=False if has_convolutions and on_tensorflow else "auto",
                **objective(),
            )
        return model

    data_sets = list(filter(None, (batches, validation)))
    config = json.dumps(optimizer, sort_keys=True)
    model_key = ("training", key, config, *own_classes.values())
    try:
        with borrow_model(model_key, build_compiled) as reusable:
            reusable.load(weights)
            reusable.reset(learning_rate, [fitting.seeds["dropout"], fitting.epoch])
            with preserved_random_state():
                history = reusable.model.fit(
                    as_dataset(batches),
                    epochs=fitting.epoch + epochs,
                    initial_epoch=fitting.epoch,
                    validation_data=as_dataset(validation),
                    callbacks=[
                        *filter(None, [metrics_callback]),
                        _follow_epochs(fitting, batches, epochs, attributes_of),
                        *fitting.make_keras_callbacks(),
                    ],
                    verbose=0,
                    shuffle=False,
                ).history
            weights = copy_weights(reusable.model)
    except Exception:
        for data in data_sets:
            if data.error is not None:
                raise data.error from None
        raise
    finally:
        for data in data_sets:
            data.release()
    fitting.record(history)
    return weights


def _follow_epochs(fitting, batches, n_epochs, attributes_of):
    """Return a Keras callback that reports each epoch as a task to scikit-learn.

    It prints the line of the epoch too.
    """
    import keras

    task = start = None

    def begin(epoch, logs):
        nonlocal task, start
        start = time.perf_counter()
        batches.begin_epoch(epoch)
        task = fitting.context.subcontext(task_name="epoch")
        task.call_on_fit_task_begin(**fitting.hook_arguments)

    def end(epoch, logs):
        measured = ", ".join(f"{name} {value:.4f}" for name, value in logs.items())
        what = f"Epoch {epoch + 1} of {fitting.epoch + n_epochs}, {measured}"
        print_line(fitting.estimator, what, start)
        model = callback.model
        if task.call_on_fit_task_end(
            **fitting.hook_arguments,
            reconstruction_attributes=lambda: attributes_of(copy_weights(model)),
        ):
            fitting.stopped = model.stop_training = True

    callback = keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_epoch_end=end)
    return callback


def check_optimizer(estimator, names):
    """Raise ValueError unless Keras can rebuild the optimizer with each learning rate.

    Parameters
    ----------
    estimator : NetworkEstimator
        Estimator with the parameter `optimizer`.

    names : sequence of str
        Names of its parameters for learning rates.
    """
    import keras

    optimizer = estimator.optimizer

    schedule = keras.optimizers.schedules.LearningRateSchedule
    if not isinstance(optimizer, str | keras.optimizers.Optimizer):
        raise ValueError(
            f"optimizer={optimizer!r} is neither the name nor an instance of a Keras "
            "optimizer."
        )
    with preserved_random_state():
        try:
            keras.optimizers.get(optimizer)
        except Exception as error:
            raise ValueError(
                f"optimizer={optimizer!r} is not an optimizer of Keras, such as "
                "'adam', 'sgd' or 'rmsprop'."
            ) from error
        for name in names:
            rate = getattr(estimator, name)
            if not isinstance(rate, Real | schedule):
                raise ValueError(
                    f"{name}={rate!r} is neither a number nor one of "
                    "keras.optimizers.schedules."
                )
            try:
                config, own_classes = _describe_optimizer(optimizer, rate)
                json.dumps(config)
                keras.optimizers.deserialize(config, own_classes)
            except Exception as error:
                raise ValueError(
                    f"optimizer={optimizer!r} with {name}={rate!r} cannot be "
                    "rebuilt from its configuration: your own class needs a "
                    "get_config with all its arguments."
                ) from error


def _describe_optimizer(optimizer, learning_rate):
    """Return the configuration of an optimizer, and classes defined by the user.

    A constant learning rate is set later, so that it needs no new model. Classes are
    found by name and need not be registered with Keras.
    """
    import keras

    if isinstance(optimizer, str):
        optimizer = keras.optimizers.get(optimizer)
    config = keras.optimizers.serialize(optimizer)
    config["config"].pop("name", None)
    if isinstance(learning_rate, Real):
        config["config"]["learning_rate"] = 0.001
    elif learning_rate is not None:
        config["config"]["learning_rate"] = keras.optimizers.schedules.serialize(
            learning_rate
        )
    own_classes = {}
    for kind in (type(optimizer), type(learning_rate)):
        if kind.__module__.split(".")[0] not in ("keras", "builtins"):
            own_classes[kind.__name__] = kind
    return config, own_classes


def _copy_value(variable):
    """Copy the value of a variable, because Keras may use its memory again."""
    import keras

    return np.array(keras.ops.convert_to_numpy(variable.value))
