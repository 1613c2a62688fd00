"""State of a stage of training in a checkpoint: of the optimizer and the callbacks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import inspect
import io
import pickle
import threading
from types import ModuleType

import keras
import numpy as np

from .._compat import set_initial_epoch
from ._models import copy_weights

_LOCKS = type(threading.Lock()), type(threading.RLock())
_COUNTERS = "best_epoch", "wait", "stopped_epoch"  # of early stopping


class StageCheckpoint(keras.callbacks.Callback):
    """Callback that writes a checkpoint after each epoch, or continues from one.

    It must be the last callback, so that all others have done their work.

    Parameters
    ----------
    fitting : Fitting
        The fit that this stage belongs to.

    reusable : ReusableModel
        The model that is trained.

    start : tuple of (base, weights)
        Weights of the network at the begin of the stage: those that the model lacks,
        and its own.

    n_epochs : int
        Maximum number of epochs of this stage.

    callbacks : keras.callbacks.CallbackList
        All other callbacks.

    history : keras.callbacks.History
        One of them.
    """

    def __init__(self, fitting, reusable, start, n_epochs, callbacks, history):
        super().__init__()
        self._fitting, self._reusable, self._start = fitting, reusable, start
        self._n_epochs, self._history = n_epochs, history
        self._early_stopping = None
        for callback in callbacks.callbacks:
            is_ours = callback not in fitting.keras_callbacks
            if is_ours and isinstance(callback, keras.callbacks.EarlyStopping):
                self._early_stopping = callback

    def on_train_begin(self, logs=None):
        fitting, checkpoint = self._fitting, self._fitting.checkpoint
        stage = checkpoint.stage
        if stage is None:
            return
        n_weights = len(self._start[1])
        self._reusable.write_state(
            checkpoint.take_weights("weights", n_weights),
            checkpoint.take("optimizer"),
            checkpoint.take("seeds"),
        )
        if self._early_stopping is not None:
            vars(self._early_stopping).update(stage["early_stopping"])
            if stage["early_stopping"]["best"] is not None:
                best = checkpoint.take_weights("best", n_weights)
                self._early_stopping.best_weights = list(best)
        self._history.history = stage["history"]
        self._history.epoch = list(range(stage["n_epochs"]))
        load_states(fitting.keras_callbacks, checkpoint.take("callbacks"))
        n_done = self._n_epochs if stage["is_stopped"] else stage["n_epochs"]
        set_initial_epoch(self._reusable.model, fitting.epoch + n_done)
        checkpoint.forget()

    def on_epoch_end(self, epoch, logs=None):
        fitting, model = self._fitting, self._reusable.model
        base, weights = self._start
        if fitting.keras_callbacks and self._reusable.read_base(base):
            fitting.checkpoint.warn(
                "is not written, because a callback has changed weights that are not "
                "trained"
            )
            return
        history = self._history.history
        stage = {
            "n_epochs": len(self._history.epoch),
            "is_stopped": bool(model.stop_training),
            "history": {name: list(map(float, history[name])) for name in history},
        }
        best, stops = None, self._early_stopping
        if stops is not None:
            stage["early_stopping"] = {
                "best": None if stops.best is None else float(stops.best),
                **{name: int(getattr(stops, name)) for name in _COUNTERS},
            }
            best = stops.best_weights
        state = {"weights": copy_weights(model), "best": best or ()}
        state.update(self._reusable.read_state())
        fitting.keep((*base, *weights), stage, **state)


def check_states(callbacks):
    """Raise ValueError for a callback whose state a checkpoint cannot have."""
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.BackupAndRestore):
            raise ValueError(
                "keras_callbacks has BackupAndRestore, but checkpoint continues fits "
                "too, and restores more. Remove one of them."
            )
        try:
            _dump([callback], callbacks)
        except Exception as error:  # pickle raises errors of many classes
            raise ValueError(
                f"keras_callbacks has {callback!r}, whose state cannot be pickled for "
                f"checkpoint: {error}. Set checkpoint=None, or let its attributes have "
                "values that can be pickled."
            ) from error


def dump_states(callbacks) -> list[np.ndarray]:
    """Return the pickled state of callbacks of Keras, in a list of arrays.

    It lacks what a callback gets or opens in `on_train_begin`, which is called again
    when a fit continues: the model, files and locks.
    """
    return [_dump(callbacks, callbacks)] if callbacks else []


def load_states(callbacks, arrays):
    """Set the state of callbacks of Keras to that of :func:`dump_states`.

    Raises
    ------
    ValueError
        If a class or function is gone.
    """
    for array in arrays:
        try:
            states = _Unpickler(io.BytesIO(array.tobytes()), callbacks).load()
        except Exception as error:  # pickle raises errors of many classes
            raise ValueError(
                "checkpoint: the state of keras_callbacks cannot be loaded: "
                f"{type(error).__name__}: {error}. Define what it needs before the "
                "fit, or delete the checkpoint to start a new fit."
            ) from error
        for callback, state in zip(callbacks, states, strict=True):
            vars(callback).update(state)


def _dump(callbacks, others) -> np.ndarray:
    """Pickle the state of some callbacks, which can refer to others."""
    file = io.BytesIO()
    _Pickler(file, others).dump(list(map(_find_state, callbacks)))
    return np.frombuffer(file.getvalue(), np.uint8)


def _find_state(callback) -> dict:
    """Return the attributes of a callback that a checkpoint keeps."""
    if isinstance(callback, keras.callbacks.CSVLogger):
        return {"append": True}  # the file has all epochs that are done
    return {k: v for k, v in vars(callback).items() if not _is_left_out(v, callback)}


def _is_left_out(value, callback) -> bool:
    """Return whether an attribute of a callback is not its own, or cannot be kept."""
    if inspect.ismethod(value) or inspect.isbuiltin(value):  # of an object of the user
        return not isinstance(value.__self__, ModuleType) and (
            value.__self__ is not callback
        )
    if inspect.isfunction(value):
        return "<" in value.__qualname__  # such as "<lambda>", which has no name
    is_file = hasattr(value, "close") and hasattr(value, "write")
    return is_file or isinstance(value, (ModuleType, keras.Model, *_LOCKS))


class _Pickler(pickle.Pickler):
    """Pickler that refers to callbacks by their position, and to no model."""

    def __init__(self, file, callbacks):
        super().__init__(file, protocol=5)
        self._callbacks = callbacks

    def persistent_id(self, obj):
        """Return a position, a name or None."""
        if isinstance(obj, keras.Model):
            return "model"
        if isinstance(obj, keras.callbacks.Callback):
            for position, callback in enumerate(self._callbacks):
                if obj is callback:
                    return position
        return None


class _Unpickler(pickle.Unpickler):
    """Unpickler for :class:`_Pickler`."""

    def __init__(self, file, callbacks):
        super().__init__(file)
        self._callbacks = callbacks

    def persistent_load(self, pid):
        """Return the callback of a position, or None for a model."""
        return None if pid == "model" else self._callbacks[pid]
