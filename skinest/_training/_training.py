"""What all stages of a fit share, whatever network it trains."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from dataclasses import dataclass, field

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from . import _stages
from ._callbacks import EpochTasks


@dataclass(kw_only=True)
class Training:
    """Settings, callbacks and records of a fit.

    Parameters
    ----------
    settings : object
        The estimator's parameters: `batch_size`, `optimizer` and so on.

    seeds : dict of str to int
        What is drawn from which seed.

    context : CallbackContext
        scikit-learn's callbacks.

    hook_arguments : dict
        What they get.

    attributes_of : callable
        What a fitted estimator has, from the state of its network.

    first_epoch : int, default=0
        The number of the first epoch.
    """

    settings: object
    seeds: dict
    context: object
    hook_arguments: dict
    attributes_of: object
    first_epoch: int = 0
    history: dict = field(default_factory=dict)
    n_iter_per_stage: list = field(default_factory=list)

    @property
    def epoch(self):
        """The number of the next epoch."""
        return self.first_epoch + sum(self.n_iter_per_stage)

    def train(
        self,
        *,
        arrays,
        batches,
        validation,
        state_of,
        **stage,
    ):
        """Run a stage, and take its history.

        Parameters
        ----------
        arrays, batches, validation
            As for :func:`run_stage`.

        state_of : callable
            Makes the state of the network from the Keras model.

        **stage
            Fields of :class:`Stage` that are not of the settings.

        Returns
        -------
        arrays : list of ndarray
            Weights at the end.

        stopped : bool
            Whether a callback has asked to stop.
        """
        settings = self.settings
        tasks = EpochTasks(
            self.context,
            self.hook_arguments,
            lambda model: self.attributes_of(state_of(model)),
        )
        callbacks = [tasks, *_stages.copied_callbacks(settings.keras_callbacks)]
        if settings.early_stopping:
            callbacks.append(
                _stages.early_stopping(settings.monitor, settings.n_iter_no_change)
            )
        stage = _stages.Stage(
            optimizer=settings.optimizer,
            seed=[self.seeds["dropout"], self.epoch],
            first_epoch=self.epoch,
            callbacks=callbacks,
            verbose=int(settings.verbose),
            **stage,
        )
        arrays, history = _stages.run_stage(stage, arrays, batches, validation)
        self._keep(history)
        return arrays, tasks.stopped

    def _keep(self, history):
        for name, values in history.items():
            self.history.setdefault(name, []).extend(values)
        self.n_iter_per_stage.append(len(history["loss"]))
        if not np.isfinite(history["loss"][-1]):
            warnings.warn(
                "The loss is NaN or infinite: lower learning_rate.",
                ConvergenceWarning,
                stacklevel=2,
            )
