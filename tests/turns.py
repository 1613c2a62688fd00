"""Views of an image, made by NumPy's functions, and how they are turned back."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

FLIPS = [np.copy, np.fliplr, np.flipud, lambda image: np.rot90(image, 2)]
TURNS = [
    *(lambda image, k=k: np.rot90(image, k) for k in range(4)),
    *(lambda image, k=k: np.rot90(np.fliplr(image), k) for k in range(4)),
]
TURNS_BACK = [
    *(lambda image, k=k: np.rot90(image, -k) for k in range(4)),
    *(lambda image, k=k: np.fliplr(np.rot90(image, -k)) for k in range(4)),
]
BY_NUMBER = {1: FLIPS[:1], 2: FLIPS[:2], 4: FLIPS, 8: TURNS}
BACK = {1: FLIPS[:1], 2: FLIPS[:2], 4: FLIPS, 8: TURNS_BACK}
