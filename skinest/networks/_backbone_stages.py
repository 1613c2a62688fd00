"""Parts of a backbone that can be trained: stages, its own blocks, and layers."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import re
from difflib import get_close_matches
from functools import lru_cache
from inspect import signature

from .._compat import list_inner_layers
from ._backbones import get_architecture, get_backbone, is_preprocessing, make_config

_N_NAMED = 3  # how many blocks an error names at each end


def list_stages(backbone, top="head") -> list[str]:
    """Return the stages of a backbone, from the top down.

    `top` is the name of the part above the backbone.
    """
    return [top, *get_backbone(backbone).stages, "all"]


def check_stage(backbone, name, stage, top="head") -> None:
    """Raise ValueError unless a backbone has this stage, block or layer."""
    backbone = get_architecture(backbone)
    stages = list_stages(backbone, top)
    if stage in stages or stage in list_layers(backbone):
        return
    blocks = list(list_blocks(backbone))[::-1]
    if stage in blocks:
        return
    if len(blocks) > 2 * _N_NAMED:
        blocks[_N_NAMED:-_N_NAMED] = ["..."]
    among_blocks = f"a block ({', '.join(blocks)}); " if blocks else ""
    raise ValueError(
        f"{name}={stage!r} is not a part of {backbone}. Choose one of "
        f"{', '.join(stages)}; {among_blocks}or the name of a layer."
    )


def check_layers(backbone, layers) -> None:
    """Raise ValueError unless `layers` names layers of a backbone, each once."""
    backbone = get_architecture(backbone)
    if not layers:
        raise ValueError(
            f"layers={layers!r} names no layer. Pass None for the last feature maps."
        )
    known = list_layers(backbone)
    for name in layers:
        if name not in known:
            close = get_close_matches(str(name), known, n=5, cutoff=0.5)
            raise ValueError(
                f"layers={layers!r}: {name!r} is not a layer of {backbone}. Names that "
                f"are similar: {', '.join(close) or 'none'}."
            )
        if list(layers).count(name) > 1:
            raise ValueError(f"layers={layers!r} names {name!r} twice.")


def find_first_layer(backbone, stage) -> str:
    """Return the name of the lowest layer of a stage, block or layer.

    Parameters
    ----------
    backbone : str, Backbone or BackboneSpec
        The network.

    stage : str
        A name that :func:`check_stage` accepts. A block comes before a layer of the
        same name.

    Returns
    -------
    layer : str
        For "head" it is "features", the pooling above the backbone.
    """
    backbone = getattr(backbone, "backbone", backbone)
    stages = get_backbone(backbone).stages
    if stage == "head":
        return "features"
    if stage == "all":
        return list_layers(backbone)[0]
    if stage in stages:
        return stages[stage]
    return list_blocks(backbone).get(stage, stage)


def resolve_batch_norm(train_batch_norm, stage, is_from_scratch) -> bool:
    """Return whether batch normalisation trains.

    "auto" keeps its pretrained statistics. If all layers start from random weights, it
    is trained too: without it, signals would vanish or explode.
    """
    if train_batch_norm == "auto":
        return is_from_scratch and stage == "all"
    return bool(train_batch_norm)


def set_trainable(network, backbone, stage, trains_norms):
    """Make all layers from a stage up trainable, or all but batch normalisation."""
    import keras

    check_stage(backbone, "trainable", stage)
    layers = [layer for layer in network.layers if not is_preprocessing(layer.name)]
    first = layers[0].name if stage == "all" else find_first_layer(backbone, stage)
    trains = False
    for layer in layers:
        trains = trains or layer.name == first
        layer.trainable = trains
        for inner in list_inner_layers(layer):
            if isinstance(inner, keras.layers.BatchNormalization):
                inner.trainable = trains and trains_norms
            if not trains and is_random(inner):
                follow_trainable(inner)


def is_random(layer) -> bool:
    """Return whether a Keras layer itself uses random numbers in training."""
    from keras.random import SeedGenerator

    has_generator = any(
        isinstance(each, SeedGenerator) for each in vars(layer).values()
    )
    return has_generator and "training" in signature(layer.call).parameters


def follow_trainable(layer, is_off=False):
    """Let a random layer compute as in predictions while it is not trained.

    Keras does so for batch normalisation, but not for dropout. With `is_off`, the layer
    always computes as in predictions.
    """
    call = layer.call

    def follow(*args, training=None, **kwargs):
        is_on = training and layer.trainable and not is_off
        return call(*args, training=bool(is_on), **kwargs)

    layer.call = follow


@lru_cache(maxsize=32)
def list_layers(backbone) -> list[str]:
    """Return the names of all layers above the preprocessing, in Keras' order."""
    size = get_backbone(backbone).sample_size
    layers = json.loads(make_config(backbone, size))["layers"]
    names = [layer["name"] for layer in layers]
    return [name for name in names if not is_preprocessing(name)]


def list_blocks(backbone) -> dict[str, str]:
    """Return the first layer of each block, from the bottom up."""
    row = get_backbone(backbone)
    firsts: dict[str, str] = {}
    if not row.blocks:
        return firsts
    first = None
    for layer in list_layers(backbone):
        # The layers before the first block are in the lower stages.
        if not row.has_named_ends or first is None or layer in row.stages.values():
            first = layer
        found = re.match(row.blocks, layer)
        if found:
            name = "".join(part for part in found.groups() if part)
            firsts.setdefault(name, first)
            first = None
    return firsts
