"""Reading a little ahead of a network, and applying it to batches of few sizes."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

_N_AHEAD = 2  # batches that are read while another is computed


def predict_padded(model, batch, batch_size) -> list[np.ndarray]:
    """Apply a model to a batch, filled up with zeros to a power of two.

    So few sizes of batches are ever seen, each of which TensorFlow compiles.
    """
    n_rows = len(batch)
    size = min(batch_size, 1 << (n_rows - 1).bit_length())
    padding = [(0, size - n_rows)] + [(0, 0)] * (batch.ndim - 1)
    return list(np.asarray(model.predict_on_batch(np.pad(batch, padding)))[:n_rows])


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
