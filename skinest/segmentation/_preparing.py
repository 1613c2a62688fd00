"""What is checked and made before a segmenter is fitted."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit
from sklearn.utils.validation import _check_sample_weight

from .._training import _stages
from .._training._pixels import METRICS, ignores_padding
from .._training._precision import resolve_compute_dtype
from ..losses._resolve import resolve_loss
from ..masks import MAX_LABELS
from ..networks._unet import UNetSpec, check_unet_size, draw_arrays
from ..networks._weights import Weights
from ..utils._checks import check_groups, check_some_weight, weights_of_dict
from ._fitting import Part, State
from ._frames import Frame
from ._pairs import in_codes_of, warn_of_one_label

_COMPUTE_DTYPE = "bfloat16"  # what "auto" prefers


def check_settings(segmenter):
    """Raise ValueError for what the constraints of parameters cannot say."""
    check_unet_size(segmenter.image_size, segmenter.depth)
    _stages.check_training(segmenter, METRICS, ["learning_rate"])
    _check_loss(segmenter)


def _check_loss(segmenter):
    """Raise unless the loss suits some number of labels, which is not known yet."""
    errors = {}
    # Of some losses with one output Keras warns.
    for n_outputs in (3, 1, *range(4, MAX_LABELS + 1)):
        try:
            loss = loss_of(segmenter, n_outputs)
        except ValueError as error:
            errors[n_outputs] = error
            continue
        if segmenter.pad_to_aspect_ratio and not ignores_padding(loss, n_outputs):
            raise ValueError(
                f"loss={segmenter.loss!r} is a mean over pixels of its own, in which "
                "padded ones would count. Pass a loss with a value for each pixel or "
                "one of skinest.losses, or set pad_to_aspect_ratio=False."
            )
        return
    raise errors[1]


def loss_of(segmenter, n_outputs):
    """The loss, and an error if it cannot be weighed where it should be."""
    has_class_weight = segmenter.class_weight is not None
    return resolve_loss(segmenter.loss, has_class_weight, n_outputs)


def frame_of(segmenter) -> Frame:
    """What brings images to the size of the network."""
    size = tuple(int(side) for side in segmenter.image_size)
    return Frame(size, segmenter.pad_to_aspect_ratio)


def split(segmenter, source, given, sample_weight, groups, seed):
    """Positions to train on and to validate on, and weights of all pairs.

    Raises
    ------
    ValueError
        If weights or groups do not fit the images, if there is nothing to stop early
        by, or if one side of the split would be empty.
    """
    n_pairs = len(source)
    weights = _check_sample_weight(
        sample_weight, np.zeros((n_pairs, 1), np.float32), ensure_non_negative=True
    )
    groups = check_groups(groups, n_pairs)
    train, held_out = np.arange(n_pairs), None
    if given is None and segmenter.validation_fraction is not None:
        train, held_out = _hold_out(
            n_pairs, segmenter.validation_fraction, groups, seed
        )
    _stages.check_stopping(segmenter, held_out if given is None else given)
    check_some_weight(weights[train])
    return train, held_out, weights


def _hold_out(n_pairs, fraction, groups, seed):
    splitter = ShuffleSplit if groups is None else GroupShuffleSplit
    splits = splitter(1, test_size=fraction, random_state=seed).split(
        np.arange(n_pairs), groups=groups
    )
    try:
        train, held_out = next(splits)
    except ValueError as error:
        what = "images" if groups is None else "groups"
        n_units = n_pairs if groups is None else len(np.unique(groups))
        raise ValueError(
            f"validation_fraction={fraction} of {n_units} {what} leaves none to train "
            "on. Lower it, add images, or pass X_val and y_val."
        ) from error
    return np.sort(train), np.sort(held_out)


def parts_of(halves, pairs, given=None):
    """What is trained on, and what is validated on or None."""
    train, held_out, weights = halves
    part = Part(pairs, train, weights[train])
    if given is not None:
        given = in_codes_of(given, pairs.classes)
        everything = np.arange(len(given.images))
        return part, Part(given, everything, np.ones(len(everything), np.float32))
    if held_out is not None:
        return part, Part(pairs, held_out, weights[held_out])
    return part, None


def class_weights_of(segmenter, classes, counts) -> np.ndarray:
    """Weight of each class' pixels.

    "balanced" is n_pixels / (n_classes * n_pixels_of_class), 1 where there is none.
    """
    given = segmenter.class_weight
    if given is None and segmenter.loss != "weighted_crossentropy":
        return np.ones(len(classes))
    if isinstance(given, dict):
        return weights_of_dict(given, classes)
    weights = counts.sum() / (len(classes) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 1.0)  # none is trained on of some


def start_of(segmenter, part, seed):
    """What training starts with.

    Returns
    -------
    state : State
        The network with drawn weights, or those of the last fit.
    loss : object
        From :func:`skinest.losses._resolve.resolve_loss`.
    class_weights : ndarray of shape (n_classes,)
        Weights of pixels.
    """
    classes = part.pairs.classes
    counts = part.pairs.counts(part.positions, part.sample_weight)
    warn_of_one_label(classes, counts)
    class_weights = class_weights_of(segmenter, classes, counts)
    state = _state_of(segmenter, part, counts * class_weights, seed)
    return state, loss_of(segmenter, state.spec.n_outputs), class_weights


def _state_of(segmenter, part, class_totals, seed) -> State:
    pairs = part.pairs
    n_classes = len(pairs.classes)
    spec = UNetSpec(
        int(segmenter.depth),
        int(segmenter.base_filters),
        tuple(int(side) for side in segmenter.image_size),
        float(segmenter.dropout),
        bool(segmenter.batch_norm),
        1 if n_classes <= 2 else n_classes,
        resolve_compute_dtype(segmenter.compute_dtype, _COMPUTE_DTYPE),
    )
    if segmenter.warm_start and hasattr(segmenter, "_state"):
        return _continued(segmenter, spec, pairs.classes)
    weights = Weights.of(draw_arrays(spec, _output_bias(class_totals), seed))
    median = np.median(pairs.shapes[part.positions], axis=0)
    tile_shape = tuple(np.rint(median).astype(int).tolist())
    return State(spec, weights, frame_of(segmenter), tile_shape)


def _output_bias(totals):
    """Bias with which the network starts at the classes' shares of the weights."""
    shares = (totals + 1) / (totals + 1).sum()
    if len(totals) == 1:
        return np.zeros(1)
    if len(totals) == 2:
        return np.log(shares[1:] / shares[:1])
    return np.log(shares)


def _continued(segmenter, spec, classes):
    state = segmenter._state
    if not np.array_equal(segmenter.classes_, classes):
        raise ValueError(
            f"warm_start: the masks hold {classes.tolist()}, but those of the last fit "
            f"{segmenter.classes_.tolist()}. Set warm_start=False to start anew."
        )
    if spec != state.spec or frame_of(segmenter) != state.frame:
        raise ValueError(
            "warm_start: the network's settings differ from those of the last fit. Put "
            "depth, base_filters, image_size, pad_to_aspect_ratio, dropout, batch_norm "
            "and compute_dtype back, or set warm_start=False to start anew."
        )
    return state
