"""Callbacks of Keras: copies for each fit, and what they see of the training."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import inspect
import io
import time

from .._compat import set_initial_epoch, take_initial_epoch
from ..utils._verbose import print_line


def check_keras_callbacks(callbacks, has_checkpoint=False):
    """Raise ValueError unless all are callbacks of Keras that can be copied.

    For a checkpoint, their state must be picklable too.
    """
    import keras

    for callback in callbacks or ():
        if not isinstance(callback, keras.callbacks.Callback):
            raise ValueError(
                f"keras_callbacks has {callback!r}, which is not an instance of "
                "keras.callbacks.Callback. Pass callbacks of scikit-learn to "
                "set_callbacks()."
            )
    copies = copy_keras_callbacks(callbacks or ())
    if has_checkpoint:
        from ._stage_state import check_states

        check_states(copies)


def copy_keras_callbacks(callbacks, known=()):
    """Return copies of Keras callbacks. If callbacks share an object, so do copies.

    Parameters
    ----------
    callbacks : list or tuple of keras.callbacks.Callback
        The callbacks of a user.

    known : iterable of (callback, copy)
        Callbacks that were copied before, with the copies to use again.

    Returns
    -------
    copies : list of keras.callbacks.Callback

    Raises
    ------
    ValueError
        If a callback cannot be copied.
    """
    if not callbacks:
        return []
    from keras.callbacks import Callback, CSVLogger

    copies = {id(callback): used for callback, used in known}
    for callback in callbacks:
        if not isinstance(callback, Callback):  # `clone` copies unchecked parameters
            continue
        copies[id(callback.model)] = None  # of an earlier training
        for value in vars(callback).values():
            # A function or method that the user gave to a callback is not copied.
            is_function = inspect.ismethod(value) and value.__self__ is not callback
            if is_function or inspect.ismodule(value):
                copies[id(value)] = value
            elif isinstance(value, io.IOBase) and value.closed:
                copies[id(value)] = None  # of an earlier training
    used = []
    for callback in callbacks:
        try:
            used.append(copy.deepcopy(callback, copies))
        except Exception as error:  # copying raises errors of many classes
            raise ValueError(
                f"keras_callbacks has {callback!r}, which cannot be copied for a fit: "
                f"{error}. Open files and locks in on_train_begin, not before. If all "
                "fits may share the object, define __deepcopy__(self, memo) that "
                "returns self."
            ) from error
    for callback, new in zip(callbacks, used, strict=True):
        if isinstance(callback, CSVLogger):  # see `end_stage`
            new.append, new.append_header = callback.append, callback.append_header
    return used


def make_callback_list(
    fitting, model, whole, batches, *, epochs, attributes_of, metrics_callback
):
    """Return all callbacks of a stage of training in one list, and their `History`.

    Parameters
    ----------
    fitting : Fitting
        The fit that this stage belongs to.

    model : keras.Model
        The model that is trained.

    whole : keras.Model
        The whole network, which the user's callbacks see as their model. It shares the
        trained layers and the optimizer with `model`.

    batches : Batches
        Training data.

    epochs : int
        Number of epochs.

    attributes_of : callable
        Function from the model to the fitted attributes of the estimator so far.

    metrics_callback : keras.callbacks.Callback or None
        Callback that changes the metrics of each epoch before other callbacks get them.

    Returns
    -------
    callbacks : keras.callbacks.CallbackList
    history : keras.callbacks.History
    """
    import keras

    for callback in fitting.keras_callbacks:
        _choose_direction(callback, fitting.estimator._metrics)
    history = keras.callbacks.History()
    first = [_follow_epochs(fitting, batches, epochs, attributes_of)]
    if metrics_callback is not None:
        first.insert(0, metrics_callback)
    ours = [*_stop_early(fitting.estimator), _pass_on_requests(fitting, whole)]
    callbacks = keras.callbacks.CallbackList(
        [*first, *fitting.keras_callbacks, *ours, history],
        model=whole,
        verbose=0,
        epochs=fitting.epoch + epochs,
        steps=len(batches),
    )
    for callback in (*first, *ours):
        callback.set_model(model)
    model.history = history
    whole.stop_training = False
    return callbacks, history


def _choose_direction(callback, metrics):
    """Let a callback with `mode="auto"` look for the maximum of our metrics.

    Keras itself knows this of its own metrics in the trained model only.
    """
    name = getattr(callback, "monitor", "loss").removeprefix("val_")
    if getattr(callback, "mode", None) == "auto" and name in metrics:
        callback.mode = "min" if name == "loss" else "max"


def end_stage(callbacks):
    """Prepare copies of Keras callbacks for the next stage of a fit."""
    import keras

    for callback in callbacks:
        # Of the base class, because a user's callback may do more in its own.
        keras.callbacks.Callback.set_model(callback, None)
        if isinstance(callback, keras.callbacks.CSVLogger):
            callback.append = True  # a log holds all stages of a fit


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
            reconstruction_attributes=lambda: attributes_of(model),
        ):
            fitting.stopped = model.stop_training = True

    callback = keras.callbacks.LambdaCallback(on_epoch_begin=begin, on_epoch_end=end)
    return callback


def _stop_early(estimator):
    """Return the callback of early stopping, if the estimator asks for it."""
    import keras

    if not estimator.early_stopping:
        return []
    is_loss = estimator.monitor.removeprefix("val_") == "loss"
    return [
        keras.callbacks.EarlyStopping(
            monitor=estimator.monitor,
            mode="min" if is_loss else "max",
            patience=estimator.n_iter_no_change,
            restore_best_weights=True,
        )
    ]


def _pass_on_requests(fitting, whole):
    """Return a callback that passes requests on to the model that is trained.

    The user's callbacks know the whole network only. They ask it to stop, or to start
    at another epoch.
    """
    import keras

    def begin(logs):
        # `BackupAndRestore` asks for the first epoch.
        epoch = take_initial_epoch(whole)
        if epoch is not None:
            fitting.restored_epoch = epoch
        set_initial_epoch(callback.model, max(fitting.restored_epoch, fitting.epoch))

    def stop(index, logs):
        if whole.stop_training:
            callback.model.stop_training = True

    callback = keras.callbacks.LambdaCallback(
        on_train_begin=begin,
        on_train_batch_end=stop,
        on_epoch_end=stop,
        on_train_end=lambda logs: take_initial_epoch(callback.model),
    )
    return callback
