"""Parts of a backbone that can be trained: stages, its own blocks, and layers."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import re
from functools import lru_cache

from ._backbones import get_backbone, is_preprocessing, make_config

_N_NAMED = 3  # how many blocks an error names at each end


def list_stages(backbone) -> list[str]:
    """Return the stages of a backbone, from the top down."""
    return ["head", *get_backbone(backbone).stages, "all"]


def check_stage(backbone, name, stage) -> None:
    """Raise ValueError unless a backbone has this stage, block or layer."""
    if stage in list_stages(backbone) or stage in list_layers(backbone):
        return
    blocks = list(list_blocks(backbone))[::-1]
    if stage in blocks:
        return
    if len(blocks) > 2 * _N_NAMED:
        blocks[_N_NAMED:-_N_NAMED] = ["..."]
    raise ValueError(
        f"{name}={stage!r} is not a part of {backbone}. Choose one of "
        f"{', '.join(list_stages(backbone))}; a block ({', '.join(blocks)}); or the "
        "name of a layer."
    )


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


@lru_cache(maxsize=32)
def list_layers(backbone) -> list[str]:
    """Return the names of all layers above the preprocessing, in Keras' order."""
    side = get_backbone(backbone).min_side
    layers = json.loads(make_config(backbone, (side, side)))["layers"]
    names = [layer["name"] for layer in layers]
    return [name for name in names if not is_preprocessing(name)]


def list_blocks(backbone) -> dict[str, str]:
    """Return the first layer of each block, from the bottom up."""
    row = get_backbone(backbone)
    firsts: dict[str, str] = {}
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
