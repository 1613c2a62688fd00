"""What the tests of transfer classifiers share."""

import hashlib
import pickle

import numpy as np
import pytest

from skinest import TransferClassifier

SMALL = {
    "weights": None,
    "image_size": (32, 32),
    "pooling": "avg",
    "hidden_units": (),
    "epochs": 2,
    "learning_rate": 0.01,
    "batch_size": 4,
    "random_state": 0,
}


def small(backbone="mobilenetv2", **settings):
    """A classifier that is quick to fit."""
    return TransferClassifier(backbone, **{**SMALL, **settings})


def make_images(n_images, seed=0):
    """Noise, in which there is nothing to learn but what each image looks like."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (n_images, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def images():
    """Twelve images."""
    return make_images(12)


@pytest.fixture(scope="session")
def y():
    """Eight labels 0 and four labels 1."""
    return np.array([0, 0, 1] * 4)


@pytest.fixture(scope="session")
def X_val():
    """Twelve other images."""
    return make_images(12, seed=1)


@pytest.fixture(scope="session")
def y_val():
    return np.array([0, 1] * 6)


def layers_of(model):
    """Weights of each layer that has some."""
    return {
        layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()
    }


def apply(model, images):
    """Outputs of a Keras model, which need not be compiled for these few images."""
    import keras

    return keras.ops.convert_to_numpy(model(images, training=False))


def is_same(one, other):
    """Whether the weights of a layer are the same to the last bit."""
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def changed(before, after):
    """Names of layers whose every array of weights has changed, and of all others."""
    assert before.keys() == after.keys()
    every, none = set(), set()
    for name, arrays in before.items():
        if is_same(arrays, after[name]):
            none.add(name)
        elif not any(map(np.array_equal, arrays, after[name])):
            every.add(name)
    return every, none


def bits(clf):
    """Stand for all weights of a fitted classifier to the last bit, as pickled."""
    digest = hashlib.sha256()

    def add(buffer):
        with memoryview(buffer) as view:
            if view.format == "f":  # weights are the only arrays of float32
                digest.update(repr(view.shape).encode())
                digest.update(view.tobytes())

    # scikit-learn's record of metadata requests holds the estimator it was asked of.
    left_out = {*clf.get_params(deep=False), "_metadata_request"}
    state = {k: v for k, v in clf.__getstate__().items() if k not in left_out}
    pickle.dumps(state, protocol=5, buffer_callback=add)
    return digest.hexdigest()


def mark(n_images):
    """Weights by which images are told apart, for `sample_weight`."""
    return 1 + np.arange(n_images)


def find_marked(keras_fit):
    """Positions of the marked images that Keras has trained on, and validated on."""
    found = []
    for name in ("train", "validation"):
        weights = keras_fit.epochs(name)[0][2]
        found.append(np.sort(np.rint(weights).astype(int) - 1))
    return found


def stage_recorder(keep):
    """Keras callback that calls `keep` at a stage's begin and end with its weights."""
    import keras

    class StageRecorder(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.keep = keep  # a function, which a copy of the callback shares

        def on_train_begin(self, logs=None):
            self.keep(layers_of(self.model))

        def on_train_end(self, logs=None):
            self.keep(layers_of(self.model))

    return StageRecorder()
