# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import itertools
import os
import random
import re
import shutil
import urllib.error
from pathlib import Path

import h5py
import keras
import ml_dtypes
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skinest import BottleneckFeatureExtractor, TransferClassifier
from skinest.networks import _weights, build_transfer_network
from tests.private_names import save_weights_as_keras2

from .conftest import (
    APPLICATIONS,
    IMAGES,
    SMALL,
    error_of,
    random_weights,
    write_keras2,
)

DATA = os.environ.get("SKINEST_DATA")
ALL = ["tiny", *(pytest.param(k, marks=pytest.mark.slow) for k in APPLICATIONS)]
REAL_WEIGHTS = (
    Path(DATA or "no").parent
    / "weights"
    / "mobilenet_v2_1.0_224_no_top_from_int8.weights.h5"
)
# Of a file's network, and of the one that it is given to.
FIRST_DIFFERENCE = {
    ("vgg16", "vgg19"): "block3_conv4",
    ("vgg19", "vgg16"): "block4_conv1",
    ("vgg16", "mobilenetv2"): "Conv1",
    ("vgg19", "mobilenetv2"): "Conv1",
    ("mobilenetv2", "vgg16"): "block1_conv1",
    ("mobilenetv2", "vgg19"): "block1_conv1",
}


def load(backbone, path, seed=0):
    """Return the backbone's arrays of a network that is built with these weights."""
    network = build_transfer_network(
        backbone, weights=path, hidden_units=(), random_state=seed, **SMALL
    )
    return network.get_weights()[:-2]


def is_same(weights, arrays):
    return all(map(np.array_equal, weights, arrays))


def assert_same_weights(weights, arrays):
    for found, expected in zip(weights, arrays, strict=True):
        assert found.dtype == np.float32
        assert_array_equal(found, expected)


def fit_classifier(backbone="tiny", **settings):
    """Fit a small classifier."""
    settings = {**SMALL, "weights": None, "hidden_units": (), **settings}
    clf = TransferClassifier(backbone, epochs=1, random_state=0, **settings)
    return clf.fit(IMAGES, [0, 1, 0, 1])


def named_layers(model):
    """List (name, [(weight's name, array)]) of each layer."""
    return [
        (
            layer.name,
            [
                (weight.name, keras.ops.convert_to_numpy(weight.value))
                for weight in layer.weights
            ],
        )
        for layer in model.layers
    ]


def with_top(model):
    """Put a classifier on the same network."""
    x = keras.layers.GlobalAveragePooling2D()(model.output)
    x = keras.layers.Dense(8, activation="relu", name="fc1")(x)
    x = keras.layers.Dense(10, name="predictions")(x)
    return keras.Model(model.input, x)


def write_top_keras3(model, folder):
    path = folder / "top.weights.h5"
    with_top(model).save_weights(path)
    return path


def write_top_keras2(model, folder):
    path = folder / "top.h5"
    write_keras2(path, named_layers(with_top(model)))
    return path


def write_by_legacy_module(model, folder):
    path = folder / "legacy.h5"
    with h5py.File(path, "w") as file:
        save_weights_as_keras2(model, file)
    return path


def write_whole_model(model, folder):
    path = folder / "model.h5"
    model.save(path)
    return path


WRITERS = [
    write_top_keras3,
    write_top_keras2,
    write_by_legacy_module,
    write_whole_model,
]


@pytest.fixture
def fresh_imagenet():
    """Forget ImageNet's weights before and after a test.

    They are kept for the whole process, and these tests need a download of their own.
    """
    _weights._imagenet.cache_clear()
    yield
    _weights._imagenet.cache_clear()


@pytest.fixture
def download(monkeypatch, tmp_path, fresh_imagenet):
    """Put a function in place of urllib's download, and an empty folder for Keras'."""
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path / "keras"))
    (tmp_path / "keras").mkdir()

    def replace(function):
        monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", function)

    return replace


def no_network(origin, target, hook):
    raise urllib.error.URLError(OSError(-3, "Temporary failure in name resolution"))


@pytest.mark.parametrize("backbone", ALL)
def test_keras3_file(backbone, weights_file, application):
    weights = load(backbone, weights_file(backbone))
    assert_same_weights(weights, application(backbone).get_weights())


