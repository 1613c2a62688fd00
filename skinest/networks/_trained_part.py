"""The part of a network that a stage trains."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class TrainedPart:
    """A model to train, and the whole network that it is a part of.

    Parameters
    ----------
    key : tuple
        Key of the architecture and the layers that train.

    build : callable
        Function from a dict of variables to the uncompiled Keras model.

    settings : dict of str to float
        Values of these variables. Other values do not need a new model.

    weights : tuple of ndarray
        Initial weights of the model.

    build_whole : callable
        Function from the trained model to the whole network that the user's callbacks
        see. Its weights are `base` and then those of the model.

    base : tuple of ndarray, default=()
        The weights that are not trained.

    whole_key : tuple, default=()
        What the whole network depends on besides `key`.

    has_convolutions : bool, default=True
        Whether most of the work is convolutions. On a CPU, XLA computes them more
        slowly than TensorFlow's own operations.
    """

    key: tuple[Hashable, ...]
    build: Callable
    settings: dict[str, float]
    weights: tuple[np.ndarray, ...]
    build_whole: Callable
    base: tuple[np.ndarray, ...] = ()
    whole_key: tuple[Hashable, ...] = ()
    has_convolutions: bool = True
