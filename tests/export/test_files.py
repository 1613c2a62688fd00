"""Exported files predict as the estimators do, without skinest."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import re
import subprocess
import sys
import zipfile

import keras
import numpy as np
import psutil
import pytest
from sklearn.model_selection import TunedThresholdClassifierCV

import skinest
from skinest.export import read_metadata
from skinest.images import resize
from skinest.networks import KerasBackbone
from skinest.networks._backbone_table import BACKBONES
from skinest.networks._backbones import get_backbone

from ..networks.own_networks import fill
from . import readers
from .conftest import SIDE, needs_tensorflow

# TensorFlow 2.20 prints these from C++, whatever TF_CPP_MIN_LOG_LEVEL is.
# Of TensorFlow, such as that there is no GPU.
NOTES = re.compile(r"(?m)^(WARNING: All log messages|[IW]\d{4} |E\d{4} .*cuInit).*\n")


def export(fitted, path):
    """Export an estimator, unless a package is missing."""
    if path.suffix == ".onnx":
        pytest.importorskip("tf2onnx")
    fitted.export(path)


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        pytest.param("segmenter", ".keras"),
        pytest.param("segmenter", "", marks=needs_tensorflow),
        pytest.param("segmenter", ".onnx", marks=needs_tensorflow),
        pytest.param(
            "segmenter", ".tflite", marks=[needs_tensorflow, pytest.mark.slow]
        ),
        pytest.param("classifier", ".onnx", marks=needs_tensorflow),
    ],
)
def test_a_file_gives_the_probabilities_of_the_estimator(
    kind, ending, images, tmp_path, request, capfd
):
    fitted, path = request.getfixturevalue(kind), tmp_path / f"file{ending}"
    export(fitted, path)
    output, errors = capfd.readouterr()
    assert output == "" and NOTES.sub("", errors) == ""
    expected = fitted.predict_proba(images)
    for n_images in (1, len(images)):
        outputs, metadata = readers.run(path, images[:n_images])
        assert outputs.dtype == np.float32
        np.testing.assert_allclose(outputs, expected[:n_images], rtol=0, atol=1e-5)
    assert metadata == read_metadata(path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "labels",
    [
        ["benign", "malignant"],
        [False, True],
        pytest.param([3, -1, 0], marks=pytest.mark.slow),
        pytest.param([1.0, 2.0], marks=pytest.mark.slow),
    ],
    ids=lambda labels: type(labels[0]).__name__,
)
def test_classes_keep_their_type(labels, fit_classifier, images, tmp_path):
    clf = fit_classifier(labels)
    clf.export(tmp_path / "file.keras")
    classes = read_metadata(tmp_path / "file.keras")["classes"]
    assert classes == sorted(labels)
    assert list(map(type, classes)) == list(map(type, sorted(labels)))
    outputs, _ = readers.run(tmp_path / "file.keras", images)
    np.testing.assert_allclose(outputs, clf.predict_proba(images), rtol=0, atol=1e-5)


def test_metadata_of_a_classifier(fit_classifier, tmp_path):
    clf = fit_classifier(["benign", "malignant"], n_prediction_views=4)
    clf.export(
        tmp_path / "file.keras",
        threshold=np.float32(0.25),
        target_names=np.array(["mole", "cancer"]),
    )
    assert read_metadata(tmp_path / "file.keras") == {
        "format_version": 1,
        "skinest_version": skinest.__version__,
        "estimator": "TransferClassifier",
        "task": "classification",
        "network": "tiny",
        "image_size": [SIDE, SIDE],
        "resize": "stretch",
        "n_prediction_views": 4,
        "threshold": 0.25,
        "pos_label": "malignant",
        "decision": "probabilities[:, 1] >= threshold",
        "target_names": ["mole", "cancer"],
        "classes": ["benign", "malignant"],
        "input_name": "images",
        "color_order": "RGB",
        "value_range": [0, 255],
        "output_name": "probabilities",
    }


def test_metadata_of_a_segmenter(fit_segmenter, tmp_path):
    segmenter = fit_segmenter(
        [0, 1], threshold=0.3, tile_overlap=0.5, pad_to_aspect_ratio=True
    )
    segmenter.set_params(postprocess=["largest", np.fliplr])
    segmenter.export(tmp_path / "file.keras")
    assert read_metadata(tmp_path / "file.keras") == {
        "format_version": 1,
        "skinest_version": skinest.__version__,
        "estimator": "UNetSegmenter",
        "task": "segmentation",
        "network": "unet",
        "encoder": None,
        "image_size": [SIDE, SIDE],
        "resize": "letterbox",
        "n_prediction_views": 1,
        "threshold": 0.3,
        "decision": "probabilities[..., 1] > threshold",
        "tile_shape": [SIDE, SIDE],
        "tile_overlap": 0.5,
        "postprocess": ["largest", "fliplr"],
        "classes": [0, 1],
        "input_name": "images",
        "color_order": "RGB",
        "value_range": [0, 255],
        "output_name": "probabilities",
    }


@pytest.mark.parametrize(
    "labels", [[4], pytest.param([0, 255], marks=pytest.mark.slow)], ids=len
)
def test_a_segmenter_has_one_output_for_each_label(
    labels, fit_segmenter, images, tmp_path, recwarn
):
    segmenter = fit_segmenter(labels)
    segmenter.export(tmp_path / "file.keras")
    outputs, metadata = readers.run(tmp_path / "file.keras", images)
    assert metadata["classes"] == labels
    np.testing.assert_allclose(
        outputs, segmenter.predict_proba(images), rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("kind", ["classifier", "segmenter"])
def test_the_decision_in_the_metadata_gives_the_predictions(
    kind, fit_classifier, fit_segmenter, images, tmp_path
):
    path = tmp_path / "file.keras"
    if kind == "classifier":
        clf = fit_classifier(["a", "b"])
        fitted = TunedThresholdClassifierCV(clf, cv="prefit", refit=False)
        fitted.fit(images, np.resize(["a", "b"], len(images)))
        fitted.estimator_.export(path, threshold=fitted.best_threshold_)
    else:
        fitted = fit_segmenter([0, 255], threshold=0.45)
        fitted.export(path)
    probabilities, metadata = readers.run(path, images)
    names = {"probabilities": probabilities, "threshold": metadata["threshold"]}
    chosen = eval(metadata["decision"], names)
    predicted = np.array(metadata["classes"])[chosen.astype(int)]
    np.testing.assert_array_equal(predicted, fitted.predict(images))


@pytest.mark.parametrize("pos_label", ["melanoma", "nevus", None])
def test_a_threshold_is_for_the_positive_class(
    pos_label, fit_classifier, images, tmp_path
):
    clf, path = fit_classifier(["melanoma", "nevus"]), tmp_path / "file.keras"
    column = 0 if pos_label == "melanoma" else 1
    expected = clf.predict_proba(images)[:, column]
    threshold = np.sort(expected)[1:3].mean()
    clf.export(path, threshold=threshold, pos_label=pos_label)
    probabilities, metadata = readers.run(path, images)
    names = {"probabilities": probabilities, "threshold": metadata["threshold"]}
    found = eval(metadata["decision"], names)
    np.testing.assert_array_equal(found, expected >= threshold)
    assert metadata["pos_label"] == ("melanoma" if column == 0 else "nevus")


def test_a_network_in_bfloat16_is_exported_in_float32(fit_classifier, images, tmp_path):
    clf = fit_classifier(["a", "b"], compute_dtype="bfloat16")
    clf.export(tmp_path / "file.keras")
    network = keras.models.load_model(tmp_path / "file.keras")
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    outputs, _ = readers.run(tmp_path / "file.keras", images)
    np.testing.assert_allclose(outputs, clf.predict_proba(images), rtol=0, atol=0.02)


@needs_tensorflow
def test_a_network_of_the_user_can_be_exported(fit_classifier, images, tmp_path):
    own = keras.Sequential(
        [keras.Input((SIDE, SIDE, 3)), keras.layers.Conv2D(4, 8, strides=8)]
    )
    backbone = KerasBackbone(own, preprocessing="torch", name="mine")
    clf = fit_classifier([0, 1], backbone)
    export(clf, tmp_path / "file.onnx")
    outputs, metadata = readers.run(tmp_path / "file.onnx", images)
    assert metadata["network"] == "mine"
    np.testing.assert_allclose(outputs, clf.predict_proba(images), rtol=0, atol=1e-5)


def make_random_backbone():
    """Return a network with layers that change images at random in training."""
    layers = keras.layers
    inner = keras.Sequential([layers.RandomFlip(seed=0), layers.Rescaling(1 / 255)])
    own = [
        layers.RandomBrightness(0.5, seed=0),
        inner,
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.Activation("gelu"),  # whose exact form other libraries lack
        layers.RandomRotation(0.5, seed=0),
        layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
    ]
    return KerasBackbone(
        fill(keras.Sequential([keras.Input((SIDE, SIDE, 3)), *own])), name="mine"
    )


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        pytest.param("classifier", ".keras", marks=pytest.mark.slow),
        ("segmenter", ".keras"),
        pytest.param("classifier", "", marks=needs_tensorflow),
        pytest.param("segmenter", "", marks=[needs_tensorflow, pytest.mark.slow]),
        pytest.param("segmenter", ".onnx", marks=needs_tensorflow),
        pytest.param(
            "segmenter", ".tflite", marks=[needs_tensorflow, pytest.mark.slow]
        ),
    ],
)
def test_random_layers_are_never_active_in_a_file(
    kind, ending, fit_classifier, fit_segmenter, images, tmp_path
):
    if kind == "classifier":
        settings = {"compute_dtype": "float32", "trainable": "all"}
        fitted = fit_classifier([0, 1], make_random_backbone(), **settings)
    else:
        fitted = fit_segmenter([0, 1], encoder=make_random_backbone())
    path, expected = tmp_path / f"file{ending}", fitted.predict_proba(images)
    export(fitted, path)
    outputs, _ = readers.run(path, images)
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5)
    if ending == ".keras":
        called = keras.models.load_model(path)(images.astype(np.float32))
        called = keras.ops.convert_to_numpy(called)
        np.testing.assert_allclose(called, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["classifier", "segmenter"])
def test_layers_are_those_of_keras(kind, tmp_path, request):
    request.getfixturevalue(kind).export(tmp_path / "file.keras")
    with zipfile.ZipFile(tmp_path / "file.keras") as archive:
        config = archive.read("config.json").decode()
    modules = set()

    def find_modules(value):
        if isinstance(value, dict):
            modules.add(value.get("module"))
            value = list(value.values())
        if isinstance(value, list):
            list(map(find_modules, value))

    find_modules(json.loads(config))
    assert {module.split(".")[0] for module in modules - {None}} == {"keras"}
    assert "skinest" not in config


ALONE = """
import json, sys
import numpy as np
folder, name = sys.argv[1:]
images = np.load(f"{folder}/images.npy").astype("float32")
if name.endswith(".keras"):
    import keras
    found = keras.models.load_model(f"{folder}/{name}").predict(images, verbose=0)
