"""One stage of training: a compiled model, batches, epochs."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import json
from dataclasses import dataclass, field
from numbers import Real

import keras

from ._batches import as_dataset
from ._pool import borrowed, weights_of
from ._seeds import preserved_random_state, reset_seeds


@dataclass
class Stage:
    """Settings of a stage.

    Parameters
    ----------
    key : hashable
        Names the architecture, what of it trains, and for what objective.

    build : callable
        Builds the Keras model, uncompiled.

    objective : callable
        Makes `loss` and `metrics` of Keras' `compile`, as a dict.

    epochs, first_epoch : int
        How many epochs, and the number of the first.

    learning_rate : float, schedule or None
        None keeps that of an optimizer that was given as an object.

    optimizer : str or keras.optimizers.Optimizer
        What trains; copied.

    seed : int
        Starts dropout.

    callbacks : list of keras.callbacks.Callback
        Called as they are.

    verbose : int
        As `verbose` of Keras.

    jit_compile : bool or "auto"
        As in Keras.
    """

    key: tuple
    build: object
    objective: object
    epochs: int
    learning_rate: object
    optimizer: object
    seed: int
    first_epoch: int = 0
    callbacks: list = field(default_factory=list)
    verbose: int = 0
    jit_compile: object = "auto"


def run_stage(stage, arrays, batches, validation=None):
    """Train a model from given weights.

    Parameters
    ----------
    stage : Stage
        The settings.

    arrays : sequence of ndarray
        Weights to start from.

    batches, validation : Batches
        What is trained on, and what is measured on after each epoch; released.

    Returns
    -------
    arrays : list of ndarray
        Weights at the end.

    history : dict of list of float
        Each metric after each epoch.

    Raises
    ------
    Exception
        What kept a batch from being made, as it was raised.
    """
    data_sets = [data for data in (batches, validation) if data is not None]
    try:
        return _run(stage, arrays, batches, validation)
    except Exception:
        for data in data_sets:
            if data.error is not None:
                raise data.error from None
        raise
    finally:
        for data in data_sets:
            data.release()


def _run(stage, arrays, batches, validation):
    optimizer = _optimizer_config(stage.optimizer, stage.learning_rate)
    rate = stage.learning_rate
    rate = float(rate) if isinstance(rate, Real) else None
    classes = _own_classes(stage.optimizer, stage.learning_rate)
    config = json.dumps(optimizer, sort_keys=True)
    key = ("training", stage.key, config, *classes.values())

    def build():
        model = stage.build()
        with preserved_random_state():
            model.compile(
                optimizer=keras.optimizers.deserialize(optimizer, classes),
                jit_compile=stage.jit_compile,
                **stage.objective(),
            )
        return model

    with borrowed(key, build) as reusable:
        model = reusable.model
        reusable.load(arrays)
        reusable.reset_optimizer(rate)
        reset_seeds(model, stage.seed)
        with preserved_random_state():
            history = model.fit(
                as_dataset(batches),
                epochs=stage.first_epoch + stage.epochs,
                initial_epoch=stage.first_epoch,
                validation_data=as_dataset(validation),
                callbacks=[
                    keras.callbacks.LambdaCallback(
                        on_epoch_begin=lambda epoch, logs: batches.begin_epoch(epoch)
                    ),
                    *stage.callbacks,
                ],
                verbose=stage.verbose,
                shuffle=False,
            ).history
        arrays = weights_of(model)
    return arrays, {
        name: [float(value) for value in values] for name, values in history.items()
    }


def jit_of_convolutions():
    """Whether to compile by XLA where most of the work is convolutions."""
    return False if keras.backend.backend() == "tensorflow" else "auto"


def early_stopping(monitor, patience):
    """Keras' early stopping that puts the best weights back."""
    name = monitor.removeprefix("val_")
    return keras.callbacks.EarlyStopping(
        monitor=monitor,
        mode="min" if name == "loss" else "max",
        patience=patience,
        restore_best_weights=True,
    )


