"""Fits from seeds: what they give, and what they leave as it was.

Run as a script, in a process of its own, this prints both as JSON. Arguments: names of
fits, or none for all that are quick.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import json
import pickle
import random
import sys

import joblib
import numpy as np

import tests.tiny_backbone  # noqa: F401 -- adds "tiny" to the backbones
from skinest import TransferClassifier, UNetSegmenter
from skinest.augmentation import Augmentation
from skinest.networks import build_transfer_network
from tests.private_names import get_keras_generator_state

CLASSIFIER = {
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
SEGMENTER = {
    "depth": 1,
    "base_filters": 2,
    "image_size": (16, 16),
    "epochs": 2,
    "learning_rate": 0.01,
    "batch_size": 4,
}
CLASSIFIERS = {
    "float32 block_16": {"backbone": "tiny", "trainable": "block_16"},
}
SLOW = {
    "bfloat16 head": {"backbone": "tiny", "compute_dtype": "bfloat16"},
    "float32 head": {"backbone": "tiny"},
    "bfloat16 block_16": {
        "backbone": "tiny",
        "compute_dtype": "bfloat16",
        "trainable": "block_16",
    },
    "bfloat16 block5 of VGG16": {
        "backbone": "vgg16",
        "compute_dtype": "bfloat16",
        "trainable": "block5",
    },
}
SEGMENTERS = {
    "bfloat16 segmenter with all that is random": {
        "compute_dtype": "bfloat16",
        "augmentation": Augmentation(zoom=0.1, brightness=0.1),
        "dropout": 0.5,
        "validation_fraction": 0.3,
        "class_weight": "balanced",
    },
}
FITS = [*CLASSIFIERS, *SEGMENTERS]


def fit(name):
    """Fit, and return digests of weights, history and predictions."""
    generator = np.random.default_rng(0)
    if name not in SEGMENTERS:
        images = generator.integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)
        settings = {**CLASSIFIER, **{**CLASSIFIERS, **SLOW}[name]}
        estimator = TransferClassifier(**settings, random_state=0)
        estimator.fit(images, np.array([0, 0, 1] * 4))
        inputs = images
    else:
        images = generator.integers(0, 256, (10, 20, 24, 3), dtype=np.uint8)
        settings = {**SEGMENTER, **SEGMENTERS[name]}
        estimator = UNetSegmenter(**settings, random_state=0)
        estimator.fit(images, np.where(images[..., 0] > 150, 255, 0).astype(np.uint8))
        inputs = images[:, :16, :16]
    return [
        joblib.hash(estimator.model_.get_weights()),
        repr(estimator.history_),
        hashlib.sha256(estimator.predict_proba(images)).hexdigest(),
        hashlib.sha256(np.asarray(estimator.model_(inputs))).hexdigest(),
    ]


def build_and_apply():
    """Build networks, and apply them as in training."""
    settings = {"weights": None, "image_size": (32, 40), "hidden_units": (4,)}
    settings |= {"l2": 0.1, "trainable": "all", "random_state": 0}
    for compute_dtype in ("float32", "bfloat16"):
        network = build_transfer_network(
            "tiny", compute_dtype=compute_dtype, **settings
        )
        network(np.zeros((1, 32, 40, 3)), training=True)


def get_global_states():
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


def list_changed_states(function):
    """Name the global states that a function changes."""
    before = get_global_states()
    function()
    after = get_global_states()
    return [name for name in before if before[name] != after[name]]


def main(*names):
    digests = {}

    def all_fits():
        for name in names or FITS:
            digests[name] = fit(name)

    changed = {
        "fits": list_changed_states(all_fits),
        "networks": list_changed_states(build_and_apply),
    }
    json.dump({"digests": digests, "changed": changed}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
