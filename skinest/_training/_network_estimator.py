"""The base class of estimators that train a network."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import os
import time
import warnings
from contextlib import closing
from dataclasses import dataclass, field
from math import nan
from numbers import Integral, Real

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from .._cache import Cache
from .._compat import (
    CallbackSupportMixin,
    DocLinkMixin,
    HasMethods,
    Interval,
    StrOptions,
    open_callback_context,
)
from ..utils._callbacks import iterate_with_callbacks
from ..utils._checks import MAX_SEED
from ..utils._tags import ImageInputMixin
from ..utils._verbose import announce, print_line
from ._checkpoint import Checkpoint
from ._fit_identity import describe_column
from ._keras_callbacks import check_keras_callbacks, copy_keras_callbacks
from ._optimizers import check_optimizer, find_exclusions, set_exclusions
from ._views import NUMBERS_OF_VIEWS

# Of a fit, in a checkpoint.
_RECORDS = "epoch", "stopped", "history", "n_iter_per_stage", "n_replaced"
_BACKENDS = ["jax", "tensorflow", "torch"]  # of Keras, on which it can train
_EXCLUSIONS = "_excluded_from_weight_decay"  # of the optimizer, in a pickle
LEARNING_RATE: list = [
    Interval(Real, 0, None, closed="neither"),
    HasMethods(["get_config", "__call__"]),
]


class NetworkEstimator(
    ImageInputMixin, DocLinkMixin, CallbackSupportMixin, BaseEstimator
):
    """Base class with parameters of training, checks, records and warm starts.

    A subclass sets the names of its metrics, its seeds, and its parameters for learning
    rates, for epochs, for predictions only, and for predictions.
    """

    _metrics: tuple[str, ...] = ()
    _seeded: tuple[str, ...] = ()
    _learning_rates: tuple[str, ...] = ("learning_rate",)
    _epochs: tuple[str, ...] = ("epochs",)
    _unused_in_training: tuple[str, ...] = ()
    _used_in_predictions: tuple[str, ...] = ("batch_size", "n_prediction_views")

    history_: dict[str, list[float]]
    n_iter_: int
    n_iter_per_stage_: list[int]

    _parameter_constraints: dict = {
        "image_size": [tuple, list],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": LEARNING_RATE,
        "optimizer": [str, HasMethods(["get_config", "apply"])],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "augmentation": [callable, None],
        "n_prediction_views": NUMBERS_OF_VIEWS,
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "early_stopping": ["boolean"],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "monitor": [str],
        "compute_dtype": [StrOptions({"auto", "float32", "bfloat16"})],
        "memory": [str, os.PathLike, joblib.Memory, None],
        "checkpoint": [str, os.PathLike, None],
        "keras_callbacks": [list, tuple, None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def _check_training(self, X_val, y_val):
        """Raise ValueError for invalid parameters of training."""
        _check_backend()
        names, monitor = self._metrics, self.monitor
        if self.early_stopping and monitor.removeprefix("val_") not in names:
            raise ValueError(
                f"monitor={monitor!r}: choose one of {', '.join(names)}, with the "
                "prefix 'val_' for validation images."
            )
        check_optimizer(self, self._learning_rates)
        check_keras_callbacks(self.keras_callbacks, self.checkpoint is not None)
        if (X_val is None) != (y_val is None):
            raise ValueError("Pass both X_val and y_val, or none of them.")
        Cache(self.memory)  # raises ValueError if the folder cannot be created

    def _make_seeds(self) -> dict:
        """Return one seed for each use of randomness, from `random_state`."""
        rng = check_random_state(self.random_state)
        drawn = rng.randint(MAX_SEED, size=len(self._seeded)).tolist()
        return dict(zip(self._seeded, drawn, strict=True))

    def _describe_targets(self, y, name) -> str:
        """Return a text that identifies the labels or masks of images."""
        return describe_column(y)

    def _begin_fit(self, X, y, checkpoint, n_tasks) -> "Fitting":
        """Open the context of scikit-learn's callbacks, and start the records."""
        is_continued = self.warm_start and hasattr(self, "n_iter_")
        callbacks = self.keras_callbacks or ()
        known = getattr(self, "_used_callbacks", ()) if is_continued else ()
        context = open_callback_context(self, n_tasks)
        fitting = Fitting(
            estimator=self,
            cache=Cache(self.memory),
            hook_arguments={"estimator": self, "X": X, "y": y},
            context=context,
            checkpoint=checkpoint,
            seeds=checkpoint.seeds,
            epoch=self.n_iter_ if is_continued else 0,
            keras_callbacks=copy_keras_callbacks(callbacks, known),
        )
        context.call_on_fit_task_begin(**fitting.hook_arguments)
        return fitting

    def _end_fit(self, fitting, attributes):
        """Keep what a fit has learned and recorded, after what is counted on from."""
        history, per_stage, new = {}, [], fitting.history
        n_new = sum(fitting.n_iter_per_stage)
        n_done = fitting.epoch - n_new
        if n_done:
            history, per_stage = self.history_, self.n_iter_per_stage_
        vars(self).update(attributes)
        callbacks = self.keras_callbacks or ()
        pairs = zip(callbacks, fitting.keras_callbacks, strict=True)
        self._used_callbacks = list(pairs)  # for a warm start
        self.history_ = {}
        # What one of the fits has not measured, as without validation, is NaN there.
        for name in {**history, **new}:
            before = history.get(name, [nan] * n_done)
            self.history_[name] = [*before, *new.get(name, [nan] * n_new)]
        self.n_iter_per_stage_ = per_stage + fitting.n_iter_per_stage
        self.n_iter_ = fitting.epoch
        fitting.context.call_on_fit_task_end(
            **fitting.hook_arguments, reconstruction_attributes=attributes
        )

    def __sklearn_clone__(self):
        """Clone the estimator. Callbacks of Keras are copied as they are for a fit.

        Keras' copy of an optimizer forgets what it excludes from weight decay.
        """
        bare, callbacks = copy.copy(self), self.keras_callbacks
        if isinstance(callbacks, list | tuple):
            bare.keras_callbacks = None
        cloned = super(NetworkEstimator, bare).__sklearn_clone__()
        set_exclusions(cloned.optimizer, find_exclusions(self.optimizer))
        if isinstance(callbacks, list | tuple):
            cloned.keras_callbacks = type(callbacks)(copy_keras_callbacks(callbacks))
        return cloned

    def __getstate__(self):
        state = {**super().__getstate__(), "_model": None, "_used_callbacks": ()}
        exclusions = find_exclusions(self.optimizer)
        return {**state, _EXCLUSIONS: exclusions} if any(exclusions) else state

    def __setstate__(self, state):
        state = dict(state)
        exclusions = state.pop(_EXCLUSIONS, ())
        super().__setstate__(state)
        set_exclusions(self.optimizer, exclusions)


