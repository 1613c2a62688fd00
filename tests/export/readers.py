"""Read exported files by the libraries that users run them with."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import zipfile

import keras
import numpy as np
import pytest


def run_keras(path, batch):
    network = keras.models.load_model(path)
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read("skinest.json"))
    return network.predict(batch, verbose=0), metadata


def run_saved_model(path, batch):
    tf = pytest.importorskip("tensorflow")
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    metadata = json.loads((path / "assets.extra" / "skinest.json").read_text())
    return serve(images=tf.constant(batch))["probabilities"].numpy(), metadata


def run_onnx(path, batch):
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    (outputs,) = session.run(["probabilities"], {"images": batch})
    return outputs, json.loads(session.get_modelmeta().custom_metadata_map["skinest"])


def run_tflite(path, batch):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter
    serve = interpreter(str(path), num_threads=1).get_signature_runner()
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read("skinest.json"))
    return serve(images=batch)["probabilities"], metadata


RUNNERS = {
    ".keras": run_keras,
    "": run_saved_model,
    ".onnx": run_onnx,
    ".tflite": run_tflite,
}


def run(path, images):
    """Return the outputs of a file for images, and its metadata."""
    return RUNNERS[path.suffix](path, np.asarray(images, dtype=np.float32))
