"""One stage of training, of a whole network or of its upper part."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
from collections.abc import Callable, Hashable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .._compat import preserved_random_state
from ._batches import as_dataset
from ._keras_callbacks import end_stage, make_callback_list
from ._models import borrow_model, copy_weights
from ._optimizers import build_optimizer, describe_optimizer
from ._tracing import quiet_tracing

# PyTorch's cross entropy of two classes, for probabilities of NaN. The other backends
# give a loss of NaN, of which a fit warns.
_TORCH_SAYS = "all elements of input should be between 0 and 1"


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The loss and the metrics of a training.

    Parameters
    ----------
    key : tuple
        What they depend on, for a model that is compiled with them.

    make : callable
        Function from a dict of variables to a dict of `loss` and `metrics` for Keras'
        `compile`.

    make_whole : callable
        Function that returns this dict for the whole network, with classes of Keras
        only, so that any process can load a file of it.

    settings : dict of str to float or ndarray
        Values of the variables. Other values do not need a new model.
    """

    key: tuple[Hashable, ...]
    make: Callable
    make_whole: Callable
    settings: dict[str, Any] = field(default_factory=dict)


def train_network(
    fitting,
    part,
    objective,
    *,
    batches,
    validation,
    epochs,
    learning_rate,
    attributes_of,
    metrics_callback=None,
) -> tuple[np.ndarray, ...]:
    """Train a network from given weights, and record its history.

    Parameters
    ----------
    fitting : Fitting
        The fit that this stage belongs to. Its records are extended.

    part : TrainedPart
        What is trained.

    objective : Objective
        Its loss and metrics.

    batches, validation : Batches
        Training data, and data to evaluate after each epoch or None. Both are released
        at the end.

    epochs : int
        Number of epochs.

    learning_rate : float, schedule or None
        None keeps the learning rate of an optimizer that was passed as an object.

    attributes_of : callable
        Function from weights to the fitted attributes of the estimator so far.

    metrics_callback : keras.callbacks.Callback, default=None
        Callback that changes the metrics of each epoch before other callbacks get them.

    Returns
    -------
    weights : tuple of ndarray
        Final weights. If a callback has changed weights that are not trained, they come
        first.

    Raises
    ------
    Exception
        The error that prevented a batch, as it was raised.
    """
    *optimizer, rate = describe_optimizer(fitting.estimator.optimizer, learning_rate)
    settings = part.settings | objective.settings
    key = _make_key(part, objective, settings, optimizer)
    if fitting.keras_callbacks:  # only they need the whole network
        key += part.whole_key
    build = partial(_build_compiled, part, objective, settings, optimizer)
    with _released(batches, validation), borrow_model(key, build) as reusable:
        model = network = reusable.model
        reusable.load(part.weights)
        reusable.reset(rate, settings, [fitting.seeds["dropout"], fitting.epoch])
        if fitting.keras_callbacks:
            network = reusable.load_whole(
                part.build_whole, objective.make_whole, part.base, settings
            )
        callbacks, history = make_callback_list(
            fitting,
            model,
            network,
            batches,
            epochs=epochs,
            attributes_of=lambda model: attributes_of(copy_weights(model)),
            metrics_callback=metrics_callback,
        )
        if fitting.checkpoint.is_on:
            from ._stage_state import StageCheckpoint

            start = part.base, part.weights
            last = StageCheckpoint(fitting, reusable, start, epochs, callbacks, history)
            callbacks.callbacks.append(last)
        with preserved_random_state(), quiet_tracing():
            model.fit(
                as_dataset(batches),
                epochs=fitting.epoch + epochs,
                initial_epoch=fitting.epoch,
                validation_data=as_dataset(validation),
                callbacks=callbacks,
                verbose=0,
                shuffle=False,
            )
        trained, changed = copy_weights(model), ()
        if fitting.keras_callbacks:
            changed = reusable.read_base(part.base)
            end_stage(fitting.keras_callbacks)
    fitting.record(history, epochs)
    weights = *changed, *trained
    fitting.n_replaced = max(fitting.n_replaced, len(weights))
    if fitting.checkpoint.is_on:
        fitting.keep((*(changed or part.base), *trained))
    return weights


def _build_compiled(part, objective, settings, optimizer):
    """Return a compiled model and its variables."""
    import keras

    variables = {
        name: keras.Variable(value, trainable=False, dtype="float32", name=name)
        for name, value in settings.items()
    }
    model = part.build(variables)
    avoids_xla = part.has_convolutions and keras.backend.backend() == "tensorflow"
    with preserved_random_state():
        model.compile(
            optimizer=build_optimizer(*optimizer),
            jit_compile=False if avoids_xla else "auto",
            **objective.make(variables),
        )
    return model, variables


@contextmanager
def _released(*data_sets):
    """Release data at the end, and raise an error of a batch as it was raised."""
    data_sets = list(filter(None, data_sets))
    try:
        yield
    except Exception as error:
        for data in data_sets:
            if data.error is not None:
                raise data.error from None
        if _TORCH_SAYS in str(error):
            raise ValueError(
                "The network predicts NaN, so it cannot be trained further: lower "
                "learning_rate."
            ) from error
        raise
    finally:
        for data in data_sets:
            data.release()


def _make_key(part, objective, settings, optimizer):
    """Return the key of a compiled model."""
    import keras

    config, own_classes = optimizer
    if keras.backend.backend() == "jax":  # the values are compiled into the model
        values = [
            (name, np.asarray(value).tolist()) for name, value in settings.items()
        ]
        of_settings = json.dumps(values)
    else:
        of_settings = tuple((name, np.shape(value)) for name, value in settings.items())
    of_optimizer = json.dumps(config, sort_keys=True), *own_classes.values()
    return ("training", part.key, objective.key, of_settings, *of_optimizer)
