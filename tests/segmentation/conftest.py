"""Pairs, segmenters and records that the tests of segmenters share."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib
from contextlib import contextmanager
from types import SimpleNamespace

import cv2
import keras
import numpy as np
import pytest

from skinest import UNetSegmenter

# One architecture and size of batches, so that most fits find a compiled model.
SMALL = {
    "depth": 1,
    "base_filters": 2,
    "image_size": (16, 16),
    "epochs": 2,
    "learning_rate": 0.01,
    "batch_size": 4,
    "compute_dtype": "float32",
    "random_state": 0,
}
LEARNS = {"epochs": 15, "learning_rate": 0.1}
N_PAIRS = 10  # in batches of 4, 4 and 2
SIDES = (20, 24)


def make_small(**settings):
    """Make a segmenter that is quick to fit."""
    return UNetSegmenter(**{**SMALL, **settings})


def make_pairs(n_pairs=N_PAIRS, sides=SIDES, n_classes=2, seed=0):
    """Draw boxes on noise, the brighter the higher the code of their label."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 60, (n_pairs, *sides, 3), dtype=np.uint8)
    codes = np.zeros((n_pairs, *sides), dtype=np.uint8)
    height, width = np.array(sides) // 2
    for image, mask in zip(images, codes, strict=True):
        for code in range(1, n_classes):
            top, left = generator.integers([height, width])
            place = slice(top, top + height), slice(left, left + width)
            image[place] = image[place] % 60 + 60 + 130 * code // (n_classes - 1)
            mask[place] = code
    return images, codes


def write_files(folder, arrays, suffix=""):
    """Write PNG files, whose names are in another order than the arrays."""
    folder.mkdir(exist_ok=True)
    order = np.random.default_rng(5).permutation(len(arrays))
    paths = [str(folder / f"{number}{suffix}.png") for number in order]
    for path, array in zip(paths, arrays, strict=True):
        assert cv2.imwrite(path, array[..., ::-1] if array.ndim == 3 else array)
    return paths


def make_objects(arrays):
    """Return a 1-d array of objects."""
    objects = np.empty(len(arrays), dtype=object)
    objects[:] = list(arrays)
    return objects


@pytest.fixture(scope="session")
def images():
    """Make ten images."""
    return make_pairs()[0]


@pytest.fixture(scope="session")
def masks():
    """Make their masks of 0 and 255."""
    return make_pairs()[1] * 255


@pytest.fixture(scope="session")
def paths(images, tmp_path_factory):
    """Write the same images to files."""
    return write_files(tmp_path_factory.mktemp("images"), images)


@pytest.fixture(scope="session")
def mask_paths(masks, tmp_path_factory):
    """Write the same masks to files."""
    return write_files(tmp_path_factory.mktemp("masks"), masks, "_mask")


@pytest.fixture(scope="session")
def ragged():
    """Make images and masks of different sizes, as lists."""
    sizes = [(20, 24), (31, 17), (16, 16), (9, 40), (12, 12)]
    pairs = [make_pairs(1, sides, seed=i) for i, sides in enumerate(sizes)]
    return [image for (image,), _ in pairs], [255 * mask for _, (mask,) in pairs]


@pytest.fixture(scope="session")
def learned(images, masks):
    """Fit a segmenter that finds the boxes."""
    return make_small(**LEARNS).fit(images, masks)


@pytest.fixture(scope="session")
def bright(images, masks):
    """Fit a segmenter whose network says how bright each pixel is."""
    return fit_brightness(make_small(epochs=1), images, masks)


def hash_weights(segmenter):
    """Return a digest of all weights of a fitted segmenter, to the last bit."""
    digest = hashlib.sha256()
    for array in segmenter.model_.get_weights():
        digest.update(array.tobytes())
    return digest.hexdigest()


def apply(segmenter, images):
    """Return outputs of a segmenter's Keras model for images of its size."""
    return keras.ops.convert_to_numpy(segmenter.model_(images, training=False))


# Networks whose outputs are known -----------------------------------------------------


class Replace(keras.callbacks.Callback):
    """Puts other weights in place of what is learned, also where it is validated.

    Parameters
    ----------
    make : callable
        Makes the array of a weight from the names of layer and weight, and the shape.
    """

    def __init__(self, make):
        super().__init__()
        self.make = make

    def on_test_begin(self, logs=None):
        self.replace()

    def on_train_end(self, logs=None):
        self.replace()

    def replace(self):
        arrays = []
        for weight in self.model.weights:
            layer, name = weight.path.split("/")[-2:]
            arrays.append(self.make(layer, name, tuple(weight.shape)))
        self.model.set_weights(arrays)


