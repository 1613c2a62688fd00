"""One stage of training, of a whole network or of its upper part."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json

import numpy as np

from .._compat import preserved_random_state
from ._batches import as_dataset
from ._keras_callbacks import end_stage, make_callback_list
from ._models import borrow_model, copy_weights
from ._optimizers import build_optimizer, describe_optimizer
from ._tracing import quiet_tracing


def train_network(
    fitting,
    *,
    key,
    build,
    objective,
    settings,
    build_whole,
    whole_objective,
    base,
    weights,
    batches,
    validation,
    epochs,
    learning_rate,
    has_convolutions,
    attributes_of,
    whole_key=(),
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
        Function from a dict of variables to the uncompiled Keras model.

    objective : callable
        Function from a dict of variables to a dict of `loss` and `metrics` for Keras'
        `compile`.

    settings : dict of str to float or ndarray
        Values of these variables. Other values do not need a new model.

    build_whole : callable
        Function from the trained model to the whole network that the user's callbacks
        see. Its weights are `base` and then those of the model.

    whole_objective : callable
        Function that returns a dict of `loss` and `metrics` for the whole network, with
        classes of Keras only, so that any process can load a file of it.

    base : tuple of ndarray
        The weights that are not trained.

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

    whole_key : tuple, default=()
        What the whole network depends on besides `key`.

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
    import keras

    config, own_classes, rate = describe_optimizer(
        fitting.estimator.optimizer, learning_rate
    )
    on_tensorflow = keras.backend.backend() == "tensorflow"

    def build_compiled():
        variables = {
            name: keras.Variable(value, trainable=False, dtype="float32", name=name)
            for name, value in settings.items()
        }
        model = build(variables)
        with preserved_random_state():
            model.compile(
                optimizer=build_optimizer(config, own_classes),
                jit_compile=False if has_convolutions and on_tensorflow else "auto",
                **objective(variables),
            )
        return model, variables

    data_sets = list(filter(None, (batches, validation)))
    optimizer_key = json.dumps(config, sort_keys=True), *own_classes.values()
    model_key = ("training", key, _make_key(settings), *optimizer_key)
    if fitting.keras_callbacks:  # only they need the whole network
        model_key += whole_key
    try:
        with borrow_model(model_key, build_compiled) as reusable:
            model = network = reusable.model
            reusable.load(weights)
            seed = [fitting.seeds["dropout"], fitting.epoch]
            reusable.reset(rate, settings, seed)
            if fitting.keras_callbacks:
                network = reusable.load_whole(
                    build_whole, whole_objective, base, settings
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

                start = base, weights
                last = StageCheckpoint(
                    fitting, reusable, start, epochs, callbacks, history
                )
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
                changed = reusable.read_base(base)
                end_stage(fitting.keras_callbacks)
    except Exception:
        for data in data_sets:
            if data.error is not None:
                raise data.error from None
        raise
    finally:
        for data in data_sets:
            data.release()
    fitting.record(history, epochs)
    weights = *changed, *trained
    fitting.n_replaced = max(fitting.n_replaced, len(weights))
    if fitting.checkpoint.is_on:
        fitting.keep((*(changed or base), *trained))
    return weights


def _make_key(settings):
    """Return the part of the key of a model that depends on its settings."""
    import keras

    if keras.backend.backend() == "jax":  # their values are compiled into the model
        values = [
            (name, np.asarray(value).tolist()) for name, value in settings.items()
        ]
        return json.dumps(values)
    return tuple((name, np.shape(value)) for name, value in settings.items())
