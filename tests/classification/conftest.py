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
    "l2": 0.0,
    "epochs": 2,
    "learning_rate": 0.01,
    "batch_size": 4,
    "random_state": 0,
}


def small(backbone="tiny", **settings):
    """Make a classifier that is quick to fit."""
    return TransferClassifier(backbone, **{**SMALL, **settings})


def make_images(n_images, seed=0):
    """Make noise, in which there is nothing to learn but what each image looks like."""
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (n_images, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def images():
    """Make twelve images."""
    return make_images(12)


@pytest.fixture(scope="session")
def y():
    """Make eight labels 0 and four labels 1."""
    return np.array([0, 0, 1] * 4)


@pytest.fixture(scope="session")
def X_val():
    """Make twelve other images."""
    return make_images(12, seed=1)


@pytest.fixture(scope="session")
def y_val():
    return np.array([0, 1] * 6)


def layers_of(model):
    """Return the weights of each layer that has some."""
    return {
        layer.name: layer.get_weights() for layer in model.layers if layer.get_weights()
    }


def apply(model, images):
    """Apply a Keras model, which need not be compiled for these few images."""
    import keras

    return keras.ops.convert_to_numpy(model(images, training=False))


def is_same(one, other):
    """Tell whether the weights of a layer are the same to the last bit."""
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def changed(before, after):
    """Name layers whose every array of weights has changed, and those of no change."""
    assert before.keys() == after.keys()
    every, none = set(), set()
    for name, arrays in before.items():
        if is_same(arrays, after[name]):
            none.add(name)
        elif not any(map(np.array_equal, arrays, after[name])):
            every.add(name)
    return every, none


def bits(clf):
    """Return what stands for all weights of a fitted classifier, to the last bit."""
    digest = hashlib.sha256()

    def add(buffer):
        with memoryview(buffer) as view:
            if view.format == "f":  # weights are the only arrays of float32
                digest.update(repr(view.shape).encode())
                digest.update(view.tobytes())

    # scikit-learn's own attributes may hold other estimators.
    left_out = "_callback", "_metadata", "_skl", *clf.get_params(deep=False)
    state = clf.__getstate__().items()
    state = {name: value for name, value in state if not name.startswith(left_out)}
    pickle.dumps(state, protocol=5, buffer_callback=add)
    return digest.hexdigest()


FIRST_MARK = 1000


def mark(n_images):
    """Make weights by which images are told apart, for `sample_weight`.

    They hardly differ, so that they change no split by weights.
    """
    return FIRST_MARK + np.arange(n_images)


def read_marks(weights):
    """Return the positions of marked images; weights are divided by their mean."""
    firsts = np.arange(FIRST_MARK, FIRST_MARK + 200)[:, np.newaxis]
    marks = firsts * (weights.astype(float) / weights.min())
    errors = np.abs(marks - np.rint(marks)).max(axis=1)
    return np.rint(marks[errors.argmin()]).astype(int) - FIRST_MARK


def find_marked(keras_fit):
    """Return positions of marked images that Keras has trained on, and validated on."""
    found = []
    for name in ("train", "validation"):
        weights = keras_fit.epochs(name)[0][2]
        found.append(np.sort(read_marks(weights)))
    return found


def stage_recorder(keep):
    """Make a Keras callback that keeps the weights at a stage's begin and end."""
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
