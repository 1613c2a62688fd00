"""Read exported files by the libraries that users run them with."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib.util
import io
import json
import subprocess
import sys
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


# In a process of its own: some versions cannot be loaded beside TensorFlow.
TFLITE = """
import io, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
batch = np.load(io.BytesIO(sys.stdin.buffer.read()))
run = Interpreter(sys.argv[1], num_threads=1).get_signature_runner()
np.save(outputs := io.BytesIO(), run(images=batch)["probabilities"])
sys.stdout.buffer.write(outputs.getvalue())
"""


def run_tflite(path, batch):
    if importlib.util.find_spec("ai_edge_litert") is None:
        pytest.skip("needs ai_edge_litert")
    np.save(content := io.BytesIO(), batch)
    command = [sys.executable, "-c", TFLITE, str(path)]
    ran = subprocess.run(
        command, input=content.getvalue(), capture_output=True, check=True
    )
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read("skinest.json"))
    return np.load(io.BytesIO(ran.stdout)), metadata


RUNNERS = {
    ".keras": run_keras,
    "": run_saved_model,
    ".onnx": run_onnx,
    ".tflite": run_tflite,
}


def run(path, images):
    """Return the outputs of a file for images, and its metadata."""
    return RUNNERS[path.suffix](path, np.asarray(images, dtype=np.float32))
