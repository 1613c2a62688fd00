"""What fits and predictions give, to compare the backends of Keras.

Run as a script, with the path of pickled estimators, this prints it as JSON.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import pickle
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

import tests.tiny_backbone  # noqa: F401 -- adds "tiny" to the backbones
from skinest import TransferClassifier, UNetSegmenter

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
MASKS = (IMAGES[..., 0] > 128).astype(np.uint8)
LABELS = np.array([0, 1] * 4)
SETTINGS = {
    "epochs": 2,
    "learning_rate": 0.01,
    "optimizer": "sgd",
    "batch_size": 4,
    "compute_dtype": "float32",
    "random_state": 0,
}


class EachBatch(keras.callbacks.Callback):
    """Look at a bias after each batch, and halve the learning rate."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __deepcopy__(self, memo):
        return self

    def on_train_batch_end(self, batch, logs=None):
        bias = keras.ops.convert_to_numpy(self.model.trainable_weights[-1].value)
        self.found.append([float(bias.sum()), self._read_rate()])
        self.model.optimizer.learning_rate = self._read_rate() / 2

    def _read_rate(self):
        return float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))


def fit_segmenter(**settings):
    """Fit a U-Net without random layers."""
    unet = UNetSegmenter(depth=1, base_filters=2, image_size=(16, 16), **SETTINGS)
    return unet.set_params(**settings).fit(IMAGES, MASKS)


def fit_classifier():
    """Fit the upper part of a network."""
    clf = TransferClassifier(
        "tiny", weights=None, image_size=(32, 32), hidden_units=(8,), **SETTINGS
    )
    return clf.set_params(trainable="stage5").fit(IMAGES, LABELS)


def watch_batches():
    """Return what a callback sees after each batch: a bias and the learning rate."""
    callback = EachBatch()
    fit_segmenter(learning_rate=1.0, keras_callbacks=[callback])
    return callback.found


def diverge():
    """Return the warnings and errors of a fit whose learning rate is far too high."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        try:
            fit_segmenter(learning_rate=1e30, epochs=3, batch_norm=False, loss="focal")
        except ValueError as error:
            return [str(error)]
    return [str(each.message) for each in found]


def predict(estimators):
    """Return the probabilities of estimators."""
    return [each.predict_proba(IMAGES).tolist() for each in estimators]


def predict_in_threads(estimators):
    """Count the results of calls in eight threads that differ from a single call."""
    counts = []
    for each in estimators:
        expected = each.predict_proba(IMAGES)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(each.predict_proba, [IMAGES] * 64))
        counts.append(sum(not np.array_equal(one, expected) for one in found))
    return counts


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        fitted = pickle.load(file)
    results = {
        "backend": keras.backend.backend(),
        "probabilities": predict(fitted),
        "batches": watch_batches(),
        "divergence": diverge(),
        "differing": predict_in_threads(fitted),
    }
    print(json.dumps(results))