def copied_callbacks(callbacks):
    """Copies of the user's Keras callbacks, whose own stay as they are."""
    copies = []
    for callback in callbacks or ():
        callback = copy.copy(callback)
        callback._model = None  # of an earlier training, which need not be copied
        copies.append(copy.deepcopy(callback))
    return copies


def check_training(settings, metrics, rates):
    """Raise ValueError for what trains a network and cannot.

    Parameters
    ----------
    settings : estimator
        Holds `optimizer`, `monitor`, `early_stopping` and `keras_callbacks`.

    metrics : sequence of str
        What is measured.

    rates : sequence of str
        Names of the learning rates.
    """
    _check_monitor(settings, metrics)
    _check_optimizer(settings.optimizer)
    for name in rates:
        _check_learning_rate(name, getattr(settings, name), settings.optimizer)
    _check_callbacks(settings.keras_callbacks)


def _check_optimizer(optimizer):
    """Raise ValueError unless Keras knows the optimizer."""
    if not isinstance(optimizer, str | keras.optimizers.Optimizer):
        raise ValueError(
            f"optimizer={optimizer!r} is neither the name nor an instance of a Keras "
            "optimizer."
        )
    try:
        with preserved_random_state():
            keras.optimizers.get(optimizer)
    except Exception as error:
        raise ValueError(
            f"optimizer={optimizer!r} is no optimizer that Keras knows, such as "
            "'adam', 'sgd' or 'rmsprop'."
        ) from error


def _check_learning_rate(name, value, optimizer):
    """Raise ValueError unless it is a number or a schedule, and can be built anew."""
    schedule = keras.optimizers.schedules.LearningRateSchedule
    if not isinstance(value, Real | schedule):
        raise ValueError(
            f"{name}={value!r} is neither a number nor one of "
            "keras.optimizers.schedules."
        )
    try:
        with preserved_random_state():
            config = _optimizer_config(optimizer, value)
            json.dumps(config)
            keras.optimizers.deserialize(config, _own_classes(optimizer, value))
    except Exception as error:
        raise ValueError(
            f"optimizer={optimizer!r} with {name}={value!r} cannot be built anew from "
            "its configuration: a class of your own needs a get_config that names all "
            "its arguments."
        ) from error


def _check_monitor(settings, metrics):
    """Raise ValueError unless early stopping looks at a metric that is measured."""
    monitor = settings.monitor
    if settings.early_stopping and monitor.removeprefix("val_") not in metrics:
        raise ValueError(
            f"monitor={monitor!r}: choose one of {', '.join(metrics)}, with 'val_' "
            "before it for images that are held out."
        )


def check_stopping(settings, validation):
    """Raise ValueError where early stopping looks at images that are not there."""
    needs_them = settings.early_stopping and settings.monitor.startswith("val_")
    if needs_them and validation is None:
        raise ValueError(
            f"early_stopping with monitor={settings.monitor!r} needs images to "
            "validate on: set validation_fraction, or pass X_val and y_val."
        )


def _check_callbacks(callbacks):
    """Raise ValueError unless all are Keras callbacks."""
    for callback in callbacks or ():
        if not isinstance(callback, keras.callbacks.Callback):
            raise ValueError(
                f"keras_callbacks holds {callback!r}, which is no instance of "
                "keras.callbacks.Callback. scikit-learn's go to set_callbacks()."
            )


def _own_classes(*objects) -> dict:
    """Classes of an optimizer and a schedule by their names, so that none need be
    registered with Keras."""
    known = "keras", "builtins"
    kinds = [type(each) for each in objects]
    own = [kind for kind in kinds if kind.__module__.split(".")[0] not in known]
    return {kind.__name__: kind for kind in own}


def _optimizer_config(optimizer, learning_rate):
    """What builds the optimizer; a plain learning rate is set later."""
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
    return config
