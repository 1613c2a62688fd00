"""Fits from seeds: what they give, and what they leave as it was.

Run as a script, in a process of its own, this prints both as JSON.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import json
import pickle
import random
import sys

import numpy as np

from skinest import UNetSegmenter
from skinest.augmentation import Augmentation
from tests.private_names import get_keras_generator_state

COMMON = {
    "depth": 1,
    "base_filters": 2,
    "image_size": (16, 16),
    "epochs": 2,
    "learning_rate": 0.01,
    "batch_size": 4,
}
FITS = {
    "plain": {"compute_dtype": "float32"},
    "bfloat16 with all that is random": {
        "compute_dtype": "bfloat16",
        "augmentation": Augmentation(zoom=0.1, brightness=0.1),
        "dropout": 0.5,
        "validation_fraction": 0.3,
        "class_weight": "balanced",
    },
}


def make_data():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (10, 20, 24, 3), dtype=np.uint8)
    return images, np.where(images[..., 0] > 150, 255, 0).astype(np.uint8)


def fit(name, random_state=0):
    """Return digests of weights, history and predictions of a fit."""
    images, masks = make_data()
    segmenter = UNetSegmenter(**COMMON, **FITS[name], random_state=random_state)
    segmenter.fit(images, masks)
    weights = b"".join(array.tobytes() for array in segmenter.model_.get_weights())
    return [
        hashlib.sha256(weights).hexdigest(),
        repr(segmenter.history_),
        hashlib.sha256(segmenter.predict_proba(images)).hexdigest(),
        hashlib.sha256(np.asarray(segmenter.model_(images[:, :16, :16]))).hexdigest(),
    ]


def get_global_states():
    """Return whole states of all that is global."""
    import keras

    of_keras = get_keras_generator_state()  # first, as it may draw from `random`
    return {
        "random": random.getstate(),
        "numpy": pickle.dumps(np.random.get_state()),  # noqa: NPY002
        "keras generator": of_keras,
        "keras policy": keras.config.dtype_policy().name,
        "keras floatx": keras.config.floatx(),
        "keras image format": keras.config.image_data_format(),
    }


def list_changed_states(function):
    """Name the global states that a function changes."""
    before = get_global_states()
    function()
    after = get_global_states()
    return [name for name in before if before[name] != after[name]]


def main():
    digests = {}

    def all_fits():
        for name in FITS:
            digests[name] = fit(name)

    changed = list_changed_states(all_fits)
    json.dump({"digests": digests, "changed": changed}, sys.stdout)


if __name__ == "__main__":
    main()