@pytest.mark.parametrize(
    ("write", "backbone"),
    [
        *((write, "tiny") for write in WRITERS),
        (write_top_keras2, "vgg16"),  # the layout of Keras' own files
        *(
            pytest.param(write, backbone, marks=pytest.mark.slow)
            for write in WRITERS
            for backbone in ("vgg16", "mobilenetv2")
            if (write, backbone) != (write_top_keras2, "vgg16")
        ),
    ],
)
def test_file_in_another_layout(write, backbone, application, tmp_path):
    model = application(backbone)
    path = write(model, tmp_path)
    weights = load(backbone, path)
    assert_same_weights(weights, model.get_weights())
    path.unlink()


@pytest.mark.slow
def test_file_of_the_full_network(tmp_path):
    model = keras.applications.MobileNetV2(
        weights=None, classes=10, input_shape=(32, 32, 3)
    )
    model.set_weights(random_weights(model, 3))
    path = tmp_path / "full.weights.h5"
    model.save_weights(path)
    assert_same_weights(load("mobilenetv2", path), model.get_weights()[:-2])


def test_file_with_names_of_old(application, tmp_path):
    """Go by order, as Keras does: its own MobileNetV2 file has other names."""
    layers = [
        (re.sub(r"^block_(\d+)_", r"mobl\1_conv_\1_", name), weights)
        for name, weights in named_layers(application("tiny"))
    ]
    path = tmp_path / "old.h5"
    write_keras2(path, layers)
    model = keras.models.clone_model(application("tiny"))
    model.load_weights(path)
    expected = application("tiny").get_weights()
    assert_same_weights(model.get_weights(), expected)
    assert_same_weights(load("tiny", path), expected)


@pytest.mark.skipif(not REAL_WEIGHTS.is_file(), reason="needs the real weights")
def test_real_weights_are_those_that_keras_loads():
    model = keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(224, 224, 3)
    )
    model.load_weights(REAL_WEIGHTS)
    weights = load("mobilenetv2", REAL_WEIGHTS)
    assert_same_weights(weights, model.get_weights())
    assert sum(array.size for array in weights) == 2_257_984


def test_double_precision_is_rounded(application, tmp_path):
    layers = [
        (name, [(weight, np.float64(array)) for weight, array in weights])
        for name, weights in named_layers(application("tiny"))
    ]
    path = tmp_path / "double.h5"
    write_keras2(path, layers)
    expected = application("tiny").get_weights()
    assert_same_weights(load("tiny", path), expected)


def test_path_may_be_of_any_kind(weights_file, tmp_path, monkeypatch):
    shutil.copy(weights_file("tiny"), tmp_path / "some.weights.h5")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    paths = ["some.weights.h5", "~/some.weights.h5", tmp_path / "some.weights.h5"]
    expected = load("tiny", weights_file("tiny"))
    for path in paths:
        assert_same_weights(load("tiny", path), expected)


def test_replaced_file_is_read_anew(weights_file, tmp_path):
    path, other = tmp_path / "a.weights.h5", tmp_path / "b.weights.h5"
    shutil.copy(weights_file("tiny"), path)
    shutil.copy(path, other)
    with h5py.File(other, "r+") as file:
        file["layers/conv2d/vars/0"][0] = 7.0
    before = load("tiny", path)
    # Size and time alone would not tell.
    stat = os.stat(path)
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert os.stat(other).st_size == stat.st_size
    os.replace(other, path)
    after = load("tiny", path)
    assert (after[0][0] == 7.0).all()
    assert not (before[0][0] == 7.0).any()


def test_file_written_into_is_read_anew(weights_file, tmp_path):
    path = tmp_path / "a.weights.h5"
    shutil.copy(weights_file("tiny"), path)
    before = load("tiny", path)
    with h5py.File(path, "r+") as file:
        file["layers/conv2d/vars/0"][0] = 7.0
    after = load("tiny", path)
    assert (after[0][0] == 7.0).all()
    assert not (before[0][0] == 7.0).any()


