"""Stages of the training of a transfer classifier."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from functools import partial

import numpy as np

from .._training._engines import choose_engine
from .._training._norm_statistics import restore_statistics
from .._training._train_network import Objective, train_network
from .._training._training_stages import Stage, list_stages
from ..networks._boundaries import Boundary, find_boundary


@dataclass(frozen=True)
class TransferStage(Stage):
    """A stage of training, and the boundary below the part that trains.

    Parameters
    ----------
    boundary : Boundary or None
        None if no part is frozen.
    """

    boundary: Boundary | None


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


def list_transfer_stages(estimator, backbone_spec) -> list[TransferStage]:
    """Return the stages of a fit."""
    return [
        TransferStage(
            **vars(stage), boundary=find_boundary(backbone_spec, stage.trainable)
        )
        for stage in list_stages(estimator)
    ]


def count_tasks(stages, n_splits, can_change_base) -> int:
    """Count the epochs of all stages, and the passes that compute features.

    Parameters
    ----------
    stages : list of TransferStage
        The stages.

    n_splits : int
        2 with validation images, otherwise 1.

    can_change_base : bool
        Whether callbacks could change weights that are not trained. Then two stages of
        the same part may need two passes.
    """
    n_tasks, last = 0, None
    for stage in stages:
        n_tasks += stage.epochs
        if stage.boundary and (can_change_base or stage.boundary != last):
            n_tasks += n_splits
        last = stage.boundary
    return n_tasks


def describe_engine(stages, backbone_spec) -> str:
    """Return the engine of the frozen layers, which changes the bits of a fit."""
    if not any(stage.boundary for stage in stages):
        return ""
    return " ".join(choose_engine(backbone_spec).identify())


def needs_pixels(stages) -> bool:
    """Return whether the images are used more than once."""
    boundaries = {stage.boundary for stage in stages}
    return None in boundaries or len(boundaries) > 1


def train_stage(fitting, network, stage, inputs, attributes_of):
    """Train a transfer network in one stage, and return its new weights.

    Parameters
    ----------
    fitting : Fitting
        The fit.

    network : TransferNetwork
        The network before the stage.

    stage : TransferStage
        The stage.

    inputs : StageInputs
        Training and validation data.

    attributes_of : callable
        Function from weights to the fitted attributes of the estimator so far.
    """
    from ._epoch_metrics import (
        EpochMetrics,
        choose_n_rows,
        make_keras_objective,
        make_objective,
    )

    batches, validation, boundary = inputs.make_batches(network, stage.boundary)
    part = network.describe_training(stage.trainable, boundary)
    if network.trains_norms(stage.trainable):
        part = restore_statistics(part, batches, fitting.estimator)
    batch_size, n_outputs = fitting.estimator.batch_size, network.head_spec.n_outputs
    objective = Objective(
        key=(choose_n_rows(batch_size),),
        make=lambda variables: make_objective(n_outputs, batch_size),
        make_whole=partial(make_keras_objective, n_outputs),
    )
    return train_network(
        fitting,
        part,
        objective,
        batches=batches,
        validation=validation,
        epochs=stage.epochs,
        learning_rate=stage.learning_rate,
        attributes_of=attributes_of,
        metrics_callback=EpochMetrics(batches, validation),
    )