def make_brightness(layer, name, shape):
    """Make weights of sigmoid(20 * (brightness - 0.5)), of each pixel alone."""
    array = np.zeros(shape, dtype=np.float32)
    if name in ("gamma", "moving_variance"):
        array += 1
    elif (layer, name) == ("down_1_conv_1", "kernel"):
        array[1, 1] = 1 / 3
    elif (layer, name) == ("down_1_conv_1", "bias"):
        array += 1  # so that nothing is cut off by ReLU
    elif name == "kernel" and layer in ("down_1_conv_2", "up_1_conv_1"):
        array[1, 1, 0, 0] = 1
    elif (layer, name) == ("up_1_conv_2", "kernel"):
        array[1, 1, 0, 0] = 10
    elif (layer, name) == ("logits", "kernel"):
        array[0, 0, 0, 0] = 1
    elif (layer, name) == ("logits", "bias"):
        array -= 10
    return array


def make_noise(layer, name, shape):
    """Make weights by which outputs are anything, but mostly neither 0 nor 1."""
    generator = np.random.default_rng(list(f"{layer}/{name}".encode()))
    array = generator.standard_normal(shape, dtype=np.float32)
    if len(shape) > 1:
        array *= np.float32(np.sqrt(2 / np.prod(shape[:-1])))
    elif layer == "logits":
        array *= 0
    elif name == "moving_variance":
        array = np.ones(shape, np.float32)
    return array


def make_nothing(layer, name, shape):
    """Make weights by which all pixels are background."""
    array = np.zeros(shape, dtype=np.float32)
    if (layer, name) == ("logits", "bias"):
        array[0] = -30 if shape == (1,) else 30
    return array


def fit_known(make, segmenter, *pairs, **arguments):
    """Fit a segmenter whose network has the weights that are made."""
    segmenter.set_params(keras_callbacks=[Replace(make)])
    return segmenter.fit(*pairs, **arguments)


def fit_brightness(segmenter, *pairs, **arguments):
    """Fit a segmenter whose network says how bright each pixel is."""
    return fit_known(make_brightness, segmenter, *pairs, **arguments)


# What Keras gets ----------------------------------------------------------------------


@pytest.fixture
def never_trained(monkeypatch):
    """Fail a test in which training begins."""

    def fit(model, *arguments, **settings):
        raise AssertionError("training has begun")

    monkeypatch.setattr(keras.Model, "fit", fit)


@pytest.fixture
def no_training(monkeypatch):
    """Leave networks as they start, where training is not what is tested."""

    def fit(model, data, *, epochs, initial_epoch, callbacks, **settings):
        callbacks.on_train_begin()
        for epoch in range(initial_epoch, epochs):
            callbacks.on_epoch_begin(epoch)
            callbacks.on_epoch_end(epoch, {"loss": 0.0})
        callbacks.on_train_end()

    monkeypatch.setattr(keras.Model, "fit", fit)


@pytest.fixture
def unread(tmp_path):
    """Write eight files for images, and eight for masks, of which none can be read."""
    files = [
        tmp_path / f"{kind}{i}.png" for kind in ("image", "mask") for i in range(8)
    ]
    for file in files:
        file.write_text("not an image")
    return files[:8], files[8:]


def read_epoch(data):
    """Return what Keras reads in an epoch, joined.

    Images, class indices, weights of pixels, and weights of images.
    """
    batches = [data[i] for i in range(len(data))] if hasattr(data, "workers") else data
    parts = []
    for batch in batches:
        parts.append(list(map(keras.ops.convert_to_numpy, batch)))
    images, targets, weights = map(np.concatenate, zip(*parts, strict=True))
    return images, targets[..., 0].astype(int), targets[..., 1], weights


@contextmanager
def record_fits():
    """Let Keras' `fit` read all its data, and train nothing.

    Yields
    ------
    fits : list of SimpleNamespace
        For each fit `weights` that it begins with, `epochs` that are trained on, the
        first of them as `train`, and `validation`.
    """
    fits = []

    def fit(
        model, data, *, epochs, initial_epoch, validation_data, callbacks, **settings
    ):
        fit = SimpleNamespace(weights=model.get_weights(), epochs=[], validation=None)
        callbacks.on_train_begin({})
        for epoch in range(initial_epoch, epochs):
            callbacks.on_epoch_begin(epoch, {})
            fit.epochs.append(read_epoch(data))
            callbacks.on_epoch_end(epoch, {"loss": 0.0})
        fit.train = fit.epochs[0]
        if validation_data is not None:
            fit.validation = read_epoch(validation_data)
        fits.append(fit)
        callbacks.on_train_end({})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "fit", fit)
        yield fits


def record_fit(segmenter, *pairs, **arguments):
    """Record one fit, of which nothing but training is left out."""
    with record_fits() as fits:
        segmenter.fit(*pairs, **arguments)
    return fits[0]


def find_first_outputs(segmenter, X, y, *, without_kernel, **arguments):
    """Return outputs for X before anything is learned.

    Without the kernel of its last layer all that a network knows are its shares.
    """
    outputs = []

    class First(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            logits = self.model.get_layer("logits")
            kernel, bias = logits.get_weights()
            if without_kernel:
                logits.set_weights([0 * kernel, bias])
            found = self.model(X, training=False)
            outputs.append(keras.ops.convert_to_numpy(found))

    segmenter.set_params(keras_callbacks=[First()], epochs=1)
    record_fit(segmenter, X, y, **arguments)
    return outputs[0]
