"""Settings and weights from which the training of a U-Net starts."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from .._compat import resolve_compute_dtype
from .._training._network_estimator import make_output_bias
from ..networks._unet_network import UNetSpec, make_random_weights
from ._pairs import count_pixels, warn_of_one_label
from ._training_pairs import find_median_shape

_COMPUTE_DTYPE = "bfloat16"  # of "auto", on processors that support it


def start_network(segmenter, train, pairs, seed):
    """Return the fitted attributes and the class weights before training.

    Parameters
    ----------
    segmenter : UNetSegmenter
        The segmenter that is fitted.

    train : Split
        The training images.

    pairs : Pairs
        All images and masks in the size of the network.

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
    spec = UNetSpec(
        int(segmenter.depth),
        int(segmenter.base_filters),
        letterbox.size,
        float(segmenter.dropout),
        bool(segmenter.batch_norm),
        1 if n_classes <= 2 else n_classes,
        resolve_compute_dtype(segmenter.compute_dtype, _COMPUTE_DTYPE),
    )
    if segmenter.warm_start and hasattr(segmenter, "_weights"):
        _check_continues(segmenter, classes, spec, letterbox)
        weights, tile_shape = segmenter._weights, segmenter.tile_shape_
    else:
        bias = make_output_bias(counts * class_weights)
        weights = tuple(make_random_weights(spec, bias, seed))
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
            "Use the same depth, base_filters, image_size, pad_to_aspect_ratio, "
            "dropout, batch_norm and compute_dtype, or set warm_start=False to start "
            "again."
        )
