"""Grad-CAM: heat maps of the evidence for a class, from a Keras model.

The model is that of a fitted classifier. Its layer "logits" has the scores of the
classes, or in the binary case only the score of the second class.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np

from .._compat import compute_tensor, find_producer
from ..images import resize
from ..networks._boundaries import list_tensors
from ._gradients import compute_score_gradients

_BATCH_SIZE = 8  # all that VGG16 computes of 8 images of 224 pixels is 0.5 GB


class FeatureLayer(NamedTuple):
    """A layer whose feature maps are used, as found by :func:`find_layer`."""

    operation: object
    """The layer itself."""

    tensor: object
    """The symbolic tensor of its feature maps in the model."""

    above: tuple
    """The symbolic tensors from it to the logits, each after its inputs."""

    @property
    def sides(self):
        """Rows and columns of the feature maps."""
        return self.tensor.shape[1:3]


def find_layer(model, name=None):
    """Find the layer whose feature maps are used.

    Parameters
    ----------
    model : keras.Model
        One functional model with a layer "logits".

    name : str, default=None
        The layer. None is the last one with a four-dimensional output that is not
        a pooling layer.

    Returns
    -------
    layer : FeatureLayer

    Raises
    ------
    ValueError
        If the layer does not exist, or a path to the logits does not lead through it.
    """
    usable = _list_usable_layers(model)
    for layer in usable:
        if layer.operation.name == name or (name is None and _has_features(layer)):
            return layer
    known = any(layer.name == name for layer in model.layers)
    what = f"layer={name!r} is not on all paths from the images to the logits"
    raise ValueError(
        f"{what if known else f'The model has no layer {name!r}'}. Use one of "
        + ", ".join(repr(layer.operation.name) for layer in usable)
    )


def find_finer_layer(model, layer):
    """Return the last usable layer whose feature maps are finer, or None."""
    for other in _list_usable_layers(model):
        if min(other.sides) > min(layer.sides) and _has_features(other):
            return other
    return None


def _has_features(layer):
    kind = type(layer.operation).__name__
    return "Pooling" not in kind and "Padding" not in kind


def _list_usable_layers(model):
    """Return the layers through which all paths to the logits lead, last first."""
    from keras.layers import InputLayer, Layer

    tensors = list_tensors(_find_logits(model))
    found = []
    needed = set()  # inputs of the tensors after this one
    for position in reversed(range(len(tensors))):
        tensor = tensors[position]
        operation, inputs = find_producer(tensor)
        if (
            needed <= {id(tensor)}
            and len(tensor.shape) == 4
            and isinstance(operation, Layer)
            and not isinstance(operation, InputLayer)
        ):
            found.append(
                FeatureLayer(operation, tensor, tuple(tensors[position + 1 :]))
            )
        needed.discard(id(tensor))
        needed.update(map(id, inputs))
    return found


def _find_logits(model):
    """Return the output of the layer "logits"; only a chain of layers follows it."""
    tensor = model.outputs[0]
    while True:
        operation, inputs = find_producer(tensor)
        if operation.name == "logits":
            return tensor
        if len(inputs) != 1:
            raise ValueError(
                f"The model {model.name!r} does not end in a layer 'logits' and a "
                "chain of layers after it."
            )
        (tensor,) = inputs


def compute_maps(model, layer, images, class_indices):
    """Compute the Grad-CAM maps of images.

    Parameters
    ----------
    model : keras.Model
        Takes float32 RGB images of shape (n, height, width, 3) in 0 to 255.

    layer : FeatureLayer
        The layer of `model` whose feature maps are used.

    images : list of ndarray of shape (height, width, 3), dtype uint8
        The images, of any sizes.

    class_indices : ndarray of shape (n_images,)
        The index of the class to show for each image.

    Returns
    -------
    maps : list of ndarray of shape (height, width), dtype float32
        The map of each image, with its size. Its maximum is 1, unless the map is zero
        everywhere.
    """
    import keras

    extractor = keras.Model(model.inputs[0], layer.tensor, name="feature_maps")
    maps, image_size = [], model.input_shape[1:3]
    for start in range(0, len(images), _BATCH_SIZE):
        batch = slice(start, start + _BATCH_SIZE)
        pixels = np.stack([resize(image, image_size) for image in images[batch]])
        n_scores = model.output_shape[-1]
        coefficients = _score_coefficients(class_indices[batch], n_scores)
        heats = _weigh_maps(extractor, layer, pixels, coefficients)
        maps += [
            scale_map(heat, image.shape[:2])
            for heat, image in zip(heats, images[batch], strict=True)
        ]
    return maps


def scale_map(heat, size):
    """Resize a non-negative map, and scale its values to [0, 1]."""
    import cv2

    heat = np.ascontiguousarray(heat, dtype=np.float32)
    heat = cv2.resize(heat, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    largest = heat.max()
    return heat / largest if largest > 0 else heat


def _score_coefficients(class_indices, n_scores):
    """Return the coefficients of the model's scores in the score of the class."""
    if n_scores == 1:  # one logit: that of the second class, minus that of the first
        return np.where(class_indices == 1, 1.0, -1.0)[:, np.newaxis]
    return np.eye(n_scores)[class_indices]


def _weigh_maps(extractor, layer, pixels, coefficients):
    """Compute equations 1 and 2 of Selvaraju et al., of shape (n, rows, columns)."""
    from keras import ops

    def scores(features):
        values = {id(layer.tensor): features}
        for tensor in layer.above:
            values[id(tensor)] = _compute_in_inference(tensor, values)
        return values[id(layer.above[-1])]

    features = extractor(pixels.astype(np.float32), training=False)
    features = ops.convert_to_numpy(ops.cast(features, "float32"))
    gradients = compute_score_gradients(scores, features, coefficients)
    weights = gradients.mean(axis=(1, 2))
    return np.maximum(np.einsum("nhwk,nk->nhw", features, weights), 0)


def _compute_in_inference(tensor, values):
    from keras.layers import Layer

    operation, _ = find_producer(tensor)
    is_layer = isinstance(operation, Layer)
    return compute_tensor(tensor, values, **({"training": False} if is_layer else {}))
