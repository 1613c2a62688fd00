"""Encoders: backbones as the contracting path of a U-Net.

A backbone has feature maps at several levels: those of level k have 1 / 2 ** k of the
height and width of the images.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

from .._compat import find_producer, list_inner_layers
from ._backbone_stages import (
    check_stage,
    find_first_layer,
    follow_trainable,
    is_random,
    set_trainable,
)
from ._backbones import (
    build_from_config,
    get_architecture,
    get_backbone,
    make_config,
)
from ._boundaries import list_tensors
from ._flat_configs import list_tensor_configs
from ._keras_backbone import UserBackbone
from ._model_config import find_reason
from ._weights import load_backbone_weights

_MOVING = {
    "AugMix",
    "CutMix",
    "MixUp",
    "RandAugment",
    "RandomCrop",
    "RandomElasticTransform",
    "RandomFlip",
    "RandomPerspective",
    "RandomRotation",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
}
DECODER = "decoder"  # the part to train that is above the encoder
_MAX_LEVEL = 6
_SIDE = 256  # of images for which levels are looked for, if the network takes any size
_STEP = 2**5  # networks of the table halve images five times
_PADDED = {
    "AveragePooling2D",
    "Conv2D",
    "DepthwiseConv2D",
    "MaxPooling2D",
    "SeparableConv2D",
}


@dataclass(frozen=True)
class EncoderSpec:
    """An encoder.

    Parameters
    ----------
    backbone : str or UserBackbone
        The backbone.

    compute_dtype : {"float32", "bfloat16"}
        Its floating-point precision.
    """

    backbone: str | UserBackbone
    compute_dtype: str


def resolve_depth(encoder, depth) -> int:
    """Return the depth of a U-Net with an encoder.

    Parameters
    ----------
    encoder : str or KerasBackbone
        The encoder.

    depth : int or "auto"
        "auto" is the lowest level of the encoder.

    Raises
    ------
    ValueError
        If the encoder has no feature maps at this level.
    """
    backbone = get_architecture(encoder)
    if not isinstance(backbone, str):
        _check_padding(backbone)
    levels = [level for level in find_levels(backbone) if level]
    if not levels and any(side % 2 for side in _find_size(backbone)):
        raise ValueError(
            f"encoder: {backbone} takes images of {backbone.size} pixels only, which "
            "cannot be halved for a U-Net. Train it with images whose sides are powers "
            "of two, or with any size: keras.Input((None, None, 3))."
        )
    if not levels:
        raise ValueError(
            f"encoder: {backbone} never halves its feature maps, so that it cannot be "
            "the encoder of a U-Net."
        )
    if depth == "auto":
        return max(levels)
    if depth not in levels:
        raise ValueError(
            f"depth={depth}: {backbone} has no feature maps at 1 / {2**depth} of the "
            f"image size. Choose one of {', '.join(map(str, levels))}, or 'auto'."
        )
    return int(depth)


@lru_cache(maxsize=32)
def _check_padding(backbone):
    """Raise ValueError unless a network of a user can be built with padding."""
    try:
        _build_padded(backbone, _find_size(backbone))
    except ValueError as error:  # of one of its layers
        raise ValueError(
            f"encoder: {backbone} cannot be built with convolutions that are padded as "
            f"a U-Net needs it: {find_reason(error)} Pass a network that ends in "
            "feature maps and whose convolutions have padding='same'."
        ) from error


def check_encoder(encoder, image_size, depth, **trainable):
    """Raise ValueError unless an encoder can be used and trained like this.

    Parameters
    ----------
    encoder : str or KerasBackbone
        The encoder.

    image_size : tuple of int
        (height, width) of the images.

    depth : int
        The resolved depth.

    **trainable : str
        Parts to train, by the names of the parameters.
    """
    backbone = get_architecture(encoder)
    if not isinstance(backbone, str):
        backbone.check_image_size(image_size)
        _check_levels(backbone, tuple(map(int, image_size)), depth)
    names = _list_layers(backbone, depth)
    for parameter, part in trainable.items():
        if part == DECODER:
            continue
        check_stage(backbone, parameter, part, top=DECODER)
        if part != "all" and find_first_layer(backbone, part) not in names:
            raise ValueError(
                f"{parameter}={part!r} is above the part of {backbone} that depth="
                f"{depth} uses. Raise depth, or choose {DECODER!r} or a lower part."
            )


@lru_cache(maxsize=32)
def _check_levels(backbone, image_size, depth):
    """Raise ValueError if maps of a level are not the same fraction of all images."""
    outputs = build_encoder(backbone, image_size, depth).outputs
    for level, maps in zip(find_levels(backbone), outputs, strict=False):
        if tuple(maps.shape[1:3]) != tuple(side // 2**level for side in image_size):
            raise ValueError(
                f"encoder: feature maps of {backbone} have {tuple(maps.shape[1:3])} "
                f"pixels for images of {image_size} pixels. The encoder of a U-Net "
                "halves images of any size equally often, so remove layers such as "
                "Resizing from it."
            )


@lru_cache(maxsize=32)
def find_levels(backbone) -> dict[int, int]:
    """Find the feature maps of each level that a decoder uses.

    They are the last ones before the first stage that mostly has smaller ones. If
    possible, all maps above are computed from them alone. Otherwise they are the last
    of those that are merged and have the most channels.

    Parameters
    ----------
    backbone : str or UserBackbone
        The backbone.

    Returns
    -------
    positions : dict of int to int
        For each level, from the highest resolution down, the position of the maps in
        :func:`~skinest.networks._boundaries.list_tensors`. A level without a
        convolution is left out.
    """
    size = _find_size(backbone)
    tensors = list_tensors(_build_padded(backbone, size).output)
    levels = [_find_level(tensor.shape, size) for tensor in tensors]
    kernels = list(map(_has_kernel, tensors))
    stages = _list_stages(backbone, tensors, levels)
    is_alone = _find_bottlenecks(tensors)
    found = {}
    for level in range(_MAX_LEVEL + 1):
        own = [i for i, each in enumerate(levels) if each == level]
        first = next((i for i in own if kernels[i]), None)
        if first is None:
            continue
        own = [i for i in own if i >= first]
        if alone := [i for i in own if is_alone[i]]:
            ends = [i for i, other in stages if other > level and i > alone[0]]
            end = min([*ends, len(tensors)])
            found[level] = max(i for i in alone if i < end)
        else:
            merged = [i for i in own if len(find_producer(tensors[i])[1]) > 1]
            found[level] = max(merged or own, key=lambda i: (tensors[i].shape[-1], i))
    return found


def _list_stages(backbone, tensors, levels) -> list[tuple[int, int]]:
    """Return where each stage begins, and the level of most of its convolutions."""
    names = [find_producer(tensor)[0].name for tensor in tensors]
    # A stage of a user can begin above the last feature maps.
    firsts = [name for name in get_backbone(backbone).stages.values() if name in names]
    starts = sorted(map(names.index, firsts))
    stages = []
    for start, stop in pairwise([*starts, len(tensors)]):
        inside = [i for i in range(start, stop) if levels[i] is not None]
        own = [levels[i] for i in inside if _has_kernel(tensors[i])]
        if own:
            stages.append((start, int(np.bincount(own).argmax())))
    return stages


def _has_kernel(tensor) -> bool:
    """Return whether a tensor is computed by a convolution or the like."""
    weights = getattr(find_producer(tensor)[0], "weights", ())
    return any(len(weight.shape) > 1 for weight in weights)


def build_encoder(backbone, image_size, depth, compute_dtype="float32"):
    """Build preprocessing and a backbone, cut off at its lowest level.

    Convolutions and pooling are padded, so that each level has exactly half the height
    and width of the one above it.

    Parameters
    ----------
    backbone : str or UserBackbone
        The backbone.

    image_size : tuple of int
        (height, width) of the images, multiples of ``2 ** depth``.

    depth : int
        The lowest level.

    compute_dtype : {"float32", "bfloat16"}, default="float32"
        Floating-point precision of the backbone.

    Returns
    -------
    model : keras.Model
        Its outputs are the feature maps of the levels of :func:`find_levels`, from the
        highest resolution down to `depth`. Its kernels are 0.
    """
    import keras

    network = _build_padded(backbone, image_size, compute_dtype)
    tensors = list_tensors(network.output)
    outputs = [
        tensors[i] for level, i in find_levels(backbone).items() if level <= depth
    ]
    return keras.Model(network.input, outputs, name="encoder")


def freeze_encoder(encoder, backbone, trainable, trains_norms):
    """Make the layers of an encoder trainable from a part up, and freeze the others.

    Random layers that would move the pixels of an image, but not those of its mask, are
    never active.
    """
    import keras

    if trainable != DECODER:
        set_trainable(encoder, backbone, trainable, trains_norms)
    found = (getattr(keras.layers, name, None) for name in _MOVING)
    moving = tuple(filter(None, found))  # not all versions of Keras have all of them
    for layer in encoder.layers:
        if trainable == DECODER:
            layer.trainable = False
        for inner in list_inner_layers(layer):
            moves = isinstance(inner, moving)
            if moves or (trainable == DECODER and is_random(inner)):
                follow_trainable(inner, is_off=moves)


def load_encoder_weights(encoder, weights, seed) -> dict[str, list[np.ndarray]]:
    """Load the weights of each layer of a backbone, or make random ones.

    For the arguments see :func:`~skinest.networks._weights.load_backbone_weights`.
    """
    backbone = get_architecture(encoder)
    loaded = load_backbone_weights(encoder, weights, seed, parameter="encoder")
    remaining = iter(loaded.arrays)
    return {
        name: [next(remaining) for _ in range(n_weights)]
        for name, n_weights in _count_weights(backbone).items()
    }


@lru_cache(maxsize=32)
def _list_layers(backbone, depth) -> list[str]:
    """Return the names of the layers of an encoder."""
    encoder = build_encoder(backbone, _find_size(backbone), depth)
    return [layer.name for layer in encoder.layers]


@lru_cache(maxsize=32)
def _count_weights(backbone) -> dict[str, int]:
    """Count the arrays of weights of each layer of a backbone, in its order."""
    network = _build_padded(backbone, _find_size(backbone))
    return {layer.name: len(layer.weights) for layer in network.layers}


def _find_size(backbone) -> tuple[int, int]:
    """Return a size of images in which the levels can be told from each other."""
    height, width = getattr(get_backbone(backbone), "size", (None, None))
    return height or _SIDE, width or _SIDE


def _build_padded(backbone, image_size, compute_dtype="float32"):
    config = _make_padded_config(backbone, tuple(map(int, image_size)))
    return build_from_config(backbone, config, compute_dtype)


@lru_cache(maxsize=32)
def _make_padded_config(backbone, image_size) -> str:
    """Return a configuration as JSON, in which all maps of a level have one size.

    Networks of the table are built for larger images if Keras asks for that; their
    padding depends on whether sides are even.
    """
    smallest = get_backbone(backbone).min_side
    built = [
        side + _STEP * max(0, -(-(smallest - side) // _STEP)) for side in image_size
    ]
    config = json.loads(make_config(backbone, tuple(built)))
    if not isinstance(backbone, str):
        _cut_vector(backbone, config)
    kinds = {layer["name"]: layer["class_name"] for layer in config["layers"]}
    for layer in config["layers"]:
        settings = layer["config"]
        if layer["class_name"] == "InputLayer":
            settings["batch_shape"][1:3] = image_size
        elif layer["class_name"] in _PADDED and settings["padding"] == "valid":
            kernel = settings.get("kernel_size") or settings["pool_size"]
            overlaps = any(map(int.__gt__, kernel, settings["strides"]))
            before = list_tensor_configs(layer["inbound_nodes"])[0]["keras_history"][0]
            if overlaps and kinds[before] != "ZeroPadding2D":
                settings["padding"] = "same"
    return json.dumps(config)


def _cut_vector(backbone, config):
    """Remove the layers above the last feature maps from a configuration."""
    tensor = build_from_config(backbone, json.dumps(config), "float32").output
    parts = {part["name"]: part for part in config["layers"]}
    output, left_out = config["output_layers"], []
    while len(tensor.shape) != 4:
        operation, inputs = find_producer(tensor)
        part = parts[operation.name]
        if len(inputs) != 1 or len(part["inbound_nodes"]) != 1:
            return
        left_out.append(part)
        (tensor,) = inputs
        output = list_tensor_configs(part["inbound_nodes"])[0]["keras_history"]
    config["output_layers"] = output
    config["layers"] = [part for part in config["layers"] if part not in left_out]


def _find_level(shape, size) -> int | None:
    """Return the level of feature maps of a shape, or None if they are of no level."""
    for level in range(_MAX_LEVEL + 1):
        sides = tuple(side / 2**level for side in size)
        if len(shape) == 4 and tuple(shape[1:3]) == sides and min(sides) > 1:
            return level
    return None


def _find_bottlenecks(tensors) -> list[bool]:
    """Return for each tensor whether all later ones are computed from it alone.

    Each tensor must come after those that it is computed from.
    """
    positions = {id(tensor): position for position, tensor in enumerate(tensors)}
    last_use = list(range(len(tensors)))
    for position, tensor in enumerate(tensors):
        for each in find_producer(tensor)[1]:
            last_use[positions[id(each)]] = position
    reached = np.maximum.accumulate([-1, *last_use[:-1]])
    return (reached <= np.arange(len(tensors))).tolist()
