"""Statistics of batch normalisation, for weights that came without them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from .._compat import find_producer, list_inner_layers
from ..networks._boundaries import list_tensors
from ..utils._verbose import announce
from ._models import borrow_model

_N_IMAGES = 256  # at most this many, in whole batches, and at least one batch


@dataclass(frozen=True)
class _Norm:
    """A layer of batch normalisation that trains.

    Parameters
    ----------
    places : list of int
        Positions of gamma, beta, means and variances among the weights. Gamma has none
        in a layer without a scale.

    epsilon : float
        What the layer adds to variances.

    is_measured : bool
        Whether its inputs can be measured, and a scale can keep its outputs.
    """

    places: list
    epsilon: float
    is_measured: bool

    def is_bare(self, weights) -> bool:
        """Return whether a layer has learned an offset, but no statistics."""
        return _is_bare(*(weights[place] for place in self.places[-3:]))

    def restore(self, weights, means, variances) -> dict:
        """Return weights by position, with which the layer has the same outputs."""
        gamma, beta, old_means, old_variances = (
            weights[place].astype(np.float64) for place in self.places
        )
        slope = gamma / np.sqrt(old_variances + self.epsilon)
        new = (
            slope * np.sqrt(variances + self.epsilon),
            beta + slope * (means - old_means),
            means,
            variances,
        )
        arrays = [array.astype(np.float32) for array in new]
        return dict(zip(self.places, arrays, strict=True))


@dataclass(frozen=True)
class _Plan:
    """The norms of a part, and where a measuring model has its weights from."""

    norms: list
    places: list


def restore_statistics(part, batches, estimator):
    """Give batch normalisation that trains its statistics, if the weights lack them.

    A network for predictions, such as one in TensorFlow Lite, OpenVINO or ONNX, often
    has its batch normalisation in the kernels and biases of convolutions (Jacob et al.
    2018, arXiv:1712.05877, section 3.2). Layers that are made from it have the biases
    as offsets, but means of 0 and variances of 1, whatever their inputs are. In
    training, a layer uses the statistics of each batch. So the first step would change
    all outputs of the network. Here the layers get the means and variances of some
    training images, and a scale and an offset with which the outputs stay the same.

    Parameters
    ----------
    part : TrainedPart
        What is trained.

    batches : Batches
        Its training data. If this fails, they are released.

    estimator : NetworkEstimator
        The estimator that is fitted.

    Returns
    -------
    part : TrainedPart
        With other weights if some layers had no statistics.

    Warns
    -----
    UserWarning
        If some layers have no statistics and cannot get them.
    """
    weights = list(part.weights)
    if not any(map(_is_bare, weights, weights[1:], weights[2:])):
        return part  # without building a model
    key = "statistics", part.key
    with borrow_model(key, partial(_build_measuring, part)) as reusable:
        plan = reusable.model.skinest_plan
        bare = [norm for norm in plan.norms if norm.is_bare(weights)]
        _warn_of_others(bare)
        measured = [norm for norm in plan.norms if norm.is_measured]
        chosen = [norm for norm in measured if norm in bare]
        if not chosen:
            return part
        reusable.load([weights[place] for place in plan.places])
        what = f"Restoring {len(chosen)} layers of batch normalisation"
        with announce(estimator, what):
            moments = _measure(reusable, batches)
    for norm in measured:
        n_channels = len(weights[norm.places[0]])
        means, variances, moments = np.split(moments, [n_channels, 2 * n_channels], 1)
        if norm in chosen:
            # Of all values: the variance within images, and that between them.
            variance = variances.mean(axis=0) + means.var(axis=0)
            restored = norm.restore(weights, means.mean(axis=0), variance)
            for place, array in restored.items():
                weights[place] = array
    return replace(part, weights=tuple(weights))


def _is_bare(beta, means, variances) -> bool:
    """Return whether arrays can be an offset, and statistics not measured."""
    are_of_norm = means.ndim == 1 and beta.shape == means.shape == variances.shape
    if not are_of_norm or not beta.any():
        return False
    return not means.any() and np.ptp(variances) == 0


def _warn_of_others(bare):
    n_others = sum(not norm.is_measured for norm in bare)
    if n_others:
        warnings.warn(
            f"train_batch_norm: {n_others} layers of batch normalisation have means of "
            "0 and equal variances, and no statistics can be restored, because they "
            "have no scale, are used twice, or are inside other layers. The first step "
            "of training changes their outputs.",
            UserWarning,
            stacklevel=2,
        )


def _measure(reusable, batches) -> np.ndarray:
    """Return the outputs of a model for some training images, in float64."""
    n_batches = min(len(batches), max(1, _N_IMAGES // batches.batch_size))
    try:
        outputs = [
            reusable.predict(batches[index][0], batches.batch_size)
            for index in range(n_batches)
        ]
    except BaseException:
        batches.release()
        raise
    batches.begin_epoch(batches.epoch)  # as if no batch had been read
    return np.concatenate(outputs).astype(np.float64)


def _build_measuring(part):
    """Build a model from images to means and variances of the inputs of norms.

    Its attribute `skinest_plan` is the `_Plan`.
    """
    import keras

    model = part.build()
    place_of = {id(weight): place for place, weight in enumerate(model.weights)}
    inputs_of = _find_inputs(model)
    norms, moments = [], []
    for layer in list_inner_layers(model):
        if not _trains(layer):
            continue
        inputs = inputs_of.get(id(layer))
        is_measured = inputs is not None and layer.scale
        places = [place_of[id(weight)] for weight in layer.weights]
        norms.append(_Norm(places, layer.epsilon, is_measured))
        if is_measured:
            moments += _describe_channels(inputs, layer.axis)
    outputs = keras.ops.concatenate(moments, axis=-1) if moments else model.output
    measuring = keras.Model(model.input, outputs)
    places = [place_of[id(weight)] for weight in measuring.weights]
    measuring.skinest_plan = _Plan(norms, places)
    return measuring, {}


def _trains(layer) -> bool:
    """Return whether a layer is a batch normalisation that trains and has an offset."""
    import keras

    is_norm = type(layer) is keras.layers.BatchNormalization and layer.built
    return is_norm and layer.trainable and layer.center


def _find_inputs(model) -> dict:
    """Return the input of each layer that is called once, by its `id`."""
    producers = list(map(find_producer, list_tensors(model.output)))
    n_calls = Counter(id(layer) for layer, _ in producers)
    return {
        id(layer): inputs[0]
        for layer, inputs in producers
        if inputs and n_calls[id(layer)] == 1
    }


def _describe_channels(maps, axis):
    """Return the mean and the variance of each channel of an image."""
    import keras

    maps = keras.ops.cast(maps, "float32")
    n_axes = len(maps.shape)
    others = [each for each in range(1, n_axes) if each != axis % n_axes]
    if not others:  # a vector for each image
        return [maps, keras.ops.zeros_like(maps)]
    return [keras.ops.mean(maps, axis=others), keras.ops.var(maps, axis=others)]
