"""Configurations of Keras models that users bring, and flat networks of them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import json
import os
import re
import sys
from types import FunctionType

from .._compat import (
    find_producer,
    list_inner_layers,
    preserved_random_state,
    run_graph,
)

# Layers around the backbone in a transfer network, and in a U-Net.
_RESERVED = re.compile(
    r"images|preprocessing.*|bgr|blue|green|red|features|logits|probabilities"
    r"|(hidden|dropout)_\d+|up_\d+_(transposed|concatenate|(conv|norm|relu)_\d)"
)
_CUT = "keras.Model(model.input, model.get_layer({!r}).output)"


def load_model(model):
    """Return a Keras model; read it if it is the path of a file.

    Raises
    ------
    TypeError
        If it is neither.
    FileNotFoundError
        If there is no such file.
    ValueError
        If Keras cannot load the file.
    """
    import keras

    if isinstance(model, keras.Model):
        return model
    if not isinstance(model, str | os.PathLike):
        raise TypeError(
            f"model is of type {type(model).__name__}. Pass a keras.Model, or the path "
            "of a '.keras' file."
        )
    path = os.path.abspath(os.path.expanduser(os.fspath(model)))
    if not os.path.exists(path):
        raise FileNotFoundError(f"model={model!r}: there is no file {path!r}.")
    try:
        with preserved_random_state():
            return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras raises errors of many classes
        raise ValueError(f"model={model!r}: Keras cannot load it: {error}") from error


def find_ends(model):
    """Return the symbolic input and output of a model.

    Raises
    ------
    ValueError
        If they are not an RGB image, and feature maps or a vector.
    """
    try:
        inputs, outputs = model.inputs, model.outputs
    except (AttributeError, ValueError):
        raise ValueError(
            "The layers of model are not connected. Build it as keras.Model(inputs, "
            "outputs), or as a keras.Sequential that begins with "
            "keras.Input((height, width, 3)); a subclass of keras.Model with a method "
            "call() cannot be used."
        ) from None
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"model has {len(inputs)} inputs and {len(outputs)} outputs, but must have "
            "one of each. Select them by keras.Model(model.inputs[0], "
            "model.outputs[0])."
        )
    (images,), (output,) = inputs, outputs
    if len(images.shape) != 4 or images.shape[-1] != 3:
        raise ValueError(
            f"model has an input of shape {images.shape}, but must take RGB images, "
            "(None, height, width, 3). For a model of grey images, put a layer in "
            "front that converts RGB images."
        )
    if len(output.shape) not in (2, 4) or output.shape[-1] is None:
        raise ValueError(
            f"model has an output of shape {output.shape}, but must have feature maps, "
            "(None, rows, columns, channels), or a vector, (None, channels). Add a "
            "layer that pools it, e.g. keras.layers.GlobalAveragePooling1D."
        )
    if len(output.shape) == 2:
        _check_no_classifier(output)
    return images, output


def _check_no_classifier(output):
    """Raise ValueError if a network ends in probabilities."""
    import keras

    layer, inputs = find_producer(output)
    activation = getattr(getattr(layer, "activation", None), "__name__", "")
    if not isinstance(layer, keras.layers.Softmax):
        if activation not in ("softmax", "sigmoid"):
            return
    while isinstance(
        layer, keras.layers.Dense | keras.layers.Activation | keras.layers.Softmax
    ):
        layer, inputs = find_producer(inputs[0])
    is_inner = isinstance(layer, keras.Model)
    below = f"model.get_layer({layer.name!r})" if is_inner else _CUT.format(layer.name)
    raise ValueError(
        f"model ends in a classifier: its output is {output.shape[-1]} probabilities. "
        f"Pass the network below it: {below}."
    )


def serialize_model(model) -> tuple:
    """Return a plain functional model of the same layers, and its configuration.

    Settings of the training of inner models are left out. Files of weights of a
    functional model fit other classes of models too.

    Raises
    ------
    ValueError
        If a layer has no configuration, or an anonymous function.
    """
    import keras

    model = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    for layer in list_inner_layers(model):
        activation = getattr(layer, "activation", None)
        if isinstance(activation, keras.Layer) and _has_weights(activation):
            raise ValueError(
                f"model cannot be copied: the activation of its layer {layer.name!r} "
                f"is a layer with weights, {type(activation).__name__}. Put it behind "
                "as a layer of its own."
            )
    try:
        config = keras.saving.serialize_keras_object(model.get_config())
        config = json.loads(json.dumps(config))
    except Exception as error:  # of a layer of the user
        raise ValueError(
            f"model cannot be copied: {find_reason(error)} A layer of your own needs "
            "get_config()."
        ) from error
    for part in _walk(config):
        part.pop("compile_config", None)
        if "inbound_nodes" in part and "name" not in part["config"]:
            raise ValueError(
                f"model cannot be copied: the configuration of its layer "
                f"{part['name']!r} has no name. A layer of your own needs get_config() "
                "that returns {**super().get_config(), ...}."
            )
        if part.get("class_name") == "__lambda__":
            raise ValueError(
                "model has a lambda, which cannot be copied. Use a layer of Keras, "
                "such as keras.layers.Rescaling, or a function or layer with a name."
            )
    kind = type(model)
    return model, {
        "module": kind.__module__,
        "class_name": kind.__name__,
        "registered_name": keras.saving.get_registered_name(kind),
        "config": config,
    }


def _has_weights(layer) -> bool:
    """Return whether a layer has weights, or makes some when it is built."""
    import keras

    is_complete = layer.built or type(layer).build is keras.Layer.build
    return bool(layer.weights) or not is_complete


def _walk(config):
    """Yield all dicts in a configuration."""
    if isinstance(config, dict):
        yield config
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            yield from _walk(value)


def hide_names(config) -> tuple[dict, list[str]]:
    """Return a configuration with numbers instead of names of layers, and the names.

    Keras counts the layers of a process to name them. The names of inputs are left out.
    """
    hidden = copy.deepcopy(config)
    hidden["config"].pop("name", None)
    parts = list(_walk(hidden))
    layers = [each for part in parts for each in _list_layers(part)]
    names = list(dict.fromkeys(layer["config"]["name"] for layer in layers))
    numbers = {name: number for number, name in enumerate(names)}
    for layer in layers:
        name = layer["config"]["name"]
        layer["name"] = layer["config"]["name"] = numbers[name]
        if layer["class_name"] == "InputLayer" and name in names:
            names.remove(name)
    for part in parts:
        if "keras_history" in part:
            part["keras_history"][0] = numbers[part["keras_history"][0]]
        for key in ("input_layers", "output_layers"):
            if key in part:
                part[key] = _number(part[key], numbers)
    return hidden, names


def _list_layers(part):
    """List the configurations of layers in that of a functional or sequential model."""
    layers = part.get("layers")
    is_model = isinstance(layers, list) and all(
        isinstance(layer, dict) and "name" in layer.get("config", ())
        for layer in layers
    )
    return layers if is_model else []


def _number(tensors, numbers):
    """Replace the names of layers in a nested list of tensors."""
    if isinstance(tensors, list):
        return [_number(tensor, numbers) for tensor in tensors]
    return numbers.get(tensors, tensors)


def find_reason(error) -> str:
    """Return the last part of a message, to which Keras has added configurations."""
    return str(error).rpartition("Exception encountered: ")[2]


def find_definitions(model, config) -> dict:
    """Return the classes and functions of a configuration that are not of Keras.

    Returns
    -------
    definitions : dict of str to class or function
        By their registered names.
    """
    import keras

    known: dict = {}
    for layer in list_inner_layers(model):
        for value in (layer, *vars(layer).values()):
            if isinstance(value, FunctionType) or hasattr(value, "get_config"):
                each = value if isinstance(value, FunctionType) else type(value)
                if not is_of_keras(each.__module__):
                    known.setdefault(keras.saving.get_registered_name(each), each)
    for layer in list_inner_layers(model):
        if isinstance(layer, keras.layers.Lambda):  # it can have a function of Keras
            name = keras.saving.get_registered_name(layer.function)
            known.setdefault(name, layer.function)
    definitions = {}
    for part in _walk(config):
        name, module = part.get("registered_name"), part.get("module") or "__main__"
        if part.get("class_name") == "function":
            name = part["config"]
        if not name or name in definitions or is_of_keras(module):
            continue
        found = known.get(name) or keras.saving.get_registered_object(name)
        is_builtin = module == "builtins"  # so are functions, in the eyes of Keras
        if found is None and not is_builtin:  # nor is it an attribute of a layer
            short = name.rpartition(">")[2]
            found = getattr(sys.modules.get(module), short, None)
        if found is not None:
            definitions[name] = found
        elif not is_builtin:
            raise ValueError(
                f"model has {name!r}, which is not found. Decorate it with "
                "keras.saving.register_keras_serializable()."
            )
    return definitions


def is_of_keras(module) -> bool:
    """Return whether a module, by its name, belongs to Keras."""
    return module.partition(".")[0] == "keras"


def restore_model(config, definitions):
    """Build a model from its configuration as JSON."""
    import keras

    with preserved_random_state():
        return keras.saving.deserialize_keras_object(
            json.loads(config), custom_objects=definitions
        )


def flatten(model, images):
    """Apply a model to a symbolic tensor, with the layers of inner models as its own.

    It renames layers whose name is that of an earlier one, or of a layer of the head or
    the decoder.

    Returns
    -------
    output : keras.KerasTensor
    """
    import keras

    names: dict[str, object] = {}
    # The prefix itself must not make a reserved name.
    prefix = f"of_{model.name}" if _RESERVED.fullmatch(model.name) else model.name

    def call(operation, *args, **kwargs):
        if isinstance(operation, keras.Model) and hasattr(operation, "inputs"):
            # TransferClassifier decides which layers are trained, not the call.
            return run(operation, args[0])
        name = operation.name
        while _RESERVED.fullmatch(name) or names.get(name, operation) is not operation:
            name = f"{prefix}_{name}"
        operation.name = name
        names[name] = operation
        return operation(*args, **kwargs)

    def run(inner, inputs):
        plain = keras.Model(inner.inputs, inner.outputs)
        outputs = run_graph(plain, inputs, call)
        return outputs[0] if len(outputs) == 1 else outputs

    return run(model, images)
