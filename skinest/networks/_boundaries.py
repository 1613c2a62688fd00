"""Boundaries between the frozen part of a transfer network and the part that trains.

The outputs of the frozen part for an image are one vector, which can be kept.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from math import prod

import numpy as np

from .._compat import compute_tensor, find_producer, list_seed_states
from ._backbone_stages import find_first_layer
from ._transfer_network import BackboneSpec, build_pooled_backbone, count_features

_SCALES = -14, 15  # exponents of the powers of two that float16 has in full precision


@dataclass(frozen=True)
class Boundary:
    """Boundary between the frozen part of a transfer network and the part that trains.

    Parameters
    ----------
    backbone_spec : BackboneSpec
        The backbone.

    crossing : tuple of int, default=()
        Which tensors cross the boundary: their positions in :func:`list_tensors`. Empty
        if all of the backbone is frozen: then the features cross it.

    n_features : int
        Length of the vector that is kept of an image.

    n_weights : int, default=None
        The number of arrays of weights below. They come first in the network. None
        means all of the backbone.

    dtype : {"float32", "bfloat16", "float16"}, default="float32"
        Type of the vector. "bfloat16" has the exact values of a backbone that computes
        in bfloat16. "float16" has those of a backbone in float32, rounded to 11 bits.
    """

    backbone_spec: BackboneSpec
    n_features: int
    crossing: tuple = ()
    n_weights: int | None = None
    dtype: str = "float32"

    @property
    def identity(self) -> tuple:
        """Identity of the vectors, besides the backbone and its weights."""
        return (self.crossing, self.dtype) if self.crossing else ()

    def describe_lower(self) -> dict:
        """Return the part that computes the vectors before `pack`, for an Engine.

        `build` is a function from a precision to the Keras model.
        """
        spec = replace(self.backbone_spec, compute_dtype="float32")

        def build(compute_dtype):
            network = build_pooled_backbone(replace(spec, compute_dtype=compute_dtype))
            return build_lower(network, self.crossing) if self.crossing else network

        return {"key": ("lower part", spec, self.crossing), "build": build}

    def pack(self, values) -> np.ndarray:
        """Convert vectors of the lower part to `dtype`.

        A vector in float16 starts with the power of two by which the others are
        divided, so that no value is too large.
        """
        if self.dtype != "float16":
            return values.astype(self.dtype, copy=False)
        largest = np.abs(values).max(axis=1, keepdims=True)
        exponents = np.clip(np.frexp(largest)[1] - 15, *_SCALES)
        scales = np.ldexp(np.float32(1), exponents)
        return np.hstack([scales, values / scales]).astype(np.float16)

    def build_upper(self, build, settings=None):
        """Build a Keras model from packed vectors to probabilities.

        Parameters
        ----------
        build : callable
            Function from `settings` to the Keras model of the whole network.

        settings : dict of str to keras.Variable, default=None
            Variables of settings of the network.
        """
        return build_upper(build(settings), self.crossing, self.dtype)


def divide_below_head(backbone_spec) -> Boundary:
    """Return the boundary between a backbone that is frozen and the head."""
    return Boundary(backbone_spec, count_features(backbone_spec))


@lru_cache
def find_boundary(backbone_spec, stage) -> Boundary | None:
    """Find the boundary below a stage, or return None if nothing below it has kernels.

    Parameters
    ----------
    backbone_spec : BackboneSpec
        The backbone.

    stage : str
        The lowest part that trains.
    """
    if stage == "head":
        return divide_below_head(backbone_spec)
    if stage == "all":
        return None
    first = find_first_layer(backbone_spec, stage)
    network = build_pooled_backbone(backbone_spec)
    crossing = find_crossing(network, first)
    if crossing is None:
        return None
    tensors = list_tensors(network.output)
    n_features = sum(_count_values(tensors[index]) for index in crossing)
    in_bfloat16 = backbone_spec.compute_dtype == "bfloat16"
    below = network.layers[: _find_position(network, first)]
    return Boundary(
        backbone_spec,
        n_features if in_bfloat16 else 1 + n_features,
        crossing,
        sum(len(layer.weights) for layer in below),
        "bfloat16" if in_bfloat16 else "float16",
    )


def list_tensors(output, known=()) -> list:
    """List the tensors that an output is computed from, and the output itself.

    Each tensor comes after those that it is computed from. The order depends only on
    the structure of the network.

    Parameters
    ----------
    output : keras.KerasTensor
        The output of a Keras model.

    known : collection of int
        The `id` of tensors at which the search ends. These are left out.
    """
    tensors, found, pending = [], set(known), [(output, False)]
    while pending:  # without recursion, because networks are deep
        tensor, is_listed = pending.pop()
        if is_listed:
            tensors.append(tensor)
        elif id(tensor) not in found:
            found.add(id(tensor))
            pending.append((tensor, True))
            pending += [(each, False) for each in find_producer(tensor)[1]]
    return tensors


def find_crossing(network, first) -> tuple[int, ...] | None:
    """Find the smallest tensors from which all layers from a given one up are computed.

    Layers that have weights, or are random, are on the side that the order of the
    layers gives them. All others can be on both sides. They are below, unless the
    tensors become smaller if they are above, as with padding.

    Parameters
    ----------
    network : keras.Model
        A network with one output.

    first : str
        Name of the lowest layer that trains.

    Returns
    -------
    crossing : tuple of int or None
        Positions of the tensors in :func:`list_tensors`. None if nothing below has
        kernels, or if a layer is used on both sides.
    """
    position = _find_position(network, first)
    below, above = (
        {id(layer) for layer in layers if layer.weights or list_seed_states(layer)}
        for layers in (network.layers[:position], network.layers[position:])
    )
    weights = chain(*(layer.weights for layer in network.layers[:position]))
    if all(len(weight.shape) < 2 for weight in weights):
        return None  # not worth it
    tensors = list_tensors(network.output)
    producers = list(map(find_producer, tensors))
    users = defaultdict(list, {id(network.output): [id(network)]})
    are_above = {id(network): True}  # the head uses the output
    for tensor, (operation, inputs) in zip(tensors, producers, strict=True):
        depends = any(are_above[id(each)] for each in inputs)
        if depends and id(operation) in below:
            return None
        are_above[id(tensor)] = depends or id(operation) in above
        for each in inputs:
            users[id(each)].append(id(tensor))

    def list_crossing():
        return tuple(
            index
            for index, tensor in enumerate(tensors)
            if not are_above[id(tensor)]
            and any(are_above[user] for user in users[id(tensor)])
        )

    def count_all(crossing):
        return sum(_count_values(tensors[index]) for index in crossing)

    best = list_crossing()
    for tensor, (operation, inputs) in reversed(
        list(zip(tensors, producers, strict=True))
    ):
        is_fixed = not inputs or id(operation) in below or are_above[id(tensor)]
        if not is_fixed and all(are_above[user] for user in users[id(tensor)]):
            are_above[id(tensor)] = True
            best = min(best, list_crossing(), key=count_all)
    return best


def build_lower(network, crossing):
    """Build a Keras model from images to the values of all tensors that cross.

    Parameters
    ----------
    network : keras.Model
        The backbone with pooling.

    crossing : tuple of int
        Positions of the tensors in :func:`list_tensors`.

    Returns
    -------
    model : keras.Model
        Its output has one row for each image.
    """
    import keras

    from ._boundary_layers import JoinTensors

    tensors = list_tensors(network.output)
    vector = JoinTensors()([tensors[index] for index in crossing])
    return keras.Model(network.input, vector, name="lower_part")


def build_upper(network, crossing, dtype):
    """Build a Keras model from packed vectors to the output of a network.

    Its weights are the last ones of the network, in the same order.

    Parameters
    ----------
    network : keras.Model
        The whole network, whose layers are used.

    crossing : tuple of int
        Positions of the tensors in :func:`list_tensors`.

    dtype : {"bfloat16", "float16"}
        Type of the vectors, see `Boundary.pack`.
    """
    import keras

    from ._boundary_layers import SplitVector

    ordered = list_tensors(network.output)
    tensors = [ordered[index] for index in crossing]
    is_scaled = dtype == "float16"
    n_features = is_scaled + sum(map(_count_values, tensors))
    vector = keras.Input((n_features,), dtype=dtype, name="skinest_vector")
    parts = SplitVector(tensors, is_scaled)(vector)
    values = {id(tensor): part for tensor, part in zip(tensors, parts, strict=True)}
    for tensor in list_tensors(network.output, set(values)):
        values[id(tensor)] = compute_tensor(tensor, values)
    return keras.Model(vector, values[id(network.output)], name="upper_part")


def _find_position(network, name):
    return [layer.name for layer in network.layers].index(name)


def _count_values(tensor):
    return prod(tensor.shape[1:])
