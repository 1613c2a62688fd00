"""What the caches of networks notice: one row for each kind of change.

See `test_cache_changes.py` for what is expected.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
import os
from functools import partial

import cv2
import keras
import numpy as np
import pytest

from skinest import (
    Augmentation,
    BottleneckFeatureExtractor,
    TransferClassifier,
    UNetSegmenter,
    clear_models,
)
from tests.cache_rows import (
    change_one_number,
    check_row,
    make_images,
    run_in_two_processes,
)

SMALL = {"weights": None, "image_size": (32, 32), "random_state": 0}


def extractor(**settings):
    return BottleneckFeatureExtractor("tiny").set_params(**SMALL, **settings)


def classifier(augmentation, **settings):
    settings = {"epochs": 1, "n_augmented_copies": 1, **SMALL, **settings}
    return TransferClassifier("tiny", augmentation=augmentation, **settings)


def segmenter(**settings):
    settings = {"depth": 1, "base_filters": 1, "image_size": (32, 32), **settings}
    return UNetSegmenter(epochs=1, random_state=0, **settings)


# Features ---------------------------------------------------------------------------


def change_settings(run, after):
    estimator = extractor()
    if run.after:
        estimator.set_params(**after)
    return estimator, make_images()


def change_weights(run):
    """Change a number in a file, but not its size and time of modification."""
    path = run.folder / "mobilenetv2.weights.h5"
    if not run.after:
        application = keras.applications.MobileNetV2(
            weights=None, include_top=False, input_shape=(32, 32, 3)
        )
        application.save_weights(path)
    else:
        change_one_number(path)
    estimator = extractor().set_params(backbone="mobilenetv2", weights=path)
    return estimator, make_images()


def replace_file(run, name="files"):
    """Turn an image or mask file upside down, but keep its size and time."""
    path = run.folder / name / "0.bmp"
    if run.after:
        before = os.stat(path)
        content = cv2.imencode(".bmp", cv2.imread(str(path), -1)[::-1])[1]
        path.write_bytes(content.tobytes())
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert before.st_size == os.stat(path).st_size


def write_files(run):
    return run.pick(
        run.write_images, lambda: sorted(map(str, (run.folder / "files").iterdir()))
    )()


def change_file(run):
    paths = write_files(run)
    replace_file(run)
    return extractor(), paths


def change_version(run, name, make):
    if run.after:
        module = importlib.import_module(name)
        run.patch.setattr(module, "__version__", "99.0")
    return make(run)


# Augmentation -----------------------------------------------------------------------

OWN_CODE = {
    "a function": (
        "def augment(image, generator):\n    return image // {number}\n"
        "VERSIONED = augment\n"
    ),
    "what a function uses": (
        "TABLE = {'number': {number}}\n"
        "def augment(image, generator):\n    return image // TABLE['number']\n"
        "VERSIONED = augment\n"
    ),
    "a subclass of Augmentation": (
        "from skinest import Augmentation\n"
        "class Augment(Augmentation):\n"
        "    def __call__(self, image, random_state, mask=None):\n"
        "        return image // {number}\n"
        "augment = Augment()\n"
        "VERSIONED = Augment\n"
    ),
    "a Keras layer": (
        "import keras\n"
        "class Augment(keras.layers.Layer):\n"
        "    def call(self, images, training=None):\n"
        "        return images / {number}\n"
        "augment = Augment()\n"
        "VERSIONED = Augment\n"
    ),
    "a layer in a row": (
        "import keras\n"
        "class Augment(keras.layers.Layer):\n"
        "    def call(self, images, training=None):\n"
        "        return images / {number}\n"
        "augment = keras.Sequential([keras.layers.RandomFlip(seed=0), Augment()])\n"
        "VERSIONED = Augment\n"
    ),
    "a subclass of Lambda": (
        "import keras\n"
        "class Augment(keras.layers.Lambda):\n    pass\n"
        "augment = Augment(lambda images: images / {number})\n"
        "VERSIONED = Augment\n"
    ),
}


def change_own_code(run, body, versions=None):
    module = run.write_module(body.replace("{number}", str(run.pick(1, 3))))
    if versions is not None:
        module.VERSIONED.version = run.pick(*versions)
    return classifier(module.augment), make_images()


def change_lambda_layer(run):
    divisor = run.pick(1.0, 3.0)
    return classifier(keras.layers.Lambda(lambda im: im / divisor)), make_images()


def change_activation(run):
    """Pass a function of the user as a parameter of a Keras layer."""
    module = run.write_module(
        "import keras\n@keras.saving.register_keras_serializable()\n"
        f"def own(images):\n    return images / {run.pick(1, 3)}"
    )
    return classifier(keras.layers.Activation(module.own)), make_images()


def change_augmentation(run, before, after):
    return classifier(run.pick(before, after)()), make_images()


def change_copies(run, **after):
    estimator = classifier(Augmentation())
    if run.after:
        estimator.set_params(**after)
    return estimator, make_images()


def change_frozen_part(run, **after):
    """Change a classifier that trains a part of its backbone."""
    estimator = classifier(Augmentation(), trainable="block_16")
    if run.after:
        estimator.set_params(**after)
    return estimator, make_images()


# Images and masks -------------------------------------------------------------------


def write_pairs(run):
    paths = write_files(run)
    folder = run.folder / "masks"
    masks = [str(folder / f"{number}.bmp") for number in range(len(paths))]
    if not run.after:
        folder.mkdir()
        for path, image in zip(masks, make_images(), strict=True):
            cv2.imwrite(path, np.uint8(255) * (image[..., 0] > 128))
    return paths, masks


def change_pair(run, name=None, settings=None):
    pairs = write_pairs(run)
    if name is not None:
        replace_file(run, name)
    return segmenter(**(settings or {} if run.after else {})), pairs


AUGMENTATIONS = {
    "a parameter of Augmentation": (
        lambda: Augmentation(rotation=10),
        lambda: Augmentation(rotation=180),
    ),
    "a parameter of a Keras layer": (
        lambda: keras.layers.RandomContrast(0.1, seed=0),
        lambda: keras.layers.RandomContrast(0.9, seed=0),
    ),
    "a function of Keras": (
        lambda: keras.layers.Activation("relu"),
        lambda: keras.layers.Activation("softmax"),
    ),
}

ROWS = {
    "backbone": (partial(change_settings, after={"backbone": "vgg16"}), "anew"),
    "random weights": (partial(change_settings, after={"random_state": 1}), "anew"),
    "a file of weights": (change_weights, "anew"),
    "pooling": (partial(change_settings, after={"pooling": "max"}), "alike"),
    "image_size": (partial(change_settings, after={"image_size": (32, 40)}), "anew"),
    "dtype": (partial(change_settings, after={"compute_dtype": "bfloat16"}), "anew"),
    "batch_size": (partial(change_settings, after={"batch_size": 3}), "served"),
    "an image file": (change_file, "anew"),
    **{
        f"{name}, features": (
            partial(change_version, name=name, make=partial(change_settings, after={})),
            "alike",
        )
        for name in ("keras", keras.backend.backend(), "cv2", "numpy")
    },
    "cv2, pairs": (partial(change_version, name="cv2", make=change_pair), "alike"),
    **{
        f"{name}, no version": (partial(change_own_code, body=body), "warned")
        for name, body in OWN_CODE.items()
    },
    **{
        f"{name}, new version": (
            partial(change_own_code, body=body, versions=(1, 2)),
            "anew",
        )
        for name, body in OWN_CODE.items()
    },
    "a Lambda": (change_lambda_layer, "warned"),
    "a function in a layer": (change_activation, "warned"),
    **{
        name: (partial(change_augmentation, before=before, after=after), "anew")
        for name, (before, after) in AUGMENTATIONS.items()
    },
    "copies": (partial(change_copies, n_augmented_copies=2), "anew"),
    "seed of copies": (partial(change_copies, random_state=1), "anew"),
    "learning_rate": (partial(change_copies, learning_rate=0.1), "served"),
    **{
        f"{name}, frozen part": (partial(change_frozen_part, **{name: value}), expected)
        for name, value, expected in (
            ("trainable", "Conv_1", "anew"),
            ("image_size", (32, 40), "anew"),
            ("compute_dtype", "bfloat16", "anew"),
            ("n_augmented_copies", 2, "anew"),
            ("random_state", 1, "anew"),
            ("pooling", "max", "alike"),
            ("learning_rate", 0.1, "served"),
            ("hidden_units", (2,), "served"),
        )
    },
    "keras, frozen part": (
        partial(change_version, name="keras", make=change_frozen_part),
        "alike",
    ),
    "the image of a pair": (partial(change_pair, name="files"), "anew"),
    "the mask of a pair": (partial(change_pair, name="masks"), "anew"),
    "size of pairs": (partial(change_pair, settings={"image_size": (16, 16)}), "anew"),
    "padding": (partial(change_pair, settings={"pad_to_aspect_ratio": True}), "alike"),
    "ignored label": (partial(change_pair, settings={"ignore_label": 7}), "alike"),
    "threshold": (partial(change_pair, settings={"mask_threshold": 0.5}), "alike"),
    "filters": (partial(change_pair, settings={"base_filters": 2}), "served"),
}


SETTINGS = {"factor": 1.0}


def scaled_error(y_true, y_pred):
    return SETTINGS["factor"] * keras.ops.mean(
        keras.ops.square(y_true - y_pred), axis=-1
    )


@pytest.mark.slow
@pytest.mark.usefixtures("own_models")
def test_after_clear_models_a_loss_reads_new_values(monkeypatch):
    X = make_images()

    def fit_and_measure():
        fitted = segmenter(loss=scaled_error).fit(X, X[..., 0] > 128)
        return fitted.history_["loss"][0]

    before = fit_and_measure()
    monkeypatch.setitem(SETTINGS, "factor", 2.0)
    clear_models()
    assert fit_and_measure() == pytest.approx(2 * before)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    return run_in_two_processes("tests.test_cache_changes_of_networks", folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_a_cache_never_lies(name, results):
    before, after = (each[name] for each in results)
    check_row(ROWS[name][1], before, after)