def _check_backend():
    """Raise NotImplementedError if Keras cannot train on its backend."""
    import keras

    backend = keras.backend.backend()
    if backend not in _BACKENDS:
        raise NotImplementedError(
            f"Keras cannot train on its backend {backend!r}. Choose one of {_BACKENDS} "
            "by the environment variable KERAS_BACKEND."
        )


@dataclass(kw_only=True)
class Fitting:
    """State of a running fit: callbacks, seeds and records.

    Parameters
    ----------
    estimator : NetworkEstimator
        The estimator that is fitted.

    cache : Cache
        The cache in its `memory`.

    hook_arguments : dict
        Arguments of scikit-learn's callbacks: `estimator`, `X` and `y`.

    context : CallbackContext
        Their context.

    checkpoint : Checkpoint
        The file from which the fit continues if it is killed.

    seeds : dict of str to int
        The seed of each use of randomness.

    epoch : int
        Index of the first epoch of the current stage. It starts above 0 if an earlier
        fit is continued.

    stopped : bool
        Whether a callback has asked to stop.

    keras_callbacks : list of keras.callbacks.Callback
        Copies of the user's callbacks of Keras, for all stages.

    restored_epoch : int
        The first epoch that is left to do after an interruption.

    history : dict of list of float
        Each metric after each epoch.

    n_iter_per_stage : list of int
        The number of epochs of each stage.

    n_replaced : int
        How many arrays of weights, the last of the network, finished stages replaced.
    """

    estimator: NetworkEstimator
    cache: Cache
    hook_arguments: dict
    context: object
    checkpoint: Checkpoint
    seeds: dict
    epoch: int
    stopped: bool = False
    keras_callbacks: list = field(default_factory=list)
    restored_epoch: int = 0
    history: dict = field(default_factory=dict)
    n_iter_per_stage: list = field(default_factory=list)
    n_replaced: int = 0

    def iterate(self, results, n_results, name, what):
        """Yield results, with callback tasks for the whole and for each result.

        Print a line that says what was done.
        """
        estimator = self.estimator
        task = self.context.subcontext(task_name=name, max_subtasks=n_results)
        task.call_on_fit_task_begin(estimator=estimator)
        results = iterate_with_callbacks(
            results,
            n_results,
            estimator=estimator,
            context=task,
            name=f"{name}-of-batch",
            can_stop=False,
        )
        with announce(estimator, what), closing(results):
            yield from results
        task.call_on_fit_task_end(estimator=estimator)

    def resume(self, weights, engine="") -> tuple[np.ndarray, ...]:
        """Continue from the checkpoint, if there is one.

        Parameters
        ----------
        weights : sequence of ndarray
            Initial weights of the whole network.

        engine : str, default=""
            What computes the layers that are never trained.

        Returns
        -------
        weights : tuple of ndarray
            Weights for its last layers. An empty tuple if there is none.
        """
        start = time.perf_counter()
        weights = self.checkpoint.start(weights, self.epoch, engine)
        records, stage = self.checkpoint.records, self.checkpoint.stage
        if records is not None:
            from ._stage_state import load_states

            for name in _RECORDS:
                setattr(self, name, records[name])
            load_states(self.keras_callbacks, self.checkpoint.take("callbacks"))
            epoch = self.epoch + (0 if stage is None else stage["n_epochs"])
            print_line(self.estimator, f"Continuing after epoch {epoch}", start)
        return weights

    def keep(self, start, stage=None, **state):
        """Write the checkpoint.

        Parameters
        ----------
        start : sequence of ndarray
            All weights of the network after the last stage that is finished.

        stage : dict, default=None
            State of the current stage. None at its end.

        **state : list of ndarray
            Weights in the current stage, and state of its training.
        """
        from ._stage_state import dump_states

        try:
            state["callbacks"] = dump_states(self.keras_callbacks)
        except Exception as error:  # pickle raises errors of many classes
            self.checkpoint.warn(f"cannot have the state of keras_callbacks: {error}")
            return
        records = {name: getattr(self, name) for name in _RECORDS}
        self.checkpoint.write(records, stage, start=start, **state)

    def iterate_stages(self, stages):
        """Yield the stages that are left, until a callback asks to stop."""
        for stage in stages[len(self.n_iter_per_stage) :]:
            # A stage that is in the checkpoint has its end before it.
            if self.stopped and self.checkpoint.stage is None:
                return
            yield stage

    def record(self, history, n_epochs):
        """Record the history of a stage, and warn if it has diverged.

        Parameters
        ----------
        history : keras.callbacks.History
            Metrics of the epochs that Keras has run.

        n_epochs : int
            Maximum number of epochs of the stage.
        """
        # Epochs that ran before an interruption are NaN: `BackupAndRestore`.
        n_before = min(n_epochs, max(0, self.restored_epoch - self.epoch))
        n_done = n_before + len(history.epoch)
        n_known = sum(self.n_iter_per_stage)
        for name, values in history.history.items():
            known = self.history.setdefault(name, [nan] * n_known)
            known += [nan] * n_before + list(map(float, values))
        for known in self.history.values():
            known += [nan] * (n_known + n_done - len(known))
        self.n_iter_per_stage.append(n_done)
        self.epoch += n_done
        losses = history.history.get("loss", [])
        if losses and not np.isfinite(losses[-1]):
            warnings.warn(
                "The loss is NaN or infinite: lower learning_rate.",
                ConvergenceWarning,
                stacklevel=2,
            )


def make_output_bias(totals) -> np.ndarray:
    """Return the output bias that makes initial predictions the class frequencies.

    For two classes it is the log odds of the second class, otherwise the log
    frequencies. Without it, training with a low learning rate would need many steps
    only to change the bias.

    Parameters
    ----------
    totals : ndarray of shape (n_classes,)
        Total weight of the images or pixels of each class.
    """
    totals = np.maximum(totals, 1e-6 * max(totals.sum(), 1))  # a weight can be 0
    shares = totals / totals.sum()
    if len(totals) == 2:
        return np.log(shares[1:] / shares[:1]).astype(np.float32)
    return np.log(shares).astype(np.float32)
