"""Statistics of batch normalisation, for weights that came without them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from .._compat import find_producer
from ..networks._boundaries import list_tensors
from ..utils._verbose import announce
from ._models import borrow_model

_N_IMAGES = 256


@dataclass(frozen=True)
class _Norm:
    """A layer of batch normalisation that trains.

    Parameters
    ----------
    places : list of int
        Positions of gamma, beta, means and variances among the weights.

    epsilon : float
        What the layer adds to variances.
    """

    places: list
    epsilon: float

    def is_bare(self, weights) -> bool:
        """Return whether means and variances are those of a layer that saw nothing."""
        _, _, means, variances = self.read(weights)
        return not means.any() and np.ptp(variances) == 0

    def read(self, weights) -> list[np.ndarray]:
        return [weights[place] for place in self.places]

    def restore(self, weights, means, squares) -> dict:
        """Return weights by position, with which the layer has the same outputs.

        Parameters
        ----------
        weights : sequence of ndarray
            The weights before.

        means, squares : ndarray of shape (n_channels,)
            Means of its inputs, and of their squares.
        """
        gamma, beta, old_means, old_variances = self.read(weights)
        variances = np.maximum(squares - means**2, 0)
        slope = gamma / np.sqrt(old_variances + self.epsilon)
        new = (
            slope * np.sqrt(variances + self.epsilon),
            beta + slope * (means - old_means),
            means,
            variances,
        )
        arrays = [array.astype(np.float32) for array in new]
        return dict(zip(self.places, arrays, strict=True))


def restore_statistics(part, batches, estimator):
    """Give batch normalisation that trains its statistics, if the weights lack them.

    A network for predictions, such as one in TensorFlow Lite, OpenVINO or ONNX, often
    has its batch normalisation in the kernels of convolutions (Jacob et al. 2018,
    arXiv:1712.05877, section 3.2). Layers that are made from it have means of 0 and
    variances of 1, whatever their inputs are. In training, a layer uses the statistics
    of each batch. So the first step would change all outputs of the network. Here the
    layers get the means and variances of some training images, and a scale and an
    offset with which the outputs of the network stay the same.

    Parameters
    ----------
    part : TrainedPart
        What is trained.

    batches : Batches
        Its training data.

    estimator : NetworkEstimator
        The estimator that is fitted.

    Returns
    -------
    part : TrainedPart
        With other weights if some layers had no statistics.
    """
    key = "statistics", part.key
    with borrow_model(key, partial(_build_moments, part)) as reusable:
        norms, places = reusable.model.skinest_norms
        bare = [norm.is_bare(part.weights) for norm in norms]
        if not any(bare):
            return part
        reusable.load([part.weights[place] for place in places])
        with announce(
            estimator, f"Restoring {sum(bare)} layers of batch normalisation"
        ):
            moments = _measure(reusable, batches)
    weights = dict(enumerate(part.weights))
    n_channels = [len(part.weights[norm.places[0]]) for norm in norms]
    ends = np.cumsum(np.repeat(n_channels, 2))[:-1]
    parts = np.split(moments, ends)
    rows = zip(norms, bare, parts[::2], parts[1::2], strict=True)
    for norm, is_bare, means, squares in rows:
        if is_bare:
            weights |= norm.restore(part.weights, means, squares)
    return replace(part, weights=tuple(weights.values()))


def _measure(reusable, batches) -> np.ndarray:
    """Return the mean of the outputs of a model for some training images."""
    n_batches = min(len(batches), -(-_N_IMAGES // batches.batch_size))
    outputs = [
        reusable.predict(batches[index][0], batches.batch_size)
        for index in range(n_batches)
    ]
    batches.begin_epoch(batches.epoch)
    return np.concatenate(outputs).mean(axis=0, dtype=np.float64)


def _build_moments(part):
    """Build a model from images to means and mean squares of inputs of norms.

    Its attribute `skinest_norms` has the norms, and the positions of its weights among
    those of the part.
    """
    import keras

    model = part.build()
    places = {id(weight): place for place, weight in enumerate(model.weights)}
    norms, moments = [], []
    for layer, inputs in _find_norms(model):
        values = layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance
        norms.append(_Norm([places[id(value)] for value in values], layer.epsilon))
        inputs = keras.ops.cast(inputs, "float32")
        moments.append(_average(inputs, layer.axis))
        moments.append(_average(keras.ops.square(inputs), layer.axis))
    outputs = keras.ops.concatenate(moments, axis=-1) if moments else model.output
    measuring = keras.Model(model.input, outputs)
    own = [places[id(weight)] for weight in measuring.weights]
    measuring.skinest_norms = norms, own
    return measuring, {}


def _average(maps, axis):
    """Return the mean of each channel of an image."""
    import keras

    n_axes = len(maps.shape)
    others = [each for each in range(1, n_axes) if each != axis % n_axes]
    return keras.ops.mean(maps, axis=others) if others else maps


def _find_norms(model):
    """List layers of batch normalisation that train, and their inputs."""
    import keras

    producers = list(map(find_producer, list_tensors(model.output)))
    n_calls = Counter(id(layer) for layer, _ in producers)
    return [
        (layer, inputs[0])
        for layer, inputs in producers
        if type(layer) is keras.layers.BatchNormalization
        and layer.trainable
        and (layer.scale and layer.center)
        and n_calls[id(layer)] == 1
    ]
