"""Checks and copies of the parameter `optimizer`."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import json
from numbers import Real

from .._compat import (
    preserved_random_state,
    read_decay_exclusions,
    write_decay_exclusions,
)

_PLACEHOLDER = 0.001  # a constant learning rate is set later
_INNER = "inner_optimizer"  # of keras' LossScaleOptimizer
_EXCLUDED = "names without weight decay"  # a pattern, which Keras' configuration lacks


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
    if find_exclusions(optimizer)[0]:
        raise ValueError(
            f"optimizer={optimizer!r} excludes variables of another network from "
            "weight decay. Call its exclude_from_weight_decay with var_names instead "
            "of var_list, such as var_names=['bias', 'gamma', 'beta']."
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
                config, own_classes, _ = describe_optimizer(optimizer, rate)
                json.dumps(config)
                build_optimizer(config, own_classes)
            except Exception as error:
                raise ValueError(
                    f"optimizer={optimizer!r} with {name}={rate!r} cannot be "
                    "rebuilt from its configuration: your own class needs a "
                    "get_config with all its arguments."
                ) from error


def describe_optimizer(optimizer, learning_rate):
    """Return what an optimizer is rebuilt from.

    Parameters
    ----------
    optimizer : str or keras.optimizers.Optimizer
        Its name in Keras or an object, which may wrap another one.

    learning_rate : float, schedule or None
        None means the learning rate of the object.

    Returns
    -------
    config : dict
        Its configuration in Keras, in which a constant learning rate is the same for
        all, so that another rate needs no new model, and the names of variables that it
        excludes from weight decay.

    own_classes : dict of str to type
        Classes defined by the user. They need not be registered with Keras.

    learning_rate : float or None
        The constant learning rate to set. None for a schedule.
    """
    import keras

    if isinstance(optimizer, str):
        optimizer = keras.optimizers.get(optimizer)
    config = keras.optimizers.serialize(optimizer)
    inner, kinds = config, [type(optimizer), type(learning_rate)]
    while _INNER in inner["config"]:
        inner["config"].pop("name", None)
        inner = inner["config"][_INNER]
        optimizer = getattr(optimizer, _INNER)
        kinds.append(type(optimizer))
    settings = inner["config"]
    settings.pop("name", None)
    _, pattern = read_decay_exclusions(optimizer)
    if pattern is not None:
        inner[_EXCLUDED] = pattern.pattern
    if learning_rate is None:
        learning_rate = settings.get("learning_rate")
    if isinstance(learning_rate, Real):
        settings["learning_rate"] = _PLACEHOLDER
    elif isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        settings["learning_rate"] = keras.optimizers.schedules.serialize(learning_rate)
    own_classes = {}
    for kind in kinds:
        if kind.__module__.split(".")[0] not in ("keras", "builtins"):
            own_classes[kind.__name__] = kind
    constant = float(learning_rate) if isinstance(learning_rate, Real) else None
    return config, own_classes, constant


def build_optimizer(config, own_classes):
    """Build an optimizer from its configuration."""
    import keras

    inner = config = copy.deepcopy(config)  # Keras changes the configuration
    while _INNER in inner["config"]:
        inner = inner["config"][_INNER]
    pattern = inner.pop(_EXCLUDED, None)
    optimizer = keras.optimizers.deserialize(config, own_classes)
    if pattern is not None:
        _find_innermost(optimizer).exclude_from_weight_decay(var_names=[pattern])
    return optimizer


def find_exclusions(optimizer) -> tuple:
    """Return ids and a pattern of what an optimizer excludes from weight decay."""
    return read_decay_exclusions(_find_innermost(optimizer))


def set_exclusions(optimizer, exclusions):
    """Exclude from weight decay in a copy what the optimizer excluded."""
    if any(exclusions):
        write_decay_exclusions(_find_innermost(optimizer), exclusions)


def describe_exclusions(optimizer) -> str:
    """Return a text of what an optimizer excludes, or "" for other objects."""
    _, pattern = find_exclusions(optimizer)
    if pattern is None:
        return ""
    # Keras puts the names together in an order that differs between processes.
    return f" without weight decay of {sorted(pattern.pattern.split('|'))}"


def _find_innermost(optimizer):
    """Return the optimizer that others wrap, which applies weight decay."""
    while hasattr(optimizer, _INNER):
        optimizer = getattr(optimizer, _INNER)
    return optimizer
