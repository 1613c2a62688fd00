"""The stages in which a network with a pretrained part is trained."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stage of training.

    Parameters
    ----------
    trainable : str
        The lowest part that trains.

    epochs : int
        Number of epochs.

    learning_rate : float, schedule or None
        None means that of an optimizer that was passed as an object.
    """

    trainable: str
    epochs: int
    learning_rate: object


def list_stages(estimator) -> list[Stage]:
    """Return one stage or, if the estimator has `fine_tune`, two."""
    is_named = isinstance(estimator.optimizer, str)
    rate = estimator.learning_rate if is_named else None
    stages = [Stage(estimator.trainable, estimator.epochs, rate)]
    if estimator.fine_tune is not None:
        epochs, rate = estimator.fine_tune_epochs, estimator.fine_tune_learning_rate
        stages.append(Stage(estimator.fine_tune, epochs, rate))
    return stages
