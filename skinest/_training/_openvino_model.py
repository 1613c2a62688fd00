"""Networks that OpenVINO has compiled for predictions."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import re
import sys
import threading
from functools import lru_cache
from tempfile import TemporaryDirectory

import numpy as np

from .._compat import preserved_random_state
from ._models import LoadedModel, free_variables

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
_WEIGHT = "weight_"  # start of the names of the inputs for weights
# One prediction at a time, because each uses all threads.
_lock = threading.Lock()
_import_lock = threading.Lock()


def import_openvino():
    """Import OpenVINO so that it does not send data on its use to its makers.

    It sends them when it is imported, from version 2024.2 on. It does not if its
    package `openvino_telemetry` is missing.
    """
    name = "openvino_telemetry"
    with _import_lock:
        if "openvino" in sys.modules or name in sys.modules:
            import openvino
        else:
            sys.modules[name] = None  # as if it were missing
            try:
                import openvino
            finally:
                del sys.modules[name]
    return openvino


class EngineError(RuntimeError):
    """OpenVINO cannot compile a network."""


class OpenVINOModel(LoadedModel):
    """A network that OpenVINO computes.

    Each image is computed alone and by one thread, as many images at the same time as
    there are threads. So the features of an image depend neither on other images nor on
    the number of threads.

    Parameters
    ----------
    model : keras.Model
        The network in float32. Its weights are freed.

    compute_dtype : {"float32", "bfloat16"}
        Floating-point precision.

    n_threads : int
        Number of threads.

    Raises
    ------
    EngineError
        If OpenVINO cannot convert the network, or compile it when weights are loaded.
    """

    def __init__(self, model, *, compute_dtype, n_threads):
        super().__init__()
        self.n_bytes = sum(4 * int(np.prod(w.shape)) for w in model.weights)
        self._options = {
            "INFERENCE_PRECISION_HINT": _PRECISIONS[compute_dtype],
            "INFERENCE_NUM_THREADS": n_threads,
            "NUM_STREAMS": n_threads,
            # Processes would use the same cores, and leave others idle.
            "ENABLE_CPU_PINNING": False,
            "ENABLE_HYPER_THREADING": True,
        }
        self._queue = None
        try:
            self._graph = _convert(model)
        except Exception as error:  # of many classes
            raise EngineError(_describe(error)) from error
        finally:
            free_variables(model.weights)

    def _set_weights(self, arrays):
        openvino = import_openvino()
        self._queue = None
        try:
            bound = _bind(self._graph, arrays)
            compiled = _get_core().compile_model(bound, "CPU", self._options)
            n_requests = self._options["NUM_STREAMS"]
            self._queue = openvino.AsyncInferQueue(compiled, n_requests)
        except Exception as error:
            raise EngineError(_describe(error)) from error
        self._queue.set_callback(_store)
        self._output = compiled.output(0)

    def predict(self, batch, batch_size=None) -> np.ndarray:
        """Apply the network to a batch."""
        shape = tuple(self._output.shape)[1:]
        outputs = np.empty((len(batch), *shape), self._output.element_type.to_dtype())
        with _lock:
            for row in range(len(batch)):
                image = batch[row : row + 1]
                self._queue.start_async(image, (outputs, row), share_inputs=True)
            self._queue.wait_all()
        return outputs

    def free(self):
        """Free the compiled network; it cannot be used any more."""
        self._queue = self._graph = self._output = None


@lru_cache
def _get_core():
    return import_openvino().Core()


def _store(request, place):
    outputs, row = place
    outputs[row] = request.get_output_tensor(0).data[0]


def _convert(model):
    """Convert a Keras model to a graph of OpenVINO for one image.

    The weights are inputs of the graph, so that it is small, and converted only once.
    """
    import tensorflow as tf

    position = {id(weight): index for index, weight in enumerate(model.weights)}
    specs = [
        tf.TensorSpec(weight.shape, weight.dtype, name=f"{_WEIGHT}{index}")
        for index, weight in enumerate(model.weights)
    ]
    # States of random generators, which predictions do not use.
    states = {
        id(variable): variable.numpy()
        for variable in model.non_trainable_variables
        if id(variable) not in position
    }

    @tf.function(autograph=False)
    def compute(images, *weights):
        def find(variables):
            ids = map(id, variables)
            return [weights[position[i]] if i in position else states[i] for i in ids]

        outputs, _ = model.stateless_call(
            find(model.trainable_variables),
            find(model.non_trainable_variables),
            tf.cast(images, tf.float32),
            training=False,
        )
        return outputs

    images = tf.TensorSpec((1, *model.input_shape[1:]), tf.uint8, name="images")
    with preserved_random_state():
        graph = compute.get_concrete_function(images, *specs).graph
    output = graph.outputs[0].name
    with TemporaryDirectory() as folder:
        path = os.path.join(folder, "graph.pb")
        with open(path, "wb") as file:
            file.write(graph.as_graph_def().SerializeToString())
        network = _get_core().read_model(path)
    # Others are unused copies that activations such as silu make for their gradients.
    # They would have to be computed in the layout of TensorFlow, in twice the time.
    for result in network.get_results():
        if output not in result.output(0).get_names():
            network.remove_result(result)
    return network


def _bind(graph, arrays):
    """Return a copy of a graph with these weights."""
    op = import_openvino().op
    bound = graph.clone()
    for parameter in bound.get_parameters():
        found = re.match(rf"{_WEIGHT}(\d+)", parameter.get_friendly_name())
        if found:
            constant = op.Constant(arrays[int(found[1])])
            parameter.output(0).replace(constant.output(0))
            bound.remove_parameter(parameter)
    bound.validate_nodes_and_infer_types()
    return bound


def _describe(error):
    """Return the last line of an error, which says what has happened."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"