@pytest.mark.parametrize(
    ("stored", "backbone"),
    [
        pytest.param(*pair, marks=[pytest.mark.slow] * ("vgg19" in pair))
        for pair in itertools.permutations(APPLICATIONS, 2)
    ],
)
def test_file_of_another_network(stored, backbone, weights_file):
    message = error_of(backbone, weights_file(stored))
    application = APPLICATIONS[backbone].__name__
    first = FIRST_DIFFERENCE[stored, backbone]
    assert f"are not weights of {application}: {first} is [(" in message
    assert "more differences" in message


@pytest.mark.parametrize(
    ("stored", "backbone", "difference"),
    [
        ("vgg16", "vgg19", "block3_conv4 is missing; block4_conv4 is missing"),
        pytest.param(
            *("vgg19", "vgg16", "the network has no block3_conv4; the"),
            marks=pytest.mark.slow,
        ),
        ("vgg16", "mobilenetv2", "Conv1 is missing; bn_Conv1 is missing"),
        ("mobilenetv2", "vgg16", "block1_conv1 is missing; block1_conv2 is miss"),
    ],
)
def test_keras2_file_of_another_network(
    stored, backbone, difference, application, tmp_path
):
    path = write_by_legacy_module(application(stored), tmp_path)
    assert difference in error_of(backbone, path)
    path.unlink()


@pytest.mark.parametrize(
    ("head", "difference"),
    [
        (keras.layers.Flatten, "save the weights of the inner one"),
        (lambda: keras.layers.Conv2D(2, 1), "Conv1 is [(1, 1, 1280, 2), (2,)], not"),
    ],
)
def test_file_of_a_nested_network(head, difference, application, tmp_path):
    nested = keras.Sequential([application("mobilenetv2"), head()])
    path = tmp_path / "nested.weights.h5"
    nested.save_weights(path)
    assert difference in error_of("mobilenetv2", path)


def test_file_of_a_narrower_network(application, tmp_path):
    layers = [
        (name, [(weight, array[..., ::2]) for weight, array in weights])
        for name, weights in named_layers(application("tiny"))
    ]
    path = tmp_path / "narrow.h5"
    write_keras2(path, layers)
    message = error_of("tiny", path)
    assert "Conv1 is [(5, 5, 3, 4)], not [(5, 5, 3, 8)]" in message


@pytest.mark.parametrize("content", [b"", b"block1_conv1: 0.5\n" * 100])
def test_file_that_is_no_hdf5(content, tmp_path):
    path = tmp_path / "some.weights.h5"
    path.write_bytes(content)
    assert "is not an HDF5 file" in error_of("vgg16", path)


