"""Reading a little ahead of a network, and applying it to batches of few sizes."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np

from .._compat import tensorflow_uses_onednn
from ._precision import cpu_has_bfloat16

_N_AHEAD = 2  # batches that are read while another is computed


def predict_rows(model, batch, batch_size) -> list[np.ndarray]:
    """Apply a model to the rows of a batch, each as if it came alone.

    The outputs of a row do not depend on the other rows, nor on their number:

    - oneDNN computes a batch of one row in another way than larger ones, so a batch
      is filled up with zeros to a power of two, from 2;
    - TensorFlow's own operations round a row by its place, so there each is a batch.

    Few sizes of batches are ever seen, each of which TensorFlow compiles.
    """
    if _rounds_by_place({layer.compute_dtype for layer in model.layers}):
        batches = [batch[i : i + 1] for i in range(len(batch))]
    else:
        n_rows = len(batch)
        size = min(max(batch_size, 2), max(2, 1 << (n_rows - 1).bit_length()))
        padding = [(0, size - n_rows)] + [(0, 0)] * (batch.ndim - 1)
        batches = [np.pad(batch, padding)]
    outputs = [np.asarray(model.predict_on_batch(rows)) for rows in batches]
    return [row for rows in outputs for row in rows][: len(batch)]


def _rounds_by_place(dtypes) -> bool:
    """Whether the place of a row in its batch changes the last bits of its outputs.

    So it does in TensorFlow's own operations on a processor, which compute what oneDNN
    does not: all without it, and bfloat16 where the processor does not have that.
    """
    import keras

    if keras.backend.backend() != "tensorflow" or _has_gpu():
        return False
    own_bfloat16 = "bfloat16" in dtypes and not cpu_has_bfloat16()
    return own_bfloat16 or not tensorflow_uses_onednn()


@lru_cache
def _has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def ahead(function, arguments) -> Iterator:
    """Results of a function, computed by threads a little ahead of their use."""
    with ThreadPoolExecutor(_N_AHEAD) as executor:
        waiting = deque()
        try:
            for argument in arguments:
                waiting.append(executor.submit(function, argument))
                if len(waiting) > _N_AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