else:
    import tensorflow as tf
    network = tf.saved_model.load(f"{folder}/{name}")
    found = network.serve(images)["probabilities"]
np.testing.assert_allclose(found, np.load(f"{folder}/expected.npy"), atol=1e-5)
assert "skinest" not in sys.modules
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["file.keras", "folder"])
@pytest.mark.parametrize("kind", ["classifier", "segmenter"])
def test_a_process_without_skinest_gets_the_probabilities(
    kind, name, images, tmp_path, request
):
    fitted = request.getfixturevalue(kind)
    fitted.export(tmp_path / name)
    np.save(tmp_path / "images.npy", images)
    np.save(tmp_path / "expected.npy", fitted.predict_proba(images))
    subprocess.run([sys.executable, "-c", ALONE, tmp_path, name], check=True)


@pytest.mark.slow
@needs_tensorflow
@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_each_backbone_can_be_exported(backbone, fit_classifier, images, tmp_path):
    if backbone == "convnextxlarge" and psutil.virtual_memory().total < 48 * 2**30:
        pytest.skip("tf2onnx needs more than 20 GB for its 350 million weights")
    side = get_backbone(backbone).min_side
    resized = np.stack([resize(image, (side, side)) for image in images])
    settings = {"image_size": (side, side), "compute_dtype": "float32"}
    clf = fit_classifier([0, 1], backbone, **settings)
    expected = clf.predict_proba(resized)
    # Each of some hundred layers rounds, not only the first.
    tolerance = max(1e-5, 4 * measure_rounding(clf.model_, resized))
    assert tolerance < 2e-4
    for name in ("file.onnx", "file.tflite"):
        export(clf, tmp_path / name)
        outputs, _ = readers.run(tmp_path / name, resized)
        np.testing.assert_allclose(outputs, expected, rtol=0, atol=tolerance)


def measure_rounding(network, images):
    """Return how far probabilities move with the last bit of the pixels.

    With random weights, some deep EfficientNets multiply the difference.
    """
    pixels = images.astype(np.float32)
    expected = network.predict(pixels, verbose=0)
    moved = [
        network.predict(np.nextafter(pixels, np.float32(end)), verbose=0)
        for end in (0, 128, 255)
    ]
    return max(np.abs(each - expected).max() for each in moved)


@needs_tensorflow
def test_a_path_can_have_brackets(segmenter, images, tmp_path):
    path = tmp_path / "run[1]" / "net[2].tflite"
    path.parent.mkdir()
    segmenter.export(path)
    outputs, _ = readers.run(path, images)
    expected = segmenter.predict_proba(images)
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5)
