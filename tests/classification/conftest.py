"""What the tests of transfer classifiers share."""

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
    """Stands for all weights of a fitted classifier to the last bit."""
    return clf._state.trunk.digest, clf._state.head.digest


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


@pytest.fixture
def splits(monkeypatch):
    """Arguments and results of each split into training and validation images."""
    from skinest.classification import _preparing

    hold_out, recorded = _preparing.hold_out, []

    def recording(codes, fraction, groups, *args):
        train, held_out = hold_out(codes, fraction, groups, *args)
        recorded.append({"groups": groups, "train": train, "held_out": held_out})
        return train, held_out

    monkeypatch.setattr(_preparing, "hold_out", recording)
    return recorded
