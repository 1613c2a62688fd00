"""Errors of `export` and `read_metadata`, before long work begins."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import re
import sys

import keras
import pytest
from sklearn.exceptions import NotFittedError

import skinest.export
from skinest import UNetSegmenter, VGGTransferClassifier
from skinest.export import read_metadata

from .conftest import needs_tensorflow


@pytest.fixture
def fails_to_build(monkeypatch):
    """Fail as soon as a network is built."""

    def build(*args):
        raise AssertionError("a network was built")

    monkeypatch.setattr(skinest.export, "_add_columns", build)


@pytest.mark.parametrize("estimator", [VGGTransferClassifier(), UNetSegmenter()])
def test_an_estimator_has_to_be_fitted(estimator, tmp_path):
    with pytest.raises(NotFittedError):
        estimator.export(tmp_path / "file.keras")


@pytest.mark.parametrize("name", ["file.h5", "file.pb", "v1.2"])
def test_the_error_for_another_ending_lists_the_formats(name, segmenter, tmp_path):
    message = "'.keras', '.onnx' or '.tflite', or have no ending"
    with pytest.raises(ValueError, match=message):
        segmenter.export(tmp_path / name)
    with pytest.raises(ValueError, match=message):
        read_metadata(tmp_path / name)


def test_a_saved_model_is_not_written_where_it_cannot_be_loaded(
    segmenter, tmp_path, fails_to_build
):
    with pytest.raises(ValueError, match="has brackets"):
        segmenter.export(tmp_path / "net[1]")


def test_the_folder_of_the_file_has_to_exist(segmenter, tmp_path, fails_to_build):
    message = f"there is no folder {str(tmp_path / 'missing')!r}"
    with pytest.raises(FileNotFoundError, match=re.escape(message)):
        segmenter.export(tmp_path / "missing" / "file.keras")


def test_a_file_is_replaced_only_if_told(classifier, segmenter, tmp_path):
    path = tmp_path / "file.keras"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        classifier.export(path)
    assert path.read_text() == "mine"
    segmenter.export(path, overwrite=True)
    assert read_metadata(path)["estimator"] == "UNetSegmenter"


@needs_tensorflow
def test_a_saved_model_is_replaced_only_if_told(segmenter, tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    (path / "saved_model.pb").touch()
    (path / "old").touch()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        segmenter.export(path)
    segmenter.export(path, overwrite=True)
    assert read_metadata(path)["estimator"] == "UNetSegmenter"
    assert not (path / "old").exists()
    assert [file.name for file in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("name", ["results", "file", "folder.onnx"])
def test_what_is_not_an_exported_network_is_never_replaced(
    name, segmenter, tmp_path, fails_to_build
):
    path = tmp_path / name
    if name == "file":
        path.write_text("mine")
    else:
        path.mkdir()
        (path / "mine.csv").write_text("mine")
    message = "is a folder" if path.suffix else "is not an exported network"
    with pytest.raises(FileExistsError, match=message):
        segmenter.export(path, overwrite=True)
    assert path.exists()


@pytest.mark.parametrize("package", ["tf2onnx", "onnx"])
def test_an_error_names_the_missing_extra(
    package, segmenter, tmp_path, monkeypatch, fails_to_build
):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "old.onnx").touch()
    calls = [
        lambda: segmenter.export(tmp_path / "file.onnx"),
        lambda: read_metadata(tmp_path / "old.onnx"),
    ]
    for call in calls:
        with pytest.raises(ImportError, match=r"pip install 'skinest\[onnx\]'"):
            call()


@needs_tensorflow
@pytest.mark.parametrize("kind", ["operation", "tensor"])
def test_a_network_that_onnx_cannot_express_is_refused(
    kind, segmenter, tmp_path, monkeypatch
):
    pytest.importorskip("tf2onnx")
    layer = {
        "operation": keras.layers.Conv2D(6, 3, groups=2),
        "tensor": keras.layers.Normalization(mean=[1.0], variance=[4.0], invert=True),
    }[kind]
    images = keras.Input((8, 8, 4))
    network = keras.Model(images, keras.layers.Conv2D(1, 1)(layer(images)))
    monkeypatch.setattr(UNetSegmenter, "_build_for_export", lambda self: network)
    with pytest.raises(RuntimeError, match="cannot be converted to ONNX"):
        segmenter.export(tmp_path / "file.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["folder", "file.onnx", "file.tflite"])
def test_other_backends_write_keras_files_only(
    name, segmenter, tmp_path, monkeypatch, fails_to_build
):
    monkeypatch.setitem(sys.modules, "tf2onnx", None)  # which would not help
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND=tensorflow"):
        segmenter.export(tmp_path / name)


@pytest.mark.parametrize("threshold", [-0.1, 1.1, "best", True, float("nan")])
def test_a_threshold_is_a_probability(threshold, classifier, tmp_path):
    with pytest.raises(ValueError, match=r"threshold=.* a number from 0 to 1"):
        classifier.export(tmp_path / "file.keras", threshold=threshold)


def test_a_threshold_needs_two_classes(fit_classifier, tmp_path):
    with pytest.raises(ValueError, match="needs two classes, but there are 3"):
        fit_classifier([0, 1, 2]).export(tmp_path / "file.keras", threshold=0.5)


def test_the_class_of_a_threshold_is_known(classifier, tmp_path, fails_to_build):
    path = tmp_path / "file.keras"
    with pytest.raises(
        ValueError, match=r"'nevus' must be .* \['benign', 'malignant'\]"
    ):
        classifier.export(path, threshold=0.5, pos_label="nevus")
    with pytest.raises(ValueError, match="Pass threshold too"):
        classifier.export(path, pos_label="benign")


def test_each_class_has_a_name(classifier, tmp_path, fails_to_build):
    with pytest.raises(ValueError, match="target_names has 3 names, but the classes"):
        classifier.export(tmp_path / "file.keras", target_names=["a", "b", "c"])
    with pytest.raises(ValueError, match="target_names='ab' must be a list"):
        classifier.export(tmp_path / "file.keras", target_names="ab")


def test_nothing_is_left_of_a_failed_export(segmenter, tmp_path, monkeypatch):
    path = tmp_path / "file.keras"
    path.write_text("mine")

    def fail(path, text):
        raise OSError("the disk is full")

    monkeypatch.setattr(skinest.export, "_append", fail)
    with pytest.raises(OSError, match="the disk is full"):
        segmenter.export(path, overwrite=True)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["file.keras", "folder", "file.onnx", "file.tflite"])
@pytest.mark.parametrize("kind", ["text", "empty", "folder"])
def test_files_without_metadata_are_refused(name, kind, tmp_path):
    if name.endswith(".onnx"):
        pytest.importorskip("onnx")
    path = tmp_path / name
    with pytest.raises(FileNotFoundError, match=re.escape(str(path))):
        read_metadata(path)
    if kind == "folder":
        path.mkdir()
    else:
        path.write_text("other" * (kind == "text"))
    with pytest.raises(ValueError, match="has no metadata of skinest"):
        read_metadata(path)
