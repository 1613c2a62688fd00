"""Fits from seeds: what they give, and what they leave as it was.

Run as a script, in a process of its own, this prints both as JSON.
"""

import hashlib
import json
import pickle
import random
import sys

import joblib
import numpy as np

import tests.tiny_backbone  # noqa: F401 -- adds "tiny" to the backbones
from skinest import TransferClassifier
from skinest.augmentation import Augmentation
from tests.private_names import get_keras_generator_state

COMMON = {
    "weights": None,
    "image_size": (32, 32),
    "pooling": "avg",
    "hidden_units": (),
    "augmentation": Augmentation(zoom=0.1, brightness=0.1),
    "n_augmented_copies": 2,
    "epochs": 2,
    "learning_rate": 0.001,
    "batch_size": 4,
    "validation_fraction": 0.25,
}
FITS = {
    "float32 head": {"backbone": "tiny"},
    "float32 block_16": {"backbone": "tiny", "trainable": "block_16"},
    "bfloat16 head": {"backbone": "tiny", "compute_dtype": "bfloat16"},
    "bfloat16 block5": {
        "backbone": "vgg16",
        "compute_dtype": "bfloat16",
        "trainable": "block5",
    },
}


def data():
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
    return images, np.array([0, 0, 1] * 4)


def fit(name, random_state=0):
    """Fit, and return digests of weights, history and probabilities."""
    images, y = data()
    clf = TransferClassifier(**{**COMMON, **FITS[name]}, random_state=random_state)
    clf.fit(images, y)
    probabilities = clf.predict_proba(images)
    return [
        joblib.hash(clf.model_.get_weights()),
        repr(clf.history_),
        hashlib.sha256(probabilities).hexdigest(),
        hashlib.sha256(np.asarray(clf.model_(images))).hexdigest(),
    ]


def global_states():
    """Return the whole states of all that is global."""
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


def changed_states(function):
    """Name the global states that a function changes."""
    before = global_states()
    function()
    after = global_states()
    return [name for name in before if before[name] != after[name]]


def main():
    digests = {}

    def all_fits():
        for name in FITS:
            digests[name] = fit(name)

    changed = changed_states(all_fits)
    json.dump({"digests": digests, "changed": changed}, sys.stdout)


if __name__ == "__main__":
    main()
