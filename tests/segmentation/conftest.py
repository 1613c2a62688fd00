"""What the tests of segmenters share."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from skinest import UNetSegmenter
from skinest._training import _stages
from skinest.networks._unet import _weights_of
from skinest.networks._weights import Weights

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


def small(**settings):
    """A segmenter that is quick to fit."""
    return UNetSegmenter(**{**SMALL, **settings})


def make_pairs(n_pairs=N_PAIRS, sides=SIDES, n_classes=2, seed=0):
    """Boxes on noise, the brighter the higher the code of their label."""
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
    """Paths of PNG files, in an order of names that is not that of the arrays."""
    folder.mkdir(exist_ok=True)
    order = np.random.default_rng(5).permutation(len(arrays))
    paths = [str(folder / f"{number}{suffix}.png") for number in order]
    for path, array in zip(paths, arrays, strict=True):
        assert cv2.imwrite(path, array[..., ::-1] if array.ndim == 3 else array)
    return paths


def as_objects(arrays):
    """A 1-d array of objects."""
    objects = np.empty(len(arrays), dtype=object)
    objects[:] = list(arrays)
    return objects


@pytest.fixture(scope="session")
def images():
    """Ten images."""
    return make_pairs()[0]


@pytest.fixture(scope="session")
def masks():
    """Their masks of 0 and 255."""
    return make_pairs()[1] * 255


@pytest.fixture(scope="session")
def paths(images, tmp_path_factory):
    """The same images in files."""
    return write_files(tmp_path_factory.mktemp("images"), images)


@pytest.fixture(scope="session")
def mask_paths(masks, tmp_path_factory):
    """The same masks in files."""
    return write_files(tmp_path_factory.mktemp("masks"), masks, "_mask")


@pytest.fixture(scope="session")
def ragged():
    """Images and masks of different sizes, as lists."""
    sizes = [(20, 24), (31, 17), (16, 16), (9, 40), (12, 12)]
    pairs = [make_pairs(1, sides, seed=i) for i, sides in enumerate(sizes)]
    return [image for (image,), _ in pairs], [255 * mask for _, (mask,) in pairs]


@pytest.fixture(scope="session")
def learned(images, masks):
    """A segmenter that finds the boxes."""
    return small(**LEARNS).fit(images, masks)


@pytest.fixture(scope="session")
def bright(images, masks):
    """A segmenter whose network says how bright each pixel is."""
    return of_brightness(small(epochs=1).fit(images, masks))


def bits(segmenter):
    """Stands for all weights of a fitted segmenter to the last bit."""
    return segmenter._state.weights.digest


def apply(segmenter, images):
    """Outputs of a segmenter's Keras model for images of its size."""
    import keras

    return keras.ops.convert_to_numpy(segmenter.model_(images, training=False))


def of_brightness(segmenter):
    """A copy of a segmenter whose network says how bright each pixel is.

    Its probability is sigmoid(20 * (brightness - 0.5)), of the pixel alone.
    """
    arrays = []
    for path, shape in _weights_of(segmenter._state.spec):
        layer, name = path.split("/")[-2:]
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
        arrays.append(array)
    fitted = copy.copy(segmenter)
    fitted._state = replace(segmenter._state, weights=Weights.of(arrays))
    fitted._model = None
    return fitted


@pytest.fixture
def batches(monkeypatch):
    """All batches that Keras gets: images, codes, pixel weights, image weights."""
    from skinest.segmentation import _fitting

    recorded = {"train": [], "validation": []}

    class Recording(_fitting.PairBatches):
        def _batch(self, index):
            images, targets, weights = super()._batch(index)
            kind = "validation" if self._seed is None else "train"
            recorded[kind].append(
                (images.copy(), targets[..., 0], targets[..., 1], weights.copy())
            )
            return images, targets, weights

    monkeypatch.setattr(_fitting, "PairBatches", Recording)
    return recorded


@pytest.fixture
def never_trained(monkeypatch):
    """Fails a test in which training begins."""

    def run_stage(*arguments):
        raise AssertionError("training has begun")

    monkeypatch.setattr(_stages, "run_stage", run_stage)


@pytest.fixture
def no_training(monkeypatch):
    """Leaves networks as they start, where training is not what is tested."""

    def run_stage(stage, arrays, batches, validation=None):
        for data in (batches, validation):
            if data is not None:
                data.release()
        return list(arrays), {"loss": [0.0]}

    monkeypatch.setattr(_stages, "run_stage", run_stage)


@pytest.fixture
def unread(tmp_path):
    """Eight files for images, and eight for masks, that fail where one is read."""
    files = [
        tmp_path / f"{kind}{i}.png" for kind in ("image", "mask") for i in range(8)
    ]
    for file in files:
        file.write_text("not an image")
    return files[:8], files[8:]


def joined(recorded):
    """The arrays of recorded batches, each joined."""
    return [np.concatenate(arrays) for arrays in zip(*recorded, strict=True)]


class Started(Exception):
    """Training would begin now."""


def started(segmenter, X, y, **arguments):
    """What a fit begins to train with, when all is read and checked.

    `stage` is how, `arrays` are the weights of the network, `train` and `validation`
    each have images, codes, weights of pixels and weights of images.
    """
    kept = SimpleNamespace(validation=None)

    def run_stage(stage, arrays, batches, validation=None):
        kept.stage, kept.arrays = stage, arrays
        for name, data in (("train", batches), ("validation", validation)):
            if data is not None:
                parts = [data[index] for index in range(len(data))]
                images, targets, weights = joined(parts)
                both = targets[..., 0].astype(int), targets[..., 1]
                setattr(kept, name, (images, *both, weights))
                data.release()
        raise Started

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_stages, "run_stage", run_stage)
        with pytest.raises(Started):
            segmenter.fit(X, y, **arguments)
    return kept