def test_keras_archive(tmp_path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
    message = error_of("vgg16", path)
    assert "is not an HDF5 file" in message
    assert "Load a '.keras' archive by Keras, and save its weights." in message


@pytest.mark.parametrize("share", [0.001, 0.5, 0.99])
def test_file_that_is_cut_off(share, weights_file, tmp_path):
    content = weights_file("tiny").read_bytes()
    path = tmp_path / "cut.weights.h5"
    path.write_bytes(content[: int(share * len(content))])
    assert "is damaged: " in error_of("tiny", path)


def test_layer_without_its_weights(application, tmp_path):
    path = tmp_path / "odd.h5"
    write_keras2(path, named_layers(application("tiny")))
    with h5py.File(path, "r+") as file:
        del file["Conv1/Conv1/kernel:0"]
    assert "is damaged: " in error_of("tiny", path)


@pytest.mark.parametrize(
    "names", [["pixels"], ["layers/a", "layers/b/c"], ["model_weights"], []]
)
def test_hdf5_of_something_else(names, tmp_path):
    path = tmp_path / "some.h5"
    with h5py.File(path, "w") as file:
        for name in names:
            file[name] = np.zeros(3)
    assert "has no layers with weights in the format of Keras" in error_of(
        "vgg16", path
    )


def test_missing_file(tmp_path):
    path = tmp_path / "gone.weights.h5"
    message = error_of("vgg16", path, FileNotFoundError)
    assert "Pass 'imagenet', the path of a weights file, or None." in message


def test_folder_is_no_file(tmp_path):
    error_of("vgg16", tmp_path, FileNotFoundError)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_file_with_nan_or_infinity(value, weights_file, tmp_path):
    path = tmp_path / "nan.weights.h5"
    shutil.copy(weights_file("mobilenetv2"), path)
    with h5py.File(path, "r+") as file:
        file["layers/batch_normalization_9/vars/3"][5] = value
    assert "have NaN or infinite values" in error_of("mobilenetv2", path)


@pytest.mark.parametrize("dtype", [np.int8, ml_dtypes.bfloat16])
def test_file_of_no_usual_floats(dtype, weights_file, tmp_path):
    path = tmp_path / "some.weights.h5"
    shutil.copy(weights_file("mobilenetv2"), path)
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars/0"] = np.ones((3, 3, 3, 32), dtype=dtype)
    assert "Conv1 is of dtype" in error_of("mobilenetv2", path)


@pytest.mark.parametrize(
    "backbone",
    ALL,
)
def test_saved_weights_are_loaded_by_keras_and_by_us(
    backbone, application, weights_file, tmp_path
):
    arrays = application(backbone).get_weights()
    path = tmp_path / "mine.weights.h5"
    fit_classifier(backbone, weights=weights_file(backbone)).save_backbone(path)
    assert_same_weights(load(backbone, path), arrays)
    model = keras.models.clone_model(application(backbone))
    model.set_weights([0 * array for array in arrays])
    model.load_weights(path)
    assert_same_weights(model.get_weights(), arrays)


def test_saving_into_the_home_folder(tmp_path, monkeypatch, request):
    clf = fit_classifier()
    request.getfixturevalue("unchanged_random_state")
    monkeypatch.setenv("HOME", str(tmp_path))
    clf.save_backbone("~/mine.weights.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.weights.h5"]


@pytest.mark.parametrize("name", ["mine.h5", "mine.keras", "mine"])
def test_name_of_a_saved_file_must_tell_the_format(name, tmp_path):
    path = tmp_path / name
    clf = fit_classifier()
    with pytest.raises(ValueError, match=r"must end with '\.weights\.h5'") as caught:
        clf.save_backbone(path)
    assert str(path) in str(caught.value)
    assert not path.exists()


def test_imagenet_offline(download):
    download(no_network)
    extractor = BottleneckFeatureExtractor(**SMALL)
    with pytest.raises(OSError, match="weights='imagenet'") as caught:
        extractor.fit(IMAGES)
    message = str(caught.value)
    assert "URL fetch failure" in message  # what Keras says
    assert "keras.applications.VGG16(include_top=False).save_weights(" in message
    assert "pass its path as weights=" in message
    assert "weights=None" in message


@pytest.mark.slow
def test_imagenet_is_downloaded_once_and_after_a_failure(
    download, application, tmp_path
):
    download(no_network)
    with pytest.raises(OSError, match="MobileNetV2"):
        load("mobilenetv2", "imagenet")
    path = write_by_legacy_module(application("mobilenetv2"), tmp_path)
    origins = []

    def retrieve(origin, target, hook):
        origins.append(origin)
        shutil.copy(path, target)

    download(retrieve)
    weights = load("mobilenetv2", "imagenet")
    assert_same_weights(weights, application("mobilenetv2").get_weights())
    assert_same_weights(load("mobilenetv2", "imagenet"), weights)
    (origin,) = origins
    assert origin.endswith("tf_kernels_1.0_224_no_top.h5")


@pytest.mark.usefixtures("fresh_imagenet")
def test_imagenet_draws_nothing(monkeypatch, application, unchanged_random_state):
    def build(**options):
        random.random()  # as initializers do
        assert options["weights"] == "imagenet"
        assert not options["include_top"]
        return application("vgg16")

    application("vgg16")
    load("vgg16", None)  # keeps how Keras builds the network
    monkeypatch.setattr(keras.applications, "VGG16", build)
    weights = load("vgg16", "imagenet")
    assert_same_weights(weights, application("vgg16").get_weights())


@pytest.mark.slow
def test_training_changes_no_weights_of_others(weights_file, application):
    """Check the arrays of a file: they are kept, and shared by all that load it."""
    path = weights_file("tiny")
    before = application("tiny").get_weights()
    clf = fit_classifier(weights=path, trainable="all", learning_rate=0.1)
    for weight in clf.model_.weights:
        weight.assign(np.zeros(weight.shape))
    assert_same_weights(load("tiny", path), before)
    for weights in (None, path):
        kept = load("tiny", weights)
        for array in kept:
            array[...] = 0
        assert not is_same(load("tiny", weights), kept)
