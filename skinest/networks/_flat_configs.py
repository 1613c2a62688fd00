"""Configurations of networks as one flat list of common Keras layers.

Networks of `keras.applications` have operations that are not layers, nested models and
layers of their own. Without these, any part of the network can be trained or read, and
all random numbers have seeds.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import re
from collections import Counter
from itertools import takewhile


def flatten_config(config) -> dict:
    """Replace everything that is not a common layer.

    Parameters
    ----------
    config : dict
        Configuration of a functional Keras model, as JSON has it.

    Returns
    -------
    config : dict
        Configuration of a model that computes the same. Layers of preprocessing that
        Keras has put into the network are named "preprocessing", the last one, and
        "preprocessing_1" and so on. "stored_as" of a layer says where Keras stores its
        weights: the outermost layer in files of Keras 2, and the group in files of
        Keras 3.
    """
    _note_places(config["layers"])
    _name_preprocessing(config)
    layers, outputs = [], {}
    for part in config["layers"]:
        new = _convert(part)
        layers += [{"stored_as": part["stored_as"], **layer} for layer in new]
        outputs[part["name"]] = new[-1]["name"]
    config = {**config, "layers": layers}
    for name, layer in outputs.items():
        if name != layer:
            _rename(config, name, layer)
    return config


def _note_places(parts, path="", outer=None):
    """Note where Keras stores the weights of each part."""
    count: Counter = Counter()
    for part in parts:
        kind = re.sub("(?<=[a-z])(?=[A-Z])", "_", part["class_name"]).lower()
        group = f"{path}{kind}_{count[kind]}" if count[kind] else path + kind
        count[kind] += 1
        name = outer or part["config"]["name"]
        part["stored_as"] = [name, group]
        if kind == "sequential":
            _note_places(part["config"]["layers"], f"{group}/", name)


def _convert(part) -> list[dict]:
    """Return the layers that compute the same as a part of a network."""
    kind, is_layer = part["class_name"], part["module"] == "keras.layers"
    if kind == "Sequential":
        return _chain(part)
    if kind == "StochasticDepth":
        rate = part["config"]["drop_path_rate"]
        shape = [None, 1, 1, 1]  # of random numbers: one for each image
        return [_replace(part, "Dropout", rate=rate, noise_shape=shape, seed=None)]
    if kind == "CustomScaleLayer":
        return _scale_and_add(part)
    if kind == "Normalization" and part["config"]["mean"] is None:
        return [_keep_statistics(part)]
    if is_layer or kind not in ("Add", "Multiply"):
        return [part]
    return [_convert_operation(part, kind)]


def _chain(part):
    """Return the layers of a nested model."""
    *layers, last = [
        layer
        for layer in copy.deepcopy(part["config"]["layers"])
        if layer["class_name"] != "InputLayer"
    ]
    # Keras calls nested models with more arguments than layers accept.
    nodes = [{"args": part["inbound_nodes"][0]["args"], "kwargs": {}}]
    for layer in (*layers, last):
        layer["name"] = layer["config"]["name"]
        layer["inbound_nodes"] = nodes
        nodes = copy.deepcopy(nodes)
        for tensor in list_tensor_configs(nodes):
            tensor["keras_history"] = [layer["name"], 0, 0]
    return [*layers, last]


def _scale_and_add(part):
    """Return layers for the sum of the first input and the scaled second one."""
    ((first, second),) = part["inbound_nodes"][0]["args"]
    scale = part["config"]["scale"]
    scaled = _replace(part, "Rescaling", scale=scale, offset=0.0)
    scaled["name"] = scaled["config"]["name"] = f"{part['name']}_factor"
    scaled["inbound_nodes"] = [{"args": [second], "kwargs": {}}]
    total = _replace(part, "Add")
    second = copy.deepcopy(second)
    second["config"]["keras_history"] = [scaled["name"], 0, 0]
    total["inbound_nodes"] = [{"args": [[first, second]], "kwargs": {}}]
    return [scaled, total]


def keep_statistics(config) -> dict:
    """Replace normalisations whose statistics are weights, in a network of a user.

    They are named as preprocessing, because they are not trained.
    """
    for number, part in enumerate(config["layers"]):
        settings = part["config"]
        if (
            part["module"] == "keras.layers"
            and part["class_name"] == "Normalization"
            and settings["mean"] is None
            and len(settings["axis"]) == 1
        ):
            config["layers"][number] = _keep_statistics(part)
            _rename(config, part["name"], f"preprocessing_{part['name']}")
    return config


def _keep_statistics(part):
    """Return batch normalisation for a normalisation whose statistics are weights.

    `Normalization` computes with values that it takes from its weights only when Keras
    loads a file, so it ignores weights that are set later.
    """
    layer = _replace(
        part,
        "BatchNormalization",
        axis=part["config"]["axis"][0],
        epsilon=0.0,
        center=False,
        scale=False,
    )
    layer["config"]["trainable"] = False
    return layer


def _convert_operation(part, kind):
    """Return the layer that adds or multiplies two tensors, or one and a number."""
    first, second = part["inbound_nodes"][0]["args"]
    if isinstance(second, dict):
        layer = _replace(part, kind)
        layer["inbound_nodes"] = [{"args": [[first, second]], "kwargs": {}}]
        return layer
    scale, offset = (1.0, second) if kind == "Add" else (second, 0.0)
    layer = _replace(part, "Rescaling", scale=scale, offset=offset)
    layer["inbound_nodes"] = [{"args": [first], "kwargs": {}}]
    return layer


def _replace(part, kind, **settings):
    """Return a layer of another class with the name and the inputs of a part."""
    common = {"name": part["name"], "trainable": True, "dtype": "float32"}
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": {**common, **settings},
        "registered_name": None,
        "name": part["name"],
        "inbound_nodes": part["inbound_nodes"],
    }


def _name_preprocessing(config):
    """Name the layers of preprocessing that are at the beginning of a network."""
    _, *layers = config["layers"]
    kinds = {"Rescaling", "Normalization"}
    first = list(takewhile(lambda layer: layer["class_name"] in kinds, layers))
    for number, layer in enumerate(first, start=1):
        is_last = number == len(first)
        name = "preprocessing" if is_last else f"preprocessing_{number}"
        _rename(config, layer["name"], name)


def _rename(config, name, new_name):
    """Rename a layer that other layers and the output may use."""
    for layer in config["layers"]:
        if layer["name"] == name:
            layer["name"] = layer["config"]["name"] = new_name
    for tensor in list_tensor_configs(
        [layer["inbound_nodes"] for layer in config["layers"]]
    ):
        if tensor["keras_history"][0] == name:
            tensor["keras_history"][0] = new_name
    if config["output_layers"][0] == name:
        config["output_layers"][0] = new_name


def list_tensor_configs(nodes) -> list[dict]:
    """List the configurations of all tensors in the nodes of layers."""
    if isinstance(nodes, dict):
        if "keras_history" in nodes:
            return [nodes]
        nodes = list(nodes.values())
    if not isinstance(nodes, list):
        return []
    return [tensor for part in nodes for tensor in list_tensor_configs(part)]
