"""Settings and weights from which the training of a U-Net starts."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from .._training._engines import resolve_compute_dtype
from .._training._network_estimator import make_output_bias
from ..networks._backbones import get_architecture, get_backbone
from ..networks._encoders import EncoderSpec, check_encoder, load_encoder_weights
from ..networks._unet_network import (
    UNetSpec,
    check_unet_size,
    make_random_weights,
    resolve_levels,
)
from ._pairs import count_pixels, warn_of_one_label
from ._postprocessing import list_steps
from ._training_pairs import find_median_shape

_COMPUTE_DTYPE = "bfloat16"  # of "auto", on processors with AMX


def check_settings(segmenter):
    """Raise ValueError for errors that the parameter constraints cannot find."""
    from ._pixels import check_pixel_loss

    encoder, size = segmenter.encoder, segmenter.image_size
    depth, _ = resolve_levels(encoder, segmenter.depth, segmenter.base_filters)
    check_unet_size(size, depth)
    if encoder is not None:
        parts = {"trainable": segmenter.trainable}
        if segmenter.fine_tune is not None:
            parts["fine_tune"] = segmenter.fine_tune
        check_encoder(encoder, size, depth, **parts)
    list_steps(segmenter.postprocess)
    check_pixel_loss(segmenter)


def load_encoder(segmenter, seed) -> dict[str, list[np.ndarray]] | None:
    """Return the weights of each layer of the encoder, or None without one."""
    if segmenter.encoder is None:
        return None
    return load_encoder_weights(segmenter.encoder, segmenter.weights, seed)


def start_network(segmenter, train, pairs, of_encoder, seed):
    """Return the fitted attributes and the class weights before training.

    Parameters
    ----------
    segmenter : UNetSegmenter
        The segmenter that is fitted.

    train : Split
        The training images.

    pairs : Pairs
        All images and masks in the size of the network.

    of_encoder : dict of str to list of ndarray, or None
        Weights of the layers of its encoder.

    seed : int
        Seed of random weights.

    Returns
    -------
    attributes : dict
        Attributes of a new network or, with `warm_start`, of the last fit.
    class_weights : ndarray of shape (256,), dtype float32
        Weight of the pixels of each class index; 0 for padding.
    """
    from ._pixels import weigh_pixels

    classes, n_classes = pairs.classes, len(pairs.classes)
    counts = count_pixels(train, n_classes)
    warn_of_one_label(classes, counts)
    class_weights = weigh_pixels(segmenter, classes, counts)
    letterbox = pairs.letterbox
    spec = _make_spec(segmenter, letterbox, n_classes)
    if segmenter.warm_start and hasattr(segmenter, "_weights"):
        _check_continues(segmenter, classes, spec, letterbox)
        weights, tile_shape = segmenter._weights, segmenter.tile_shape_
    else:
        bias = make_output_bias(counts * class_weights)
        weights = tuple(make_random_weights(spec, bias, seed, of_encoder))
        tile_shape = find_median_shape(
            pairs.shapes[train.positions], train.sample_weight[train.positions]
        )
    attributes = {
        "classes_": classes,
        "tile_shape_": tile_shape,
        "_spec": spec,
        "_weights": weights,
        "_letterbox": letterbox,
        "_model": None,
    }
    table = np.pad(class_weights, (0, 256 - n_classes)).astype(np.float32)
    return attributes, table


def _make_spec(segmenter, letterbox, n_classes) -> UNetSpec:
    """Return the architecture of the network."""
    encoder, compute_dtype = segmenter.encoder, segmenter.compute_dtype
    encoder_spec = None
    if encoder is not None:
        preferred = get_backbone(encoder).compute_dtype
        encoder_dtype = resolve_compute_dtype(compute_dtype, preferred)
        encoder_spec = EncoderSpec(get_architecture(encoder), encoder_dtype)
    return UNetSpec(
        *resolve_levels(encoder, segmenter.depth, segmenter.base_filters),
        letterbox.size,
        float(segmenter.dropout),
        bool(segmenter.batch_norm),
        1 if n_classes <= 2 else n_classes,
        resolve_compute_dtype(compute_dtype, _COMPUTE_DTYPE),
        encoder_spec,
    )


def _check_continues(segmenter, classes, spec, letterbox):
    """Raise ValueError if `warm_start` cannot continue from the last fit."""
    if not np.array_equal(segmenter.classes_, classes):
        raise ValueError(
            f"warm_start: the masks have the labels {classes.tolist()}, but the last "
            f"fit had {segmenter.classes_.tolist()}. Set warm_start=False to start "
            "again."
        )
    if (spec, letterbox) != (segmenter._spec, segmenter._letterbox):
        raise ValueError(
            "warm_start: the network's settings differ from those of the last fit. "
            "Use the same encoder, depth, base_filters, image_size, "
            "pad_to_aspect_ratio, dropout, batch_norm and compute_dtype, or set "
            "warm_start=False to start again."
        )
