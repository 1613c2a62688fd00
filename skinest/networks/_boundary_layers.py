"""Layers at the boundary between two parts of a network.

They have names of their own. Keras would name its operations like layers that the
network may have, such as "concatenate", and a name must not occur twice.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from math import prod

import keras
from keras import ops


class JoinTensors(keras.layers.Layer):
    """Layer from several tensors to one vector for each image."""

    def __init__(self):
        super().__init__(autocast=False, name="skinest_joined")

    def call(self, tensors):
        """Return the values of all tensors, one row for each image."""
        rows = [ops.reshape(x, (-1, prod(x.shape[1:]))) for x in tensors]
        return ops.concatenate(rows, axis=1) if len(rows) > 1 else rows[0]


class SplitVector(keras.layers.Layer):
    """Layer from one vector for each image to several tensors.

    Parameters
    ----------
    tensors : list of keras.KerasTensor
        Tensors of the same shapes and dtypes as the outputs.

    is_scaled : bool
        Whether the vector starts with a factor of all other values.
    """

    def __init__(self, tensors, is_scaled):
        super().__init__(autocast=False, name="skinest_split")
        self._shapes = [tuple(tensor.shape[1:]) for tensor in tensors]
        self._dtypes = [tensor.dtype for tensor in tensors]
        self._is_scaled = is_scaled

    def call(self, vector):
        """Return the tensors."""
        if self._is_scaled:
            vector = ops.cast(vector, "float32")
            vector = vector[:, 1:] * vector[:, :1]
        outputs, start = [], 0
        for shape, dtype in zip(self._shapes, self._dtypes, strict=True):
            end = start + prod(shape)
            part = ops.reshape(vector[:, start:end], (-1, *shape))
            outputs.append(ops.cast(part, dtype))
            start = end
        return outputs
