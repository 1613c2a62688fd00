"""Stages of the training of a transfer classifier."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from functools import partial

import numpy as np

from .._training._train_network import train_network


def check_continues(estimator, classes, backbone_spec, head_spec):
    """Raise ValueError if `warm_start` cannot continue from the last fit."""
    if not np.array_equal(estimator.classes_, classes):
        raise ValueError(
            f"warm_start: y has the classes {classes.tolist()}, but the last fit "
            f"had {estimator.classes_.tolist()}. Set warm_start=False to start again."
        )
    last = estimator._network
    if (backbone_spec, head_spec) != (last.backbone_spec, last.head_spec):
        raise ValueError(
            "warm_start: the network's settings differ from those of the last fit. "
            "Use the same backbone, image_size, pooling, hidden_units, dropout, l2 "
            "and compute_dtype, or set warm_start=False to start again."
        )


def list_stages(estimator):
    """Return (lowest part, epochs, learning rate) of each stage, and all epochs."""
    is_named = isinstance(estimator.optimizer, str)
    rate = estimator.learning_rate if is_named else None
    stages = [(estimator.trainable, estimator.epochs, rate)]
    if estimator.fine_tune is not None:
        epochs, rate = estimator.fine_tune_epochs, estimator.fine_tune_learning_rate
        stages.append((estimator.fine_tune, epochs, rate))
    return stages, sum(epochs for _, epochs, _ in stages)


def train_stage(fitting, network, stage, batches, validation, attributes_of):
    """Train a transfer network in one stage, and return its new weights.

    The other arguments are those of :func:`train_network`.
    """
    from ._epoch_metrics import (
        EpochMetrics,
        count_rows,
        make_keras_objective,
        make_objective,
    )

    trainable, epochs, rate = stage
    batch_size, n_outputs = fitting.estimator.batch_size, network.head_spec.n_outputs
    description = network.describe_training(trainable)
    description["key"] += (count_rows(batch_size),)
    return train_network(
        fitting,
        **description,
        objective=lambda variables: make_objective(n_outputs, batch_size),
        whole_objective=partial(make_keras_objective, n_outputs),
        batches=batches,
        validation=validation,
        epochs=epochs,
        learning_rate=rate,
        attributes_of=attributes_of,
        metrics_callback=EpochMetrics(batches, validation),
    )
